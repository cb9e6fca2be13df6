"""A whole log, read from a folder or over HTTP as C2SP tlog-tiles, and checked from its first entry to its signed root."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from yunei.problem import problem
from yunei.transparency import (
    EMPTY_ROOT,
    HASH_BYTES,
    TILE_WIDTH,
    Accumulator,
    Checkpoint,
    Key,
    Receipt,
    check_consistency,
    fold_peaks,
    leaf_hash,
    node_hash,
    prove_consistency,
)

Progress = Callable[[int, int], None]  # (entries checked, entries in all)


class Source(Protocol):
    """Where a log's files are. `read` gives a file's bytes or None when there is none; `checkpoint` the newest signed note."""

    @property
    def where(self) -> str: ...

    def read(self, path: str) -> bytes | None: ...

    def checkpoint(self) -> str: ...


@dataclass(frozen=True)
class Folder:
    """A copy of a log on disk: `checkpoint` and `tile/…` under `root`."""

    root: Path

    @property
    def where(self) -> str:
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def checkpoint(self) -> str:
        note = self.read("checkpoint")
        if note is None:
            raise problem("verify_missing", path=str(self.root / "checkpoint"))
        return decode(note)


def decode(note: bytes) -> str:
    try:
        return note.decode()
    except UnicodeDecodeError:
        raise problem("verify_note", why="it is not UTF-8") from None


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """`tile/<level>/<index>[.p/<width>]`; level "entries" names a bundle of entries.

    >>> tile_path(0, 1234067), tile_path("entries", 5, 12)
    ('tile/0/x001/x234/067', 'tile/entries/005.p/12')
    """
    number = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        number = f"x{index % 1000:03d}/{number}"
    return f"tile/{level}/{number}" + ("" if width == TILE_WIDTH else f".p/{width}")


class Tiles:
    """The tiles and entries of a log of `size`. What it returns is unproven until it has been folded into a signed root."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.size = size
        self._kept: dict[tuple[int, int], bytes] = {}

    def width(self, level: int, index: int) -> int:
        """How many hashes tile `index` of `level` holds in a log of this size."""
        return max(0, min(TILE_WIDTH, (self.size >> (8 * level)) - index * TILE_WIDTH))

    def _file(self, level: int | str, index: int, width: int) -> tuple[str, bytes]:
        path = tile_path(level, index, width)
        data = self._source.read(path)
        if data is None and width < TILE_WIDTH:  # a log that has grown past a partial tile may drop it
            path = tile_path(level, index)
            data = self._source.read(path)
        if data is None:
            raise problem("verify_missing", path=tile_path(level, index, width))
        return path, data

    def tile(self, level: int, index: int) -> tuple[str, bytes]:
        """The path read and the first `width` hashes of a tile; fewer when the file is too short."""
        width = self.width(level, index)
        path, data = self._file(level, index, width)
        full = path == tile_path(level, index)
        if len(data) != (TILE_WIDTH if full else width) * HASH_BYTES:
            data = data[: len(data) // HASH_BYTES * HASH_BYTES] if len(data) < width * HASH_BYTES else b""
        return path, data[: width * HASH_BYTES]

    def bundle(self, index: int) -> tuple[str, list[bytes]]:
        """The path read and the entries of bundle `index`, as far as its lengths make sense; a sound bundle gives all."""
        width = self.width(0, index)
        path, data = self._file("entries", index, width)
        whole = TILE_WIDTH if path == tile_path("entries", index) else width
        entries: list[bytes] = []
        at = 0
        while at + 2 <= len(data) and len(entries) < whole:
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                break
            entries.append(data[at + 2 : end])
            at = end
        if at != len(data) and len(entries) == whole:
            entries.pop()  # bytes after the last entry belong to no entry: the last one cannot be told
        return path, entries[:width]

    def entries(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Entries `first` to `stop - 1` with their indices. Raises `verify_entry` where a bundle breaks off."""
        for number in range(first // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            path, entries = self.bundle(number)
            for index in range(max(first, number * TILE_WIDTH), min(stop, (number + 1) * TILE_WIDTH)):
                if index - number * TILE_WIDTH >= len(entries):
                    raise problem("verify_entry", index=index, path=path)
                yield index, entries[index - number * TILE_WIDTH]

    def subtree(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree, folded from the lowest tile that spans it."""
        tile_level, height = divmod(level, 8)
        first = index << height
        number, offset = divmod(first, TILE_WIDTH)
        kept = self._kept.get((tile_level, number))
        if kept is None:
            path, kept = self.tile(tile_level, number)
            if len(kept) != self.width(tile_level, number) * HASH_BYTES:
                raise problem("verify_tile", path=path, index=len(kept) // HASH_BYTES)
            self._kept[tile_level, number] = kept
        hashes = [kept[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(offset, offset + (1 << height))]
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries, at most as many as there are."""
        peaks, start = [], 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                peaks.append(self.subtree(level, start >> level))
                start += 1 << level
        return fold_peaks(peaks)


def check_extends(old: Checkpoint, new: Checkpoint, source: Source) -> None:
    """Raises `verify_fork` unless the log at `new` begins with the log at `old`; reads the few tiles the proof needs."""
    proof = prove_consistency(old.size, new.size, Tiles(source, new.size).subtree) if old.size < new.size else []
    check_consistency(old, new, proof)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a whole-log verification has established. `anchors` are the sizes of older checkpoints that the log passed through."""

    checkpoint: Checkpoint
    where: str
    anchors: tuple[int, ...]
    entry_bytes: int


def verify_log(source: Source, checkpoint: Checkpoint, older: tuple[Checkpoint, ...] = (), progress: Progress | None = None) -> Verified:
    """Recompute the log that `checkpoint` signs, entry by entry, and every tile on the way.

    Raises `verify_entry` naming the first altered entry, `verify_entries` when hash files were altered along with it, `verify_tile` when
    only a hash file was, `verify_missing`, `verify_rollback` or `verify_fork` when the log does not pass through one of `older`.
    Memory is one tile per level; time is one SHA-256 per entry and one per node.
    """
    for old in older:
        if old.origin != checkpoint.origin:
            raise problem("verify_origin", wanted=old.origin, got=checkpoint.origin)
        if old.size > checkpoint.size:
            raise problem("verify_rollback", seen=old.size, now=checkpoint.size)
    walk = _Walk(Tiles(source, checkpoint.size), older, checkpoint)
    for number in range(-(-checkpoint.size // TILE_WIDTH)):
        walk.bundle(number)
        if progress is not None:
            progress(min(checkpoint.size, (number + 1) * TILE_WIDTH), checkpoint.size)
    walk.finish()
    for old in older:  # equal sizes, and two checkpoints of one size
        if walk.roots[old.size] != old.root:
            raise problem("verify_fork", old=old.size, new=checkpoint.size)
    return Verified(checkpoint, source.where, tuple(sorted({old.size for old in older})), walk.entry_bytes)


class _Level:
    """One level of tiles during a walk: what the entries give, beside what the files list."""

    def __init__(self) -> None:
        self.row: list[bytes] = []  # computed hashes of the tile being filled
        self.full = 0  # tiles filled before it
        self.listed = Accumulator()  # over the hashes on file
        self.differs: tuple[int, str] | None = None  # first hash where the two part, and the file it was read from

    def compare(self, level: int, tiles: Tiles) -> None:
        path, data = tiles.tile(level, self.full)
        for at, computed in enumerate(self.row):
            listed = data[at * HASH_BYTES : (at + 1) * HASH_BYTES]
            if listed != computed and self.differs is None:
                self.differs = self.full * TILE_WIDTH + at, path
            self.listed.append(listed)


class _Walk:
    """One pass over a log.

    When the entries do not lead to the signed root, the lowest level of hashes on file that does lead there is genuine, and the first of
    its hashes that the entries do not give shows where they were altered.
    """

    def __init__(self, tiles: Tiles, older: tuple[Checkpoint, ...], checkpoint: Checkpoint) -> None:
        self._tiles = tiles
        self._checkpoint = checkpoint
        self._older = older
        self._computed = Accumulator()
        self._levels = [_Level()]
        self.roots: dict[int, bytes] = dict.fromkeys((0, checkpoint.size, *(old.size for old in older)), EMPTY_ROOT)
        self.entry_bytes = 0

    def bundle(self, number: int) -> None:
        _, entries = self._tiles.bundle(number)
        for offset in range(self._tiles.width(0, number)):
            readable = offset < len(entries)
            leaf = leaf_hash(entries[offset]) if readable else b""
            self.entry_bytes += len(entries[offset]) if readable else 0
            self._computed.append(leaf)
            if self._computed.size in self.roots:
                self.roots[self._computed.size] = self._computed.root()
            self._push(0, leaf)

    def _push(self, number: int, value: bytes) -> None:
        level = self._levels[number]
        level.row.append(value)
        if len(level.row) < TILE_WIDTH:
            return
        level.compare(number, self._tiles)
        hashes = level.row
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        level.row, level.full = [], level.full + 1
        if number + 1 == len(self._levels):
            self._levels.append(_Level())
        self._push(number + 1, hashes[0])

    def finish(self) -> None:
        for number, level in enumerate(self._levels):
            if level.row:
                level.compare(number, self._tiles)
        if self._computed.root() == self._checkpoint.root:
            for level in self._levels:
                if level.differs is not None:
                    index, path = level.differs
                    raise problem("verify_tile", path=path, index=index % TILE_WIDTH)
            return
        tails: list[bytes] = []  # peaks of what is too young to be under a hash of the level
        for number, level in enumerate(self._levels):
            if fold_peaks(level.listed.peaks + tails) == self._checkpoint.root and level.differs is not None:
                index = level.differs[0]
                if number == 0:
                    width = self._tiles.width(0, index // TILE_WIDTH)
                    raise problem("verify_entry", index=index, path=tile_path("entries", index // TILE_WIDTH, width))
                raise problem("verify_entries", first=index << (8 * number), last=((index + 1) << (8 * number)) - 1)
            tail = Accumulator()
            for value in level.row:
                tail.append(value)
            tails = tail.peaks + tails
        sound = max((old.size for old in self._older if self.roots[old.size] == old.root), default=0)
        raise problem("verify_entries", first=sound, last=self._checkpoint.size - 1)


def successors(key: Key, source: Source, *, most: int = 1000) -> Iterator[tuple[Key, Checkpoint]]:
    """The keys that follow `key`, each announced in the log under the one before it, with the checkpoint that proves it.

    `keys/<n>` beside a log are receipts of the announcements. Nothing is taken from them but what the key already trusted has signed.
    Raises `verify_*` for a receipt under a trusted key that does not hold.
    """
    for number in range(most):
        data = source.read(f"keys/{number}")
        if data is None:
            return
        receipt = Receipt.parse(decode(data))
        try:
            event = json.loads(receipt.extra)
            kind, under, vkey = event["kind"], event["under"], event["vkey"]
        except (ValueError, KeyError, TypeError):
            raise problem("verify_receipt", why="it announces no key") from None
        if under != str(key):
            continue  # of a key before the one we trust
        checkpoint = receipt.verify(receipt.extra, key)
        following = Key.parse(str(vkey))
        if kind != "log_key_announced" or following.name != key.name or following.type != key.type:
            raise problem("verify_receipt", why="it announces no key")
        key = following
        yield key, checkpoint
