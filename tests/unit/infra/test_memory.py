"""What keeps plaintext in memory, seen from outside the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.memory import pages, plaintext_swap, swap_forbidden

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


def test_a_control_group_that_may_not_swap_is_seen(tmp_path: Path) -> None:
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    unit = groups / "system.slice" / "yunei.service"
    unit.mkdir(parents=True)
    own.write_text("1:memory:/elsewhere\n0::/system.slice/yunei.service\n")
    limit = unit / "memory.swap.max"
    for at, text, forbidden in ((limit, "max\n", False), (limit, "4096\n", False), (limit, "0\n", True), (limit, "max\n", False)):
        at.write_text(text)
        assert swap_forbidden(own, groups) is forbidden
    (groups / "system.slice" / "memory.swap.max").write_text("0\n")
    assert swap_forbidden(own, groups), "nor may one whose slice may not"
    assert not swap_forbidden(tmp_path / "none", groups)


LOCKING = """
import resource, sys
from infra import memory
memory.plaintext_swap = lambda: ("/dev/sda2",)
memory.swap_forbidden = lambda: False
if sys.argv[1] == "not":
    memory._may_lock = lambda: False
print(memory._may_lock())
print(memory.pages(), memory.hold(), memory.pages())
kept = bytearray(2**22)
print(int(memory._status("VmLck").split()[0]) >= 4096)
"""


@pytest.mark.parametrize("right", ["may", "not"])
def test_pages_are_locked_where_they_could_be_swapped_and_may_be_locked(right: str) -> None:
    """Who may lock nothing on this machine is held to the other half: it is said that pages are swappable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LOCKING, right], env=environment, capture_output=True, text=True, check=True)
    may, *said = done.stdout.splitlines()
    assert (right, may) in (("may", "True"), ("may", "False"), ("not", "False"))
    assert said == (["swappable locked locked", "True"] if may == "True" else ["swappable swappable swappable", "False"])


def test_where_there_is_no_swap_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.memory.plaintext_swap", lambda: ())
    assert pages() == "kept"
