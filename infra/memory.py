"""Plaintext stays in memory: no core files, no reading by other processes of the user, and no page on a disk as it is.

There should be no swap, or only swap in memory (zram) or under dm-crypt, or the process's control group should forbid it. Where none of that
holds, pages are locked, which takes a privilege (CAP_IPC_LOCK, or RLIMIT_MEMLOCK without limit) and leaves the kernel nothing to give way with:
that is why it is not done elsewhere. Without the privilege pages are swappable, and that is said.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import Literal

Pages = Literal["kept", "locked", "swappable"]
_PR_SET_DUMPABLE = 4
_EVERYTHING = 1 | 2 | 4  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT: pages as they come into being (mlockall(2))
_CAP_IPC_LOCK = 14


def guard() -> None:
    """For this process, from now on: no core file, also none piped to a program (core(5)); ptrace(2) and /proc/PID/mem for root alone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def hold() -> Pages:
    """For this process, from now on: its pages are locked where they could be swapped to a disk as they are and it may lock them."""
    if pages() == "swappable" and _may_lock():
        ctypes.CDLL(None, use_errno=True).mlockall(_EVERYTHING)
    return pages()


def pages(_: object = None) -> Pages:
    """How it is with this process now. Swap that is turned on later is seen, and does not lock anything by itself."""
    if not plaintext_swap() or swap_forbidden():
        return "kept"
    return "locked" if _status("VmLck") not in ("", "0 kB") else "swappable"


def swap_forbidden(own: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether a control group of version 2 that this process is in may not swap (memory.swap.max, of it or of one round it)."""
    paths = [line.removeprefix("0::/") for line in _text(own, "").splitlines() if line.startswith("0::/")]
    return any(_text(groups / each / "memory.swap.max", "max") == "0" for path in paths for each in (Path(path), *Path(path).parents))


def _may_lock() -> bool:
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    return bool(int(_status("CapEff") or "0", 16) >> _CAP_IPC_LOCK & 1)


def _status(name: str) -> str:
    lines = _text(Path("/proc/self/status"), "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


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
