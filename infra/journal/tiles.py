"""Tiles (C2SP tlog-tiles): where each hash and each entry lies, so that a log is a folder of plain files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.journal.leaf import HASH_BYTES
from infra.journal.tree import TILE_HEIGHT, TILE_WIDTH, JournalError

ENTRY_LIMIT = 65_535
Level = int | Literal["entries"]


def number_path(n: int) -> str:
    """Groups of three digits, all but the last prefixed with x.

    >>> number_path(1234067)
    'x001/x234/067'
    """
    groups = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        groups.insert(0, f"x{n % 1000:03d}")
    return "/".join(groups)


@dataclass(frozen=True, slots=True)
class TileName:
    """One file: `width` hashes (or entries) of tile `n` at `level`; 256 is a full tile."""

    level: Level
    n: int
    width: int

    @property
    def path(self) -> str:
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{number_path(self.n)}{partial}"

    @property
    def partials(self) -> str:
        """The folder of this tile's partial forms."""
        return f"tile/{self.level}/{number_path(self.n)}.p"


def level_size(size: int, level: int) -> int:
    """How many hashes a level has in a tree of `size` leaves."""
    return size >> (TILE_HEIGHT * level)


def width_of(size: int, level: int, n: int) -> int:
    """How many hashes of tile `n` a tree of `size` has."""
    return max(0, min(TILE_WIDTH, level_size(size, level) - n * TILE_WIDTH))


def tile_names(old: int, new: int) -> Iterator[TileName]:
    """The hash tiles that a tree of `new` leaves has and one of `old` has not, lower levels first."""
    level = 0
    while (count := level_size(new, level)) > 0:
        before = level_size(old, level)
        if count > before:
            for n in range(before // TILE_WIDTH, -(-count // TILE_WIDTH)):
                yield TileName(level, n, width_of(new, level, n))
        level += 1


def entry_names(old: int, new: int) -> Iterator[TileName]:
    """The entry tiles likewise."""
    if new > old:
        for n in range(old // TILE_WIDTH, -(-new // TILE_WIDTH)):
            yield TileName("entries", n, width_of(new, 0, n))


def edge_names(size: int) -> Iterator[TileName]:
    """The last tile of each level, and the last entry tile: those a tree of `size` leaves still grew when it was written."""
    level = 0
    while (count := level_size(size, level)) > 0:
        n = (count - 1) // TILE_WIDTH
        if level == 0:
            yield TileName("entries", n, width_of(size, 0, n))
        yield TileName(level, n, width_of(size, level, n))
        level += 1


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    return b"".join(hashes)


def decode_hashes(data: bytes) -> list[bytes]:
    if len(data) % HASH_BYTES or not 0 < len(data) <= HASH_BYTES * TILE_WIDTH:
        raise JournalError("tile_malformed", f"a hash tile of {len(data)} bytes")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


def encode_entries(bodies: Sequence[bytes]) -> bytes:
    """Each entry after its length as u16. JournalError for one above ENTRY_LIMIT."""
    if any(len(body) > ENTRY_LIMIT for body in bodies):
        raise JournalError("entry_large", f"an entry has at most {ENTRY_LIMIT} bytes")
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


def decode_entries(data: bytes) -> list[bytes]:
    """The entries; a tail that is no whole entry raises JournalError."""
    bodies, rest = readable_entries(data)
    if rest:
        raise JournalError("tile_malformed", "an entry tile ends inside an entry")
    return bodies


def readable_entries(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole entries from the start, and what follows them: for looking into a damaged tile."""
    bodies, at = [], 0
    while at + 2 <= len(data) and (end := at + 2 + int.from_bytes(data[at : at + 2], "big")) <= len(data):
        bodies.append(data[at + 2 : end])
        at = end
    return bodies, data[at:]
