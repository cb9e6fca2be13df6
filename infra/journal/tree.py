"""The Merkle tree, without ever holding it: a compact range to append to, and roots of ranges read from tiles.

A compact range of `size` leaves is the roots of the maximal perfect subtrees, left to right: one hash per set bit of `size`. Appending
hashes once per trailing one bit, two hashes on average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.journal.leaf import EMPTY_ROOT, HASH_BYTES, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

ReadTile = Callable[[int, int], Sequence[bytes]]
"""(level, n) → the hashes of tile n at that level, as many as there are, at most 256: hash i of a level is the root of the full subtree of
256**level leaves starting at i * 256**level."""


class JournalError(Exception):
    """The log's bytes are not what they should be. `code` says which promise is broken."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a perfect subtree of 2**height leaves, the `position`-th of its height."""

    height: int
    position: int
    hash: bytes


class CompactRange:
    """Mutable: the right edge of a growing tree."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(value) != HASH_BYTES for value in hashes):
            raise JournalError("range_malformed", f"{len(hashes)} hashes for {size} leaves")
        self.size = size
        self._hashes = list(hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> CompactRange:
        return cls(size, [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)])

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def to_bytes(self) -> bytes:
        return b"".join(self._hashes)

    def append(self, leaf: bytes) -> list[Node]:
        """Add one leaf; returns the perfect subtrees it completes, from the leaf itself upwards."""
        return self.append_perfect(0, leaf)

    def append_perfect(self, height: int, root: bytes) -> list[Node]:
        """Add 2**height leaves by the root of their subtree, which has to begin at a multiple of so many; returns it and the perfect subtrees
        above that it completes."""
        rest, over = divmod(self.size, 1 << height)
        if over:
            raise JournalError("range_malformed", f"no perfect subtree of height {height} begins at {self.size}")
        done = [Node(height, rest, root)]
        while rest & 1:
            root = node_hash(self._hashes.pop(), root)
            rest >>= 1
            done.append(Node(height + len(done), rest, root))
        self._hashes.append(root)
        self.size += 1 << height
        return done

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        result = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            result = node_hash(left, result)
        return result


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a run of sibling subtree roots that is perfect, or the right edge of a tree."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        paired = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = paired + row[len(paired) * 2 :]
    return row[0]


def split_point(size: int) -> int:
    """The largest power of two below `size`, for size > 1."""
    return 1 << ((size - 1).bit_length() - 1)


def perfect_root(start: int, height: int, read: ReadTile) -> bytes:
    """The root of the perfect subtree of 2**height leaves at `start`, folded from one tile. JournalError when the tile is short."""
    level, above = divmod(height, TILE_HEIGHT)
    tile, offset = divmod(start >> (level * TILE_HEIGHT), TILE_WIDTH)
    hashes = read(level, tile)[offset : offset + (1 << above)]
    if len(hashes) != 1 << above:
        raise JournalError("tile_short", f"tile {tile} of level {level} has no {1 << above} hashes at {offset}")
    return fold(hashes)


def range_root(start: int, end: int, read: ReadTile) -> bytes:
    """MTH(D[start:end]) of RFC 6962 for the ranges its recursion meets: `start` is aligned to a power of two at least end - start."""
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        return perfect_root(start, size.bit_length() - 1, read)
    split = split_point(size)
    return node_hash(range_root(start, start + split, read), range_root(start + split, end, read))


def range_at(size: int, read: ReadTile) -> CompactRange:
    """The compact range of the first `size` leaves."""
    hashes, start = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            hashes.append(perfect_root(start, height, read))
            start += 1 << height
    return CompactRange(size, hashes)
