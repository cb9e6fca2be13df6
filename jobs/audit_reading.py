"""Entry tiles of a log, read: their leaves' hashes and their events, each held to its one spelling.

Reading costs an audit about as much as replaying. So a long log is read ahead by a process of its own (`python -m jobs.audit_reading`)
while the audit replays; it hands over what it read of each tile, never more than a pipe holds. Bytes are hashed where they were read, so
that what is replayed is what was hashed. Without a second processor, or should that process end, the audit reads for itself: what is found
does not depend on who read. Both spare Python's collector: an audit makes many objects, few of which live longer than their tile.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.tiles import width_of
from infra.journal.tree import TILE_WIDTH
from jobs.events import Recorded, UnreadableEntry, read_entry
from jobs.events.handed import packed, unpacked

LONG = 20_000  # entries: below that the audit is over before another process has begun
OBJECTS = 20_000  # made before those that are young are looked through: some megabytes


@contextmanager
def spared() -> Iterator[None]:
    """This process's garbage is collected less often, and what it holds already not at all, until the end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Tile:
    """The entries `first`… of one tile. `events`: of those up to the first that cannot be read, which is all where `readable`."""

    leaves: list[bytes]
    events: list[Recorded]
    readable: bool


def read(first: int, bodies: Sequence[bytes]) -> Tile:
    """What these bytes say, as entries `first`…"""
    events: list[Recorded] = []
    with contextlib.suppress(UnreadableEntry):
        for index, body in enumerate(bodies, first):
            events.append(read_entry(index, body))
    return Tile([leaf_hash(body) for body in bodies], events, len(events) == len(bodies))


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
            leaves, events = self._pipe.recv()
        except (EOFError, OSError):
            self._end()
            return None
        read_there = unpacked(n * TILE_WIDTH, events)
        return Tile(leaves, read_there, len(read_there) == len(leaves))

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
    with contextlib.suppress(EOFError, OSError), Connection(int(words[0])) as pipe, spared():  # nobody listens any more
        pipe.send(None)
        for n in range(pipe.recv(), -(-size // TILE_WIDTH)):
            tile = read(n * TILE_WIDTH, files.readable_entries(n, width_of(size, 0, n)))
            pipe.send((tile.leaves, packed(tile.events)))


if __name__ == "__main__":
    main(sys.argv[1:])
