"""Plaintext stays in memory: no core files, no reading by other processes of the user, and a look whether the kernel may swap it to a disk.

Pages are not locked: a worker keeps gigabytes hot, and `mlock` of them takes a privilege and leaves the kernel nothing to give way with. What
has to hold instead is that there is no swap, or only swap in memory (zram) or under dm-crypt.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

_PR_SET_DUMPABLE = 4


def guard() -> None:
    """For this process, from now on: no core file, also none piped to a program (core(5)); ptrace(2) and /proc/PID/mem for root alone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def plaintext_swap(swaps: Path = Path("/proc/swaps"), devices: Path = Path("/sys/block")) -> tuple[str, ...]:
    """Swap areas that would take pages to a disk as they are: all but zram and device-mapper targets made by cryptsetup. Files are counted as
    plain: whether what lies under them is encrypted cannot be told from here. A list that cannot be read counts as one area, unknown."""
    try:
        lines = swaps.read_text().splitlines()[1:]
    except OSError:
        return ("?",)
    return tuple(name for name in (line.split()[0] for line in lines if line.strip()) if not _kept_secret(name, devices))


def _kept_secret(name: str, devices: Path) -> bool:
    device = os.path.basename(os.path.realpath(name))
    if device.startswith("zram"):
        return not _text(devices / device / "backing_dev", "none").startswith("/")  # it may write to a disk behind it
    return _text(devices / device / "dm" / "uuid", "").startswith("CRYPT-")


def _text(path: Path, other: str) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return other
