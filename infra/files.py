"""Files written whole, and on the disk when that is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write(path: Path, data: bytes) -> None:
    """A new file, for its owner alone, synced; `sync` its folder once all that belongs together is there. FileExistsError when it is there."""
    with begun(path) as file:
        file.write(data)


@contextmanager
def begun(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner alone, to be written in pieces; synced when the block ends well."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, *, fresh: bool = False) -> None:
    """The file with new content, at once: readers see the old or the new. `fresh`: FileExistsError rather than replace one."""
    aside = path.with_name(f".new-{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        write(aside, data)
        if fresh:
            os.link(aside, path)  # unlike rename, never replaces what another process has just made
        else:
            os.rename(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)


def erase(path: Path) -> None:
    """Zeros over it, synced, then gone. What wear levelling, snapshots and copies keep of it is out of a program's reach."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


def sync(path: Path) -> None:
    """What was named, renamed or removed in the folder (or written to the file) is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
