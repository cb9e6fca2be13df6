"""`make cluster`: rounds of killing, cutting off and healing machines under load, the head's among them; ends with an error at the first broken
promise. `python -m tests.cluster --rounds 5`."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.cluster.campaign import cluster, head_is_killed, node_is_cut_off, node_is_killed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory(prefix="yunei-cluster-") as folder, cluster(Path(folder)) as made:
        made.whole()
        for number in range(1, chosen.rounds + 1):
            made.ask("load")
            made.goes_on()
            blows = [(node_is_killed, 2), (node_is_killed, 3), (node_is_cut_off, 2), (node_is_cut_off, 3)]
            for blow, machine in chance.sample(blows, len(blows)):
                began = time.monotonic()
                blow(made, machine)
                print(f"round {number}: {blow.__name__}, machine {machine}: whole again after {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            head_is_killed(made)
            print(f"round {number}: head_is_killed: whole again after {time.monotonic() - began:.0f} s", flush=True)
            print(f"round {number}: {made.rest()}", flush=True)


if __name__ == "__main__":
    main()
