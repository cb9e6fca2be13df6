"""`make deploy-test`: `python -m tests.deploy [--only images offline]`. Ends with an error at the first thing that does not hold."""

from __future__ import annotations

import argparse
import json

from tests.deploy import images, offline
from tests.deploy.base import WORK, bundle

CAMPAIGNS = {"images": images.campaign, "offline": offline.campaign}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=CAMPAIGNS, default=list(CAMPAIGNS))
    chosen = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    packed = bundle()
    result = {}
    for name in chosen.only:
        result[name] = CAMPAIGNS[name](packed)
        print(name, json.dumps(result[name]), flush=True)
    (WORK / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
