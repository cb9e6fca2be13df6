"""Entry tiles of a log, read: their leaves' hashes and their events, each held to its one spelling.

Reading costs an audit about as much as replaying. So a long log is read ahead by a process of its own (`python -m jobs.audit_reading`)
while the audit replays; it hands over what it read of each tile, never more than a pipe holds. Bytes are hashed where they were read, so
that what is replayed is what was hashed. Without a second processor, or should that process end, the audit reads for itself: what is found
does not depend on who read.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.tiles import width_of
from infra.journal.tree import TILE_WIDTH
from jobs.events import Recorded, UnreadableEntry, read_entry, read_fields, recorded_of

T = TypeVar("T")
LONG = 20_000  # entries: below that the audit is over before another process has begun


@dataclass(frozen=True, slots=True)
class Tile:
    """The entries `first`… of one tile. `events`: of those up to the first that cannot be read, which is all where `readable`."""

    leaves: list[bytes]
    events: list[Recorded]
    readable: bool


def read(first: int, bodies: Sequence[bytes]) -> Tile:
    """What these bytes say, as entries `first`…"""
    leaves, events = _read(first, bodies, read_entry)
    return Tile(leaves, events, len(events) == len(leaves))


def _read(first: int, bodies: Sequence[bytes], one: Callable[[int, bytes], T]) -> tuple[list[bytes], list[T]]:
    found: list[T] = []
    with contextlib.suppress(UnreadableEntry):
        for index, body in enumerate(bodies, first):
            found.append(one(index, body))
    return [leaf_hash(body) for body in bodies], found


class Ahead:
    """The tiles of a log of `size` entries, asked for one after the other."""

    def __init__(self, files: LogFiles, size: int) -> None:
        self._files = files
        self._size = size
        self._reader: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._begun = False
        if size >= LONG and len(os.sched_getaffinity(0)) > 1:
            self._pipe, theirs = Pipe()
            with theirs:
                words = [sys.executable, "-m", "jobs.audit_reading", str(theirs.fileno()), str(files.folder), str(size)]
                self._reader = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603  # ourselves

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def tile(self, n: int) -> Tile:
        """Tile `n`: of the reader, as soon as that is up; until then, and without one, read here."""
        return self._handed(n) or read(n * TILE_WIDTH, self._files.readable_entries(n, width_of(self._size, 0, n)))

    def _handed(self, n: int) -> Tile | None:
        if self._pipe is None:
            return None
        try:
            if not self._begun:
                if not self._pipe.poll():
                    return None
                self._pipe.recv()  # it is up
                self._pipe.send(n)
                self._begun = True
            leaves, fields = self._pipe.recv()
        except (EOFError, OSError):
            self._end()
            return None
        return Tile(leaves, [recorded_of(index, each) for index, each in enumerate(fields, n * TILE_WIDTH)], len(fields) == len(leaves))

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._reader is not None:
            self._reader.kill()  # it holds nothing
            self._reader.wait()
            self._reader = None


def main(words: Sequence[str]) -> None:
    """The reader: says that it is up, is told the first tile to read, and reads to the end."""
    files, size = LogFiles(Path(words[1])), int(words[2])
    with contextlib.suppress(EOFError, OSError), Connection(int(words[0])) as pipe:  # nobody listens any more
        pipe.send(None)
        for n in range(pipe.recv(), -(-size // TILE_WIDTH)):
            pipe.send(_read(n * TILE_WIDTH, files.readable_entries(n, width_of(size, 0, n)), read_fields))


if __name__ == "__main__":
    main(sys.argv[1:])
