"""What keeps plaintext in memory, seen from outside the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from infra.memory import plaintext_swap

ROOT = Path(__file__).resolve().parents[3]


def test_a_guarded_process_leaves_no_core_and_is_not_dumpable(tmp_path: Path) -> None:
    code = "import ctypes, time; from infra.memory import guard; guard(); print(ctypes.CDLL(None).prctl(3), flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as guarded:
        assert guarded.stdout is not None
        assert guarded.stdout.readline() == b"0\n"  # PR_GET_DUMPABLE: not to be dumped, nor traced by its own user
        limits = Path(f"/proc/{guarded.pid}/limits").read_text()
        (core,) = (line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core"))
        assert core == ["0", "0"]
        guarded.send_signal(signal.SIGABRT)
        guarded.wait()
    assert list(tmp_path.iterdir()) == []


def test_swap_that_keeps_nothing_secret_is_told_from_swap_that_does(tmp_path: Path) -> None:
    swaps, devices = tmp_path / "swaps", tmp_path / "block"
    header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    swaps.write_text(header)
    assert plaintext_swap(swaps, devices) == ()
    for name, file, text in (
        ("dm-0", "dm/uuid", "CRYPT-PLAIN-swap\n"),
        ("dm-1", "dm/uuid", "LVM-abc\n"),
        ("zram0", "backing_dev", "none\n"),
        ("zram1", "backing_dev", "/dev/sdb1\n"),
    ):
        (devices / name / file).parent.mkdir(parents=True, exist_ok=True)
        (devices / name / file).write_text(text)
    areas = ("/dev/sda2", "/swapfile", "/dev/dm-0", "/dev/dm-1", "/dev/zram0", "/dev/zram1")
    swaps.write_text(header + "".join(f"{area}\tpartition\t1\t0\t-2\n" for area in areas))
    assert plaintext_swap(swaps, devices) == ("/dev/sda2", "/swapfile", "/dev/dm-1", "/dev/zram1")
    assert plaintext_swap(tmp_path / "none", devices) == ("?",)
