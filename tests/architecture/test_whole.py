"""`make test` ends when it is told to, whatever its two runs have to say then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHATTY = """
import signal, sys, time
def told(*_):
    print("x" * 10**6, flush=True)
    sys.exit(2)
signal.signal(signal.SIGINT, told)
print("up", flush=True)
time.sleep(60)
"""
TOLD = f"""
import signal, sys
import tests.__main__ as whole
whole.command = lambda *_: [sys.executable, "-c", {CHATTY!r}]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(whole.main(1, "1"))
"""


def test_it_ends_when_told_to_though_much_is_left_to_say(tmp_path: Path) -> None:
    said = tmp_path / "said"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with said.open("wb") as output:
        running = subprocess.Popen([sys.executable, "-c", TOLD], stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            until = time.monotonic() + 30
            while b"up" not in said.read_bytes() and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.5)  # the other run, of which nothing is passed on yet, is up too
            running.send_signal(signal.SIGTERM)
            assert running.wait(20) == 143
        finally:
            running.kill()
            running.wait()
    assert said.read_bytes().count(b"x") >= 10**6, "what the run beside it said is passed on to its end"
