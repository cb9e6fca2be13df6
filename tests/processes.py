"""What a test asks the Linux kernel about processes: descendants, listening addresses, memory."""

from __future__ import annotations

import multiprocessing
import socket
import struct
import subprocess
import time
from multiprocessing.context import BaseContext
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"


def forking() -> BaseContext:
    """For processes of tests that are forked from one that has imported the register and started nothing, which saves each the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.small_register"])
    return context


def descendants(pid: int) -> list[int]:
    """All living descendants of `pid`, zombies left out."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            found = _status(int(entry.name))
            if found and found["State"][0] != "Z":
                parents.setdefault(int(found["PPid"]), []).append(int(entry.name))
    family, waiting = [], [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            family.append(child)
            waiting.append(child)
    return family


def command(pid: int) -> str:
    """The command line, empty when the process is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ended(pids: list[int], within_s: float) -> bool:
    """Whether all are gone (or zombies) before the time is up."""
    end = time.monotonic() + within_s
    while any((status := _status(pid)) and status["State"][0] != "Z" for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def listening(pids: list[int]) -> set[str]:
    """IP addresses these processes listen on over TCP."""
    inodes = set()
    for pid in pids:
        for handle in (PROC / str(pid) / "fd").iterdir():
            target = str(handle.readlink()) if handle.is_symlink() else ""
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in inodes:
                words = bytes.fromhex(fields[1].split(":")[0])
                packed = b"".join(struct.pack(">I", word) for word in struct.unpack(f"<{len(words) // 4}I", words))
                found.add(socket.inet_ntop(family, packed).removeprefix("::ffff:"))
    return found


def proportional_bytes(pids: list[int]) -> int:
    """Memory of these processes, each shared page counted once among its sharers (PSS)."""
    total = 0
    for pid in pids:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _status(pid: int) -> dict[str, str]:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def deleted_meanwhile(folder: Path) -> None:
    """Have a folder deleted by a process that nobody waits for: tens of thousands of files take a busy disk a minute and more."""
    subprocess.run(["/bin/sh", "-c", 'rm -rf "$1" </dev/null >/dev/null 2>&1 &', "sh", folder], check=True)
