"""`make test`: the tests that start Rays of their own, one after the other, and beside them all others.

Those of the first kind spend more than half of their time waiting, three minutes in all. What they say is printed at the end, in one piece,
and after it once more the others' closing line. The others are the nicer ones: Ray gives its processes a limited time to come up. The exit code
is 0 if both runs are well.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

LAST_S = 5.0  # for what a process that has ended left to be read


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *arguments]


def passed_on(process: subprocess.Popen[bytes]) -> bytes:
    """What the process says, as it says it, to its end; the last line of it."""
    assert process.stdout is not None
    tail = b""
    while said := os.read(process.stdout.fileno(), 1 << 16):
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()
        tail = (tail + said)[-(1 << 12) :]
    return tail.rstrip().rpartition(b"\n")[2]


def main(testers: int, seed: str) -> int:
    order = (f"--randomly-seed={seed}", f"--hypothesis-seed={seed}")
    others = command("-m", "not alone", "-n", str(testers), "--dist", "loadfile", *order)
    with tempfile.TemporaryDirectory(prefix="yunei-tests-") as folder, (Path(folder) / "alone").open("w+") as said:
        alone = subprocess.Popen(command("-m", "alone", *order), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        rest = subprocess.Popen(["nice", "-n", "5", *others], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        last = b""
        try:
            last = passed_on(rest)
            codes = [rest.wait(), alone.wait()]
        except KeyboardInterrupt:  # the terminal has told them too
            last = passed_on(rest)
            codes = [rest.wait(), alone.wait()]
        finally:
            for process in (rest, alone):
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)  # pytest gives back what its tests hold
            reading = threading.Thread(target=passed_on, args=(rest,), daemon=True)
            reading.start()  # whoever says much at the end waits for a reader
            for process in (rest, alone):
                process.wait()
            reading.join(LAST_S)
        said.seek(0)
        print("those that start Rays of their own:", said.read(), "all others:", last.decode(errors="replace"), sep="\n", flush=True)
    return max(map(abs, codes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--testers", type=int, default=2, help="processes for the others")
    parser.add_argument("--seed", default="1", help="of the order of tests and of Hypothesis: a number, or “last”")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(chosen.testers, chosen.seed))
