"""A SoftHSM token for tests: Debian's `softhsm2`, its objects in a folder of the test's own. `make outside` installs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4321-test"


def tokens_in(folder: Path, count: int) -> Iterator[str]:
    """Fresh tokens of this process, whose user's PIN is PIN; call it once. A module sees those only that were there when it was loaded, so
    they are made beforehand."""
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")

    assert MODULE.exists(), "install softhsm2, as `make outside` does"
    labels = [f"yunei-{number}" for number in range(count)]
    for label in labels:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "so-pin-test", "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
    return iter(labels)
