"""The sequencer: turns committed entries into tiles and a signed checkpoint.

It signs only what it has proved to itself: the root it signs is computed from the leaves in the database, equals the head the writers
kept, and extends the checkpoint that lies in the folder. A database restored from an older backup, or edited, is therefore found before
the log's key has signed two histories.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Row, bindparam, select

from infra.database import reading
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.note import Signer, VerifierKey, add_lines, sign_note, split_note
from infra.journal.proof import Receipt, consistency, inclusion
from infra.journal.tiles import TileName, edge_names, encode_entries, encode_hashes, entry_names, tile_names, width_of
from infra.journal.tree import TILE_WIDTH, CompactRange, JournalError, ReadTile, range_at
from infra.prepared import Prepared, fetch
from infra.tables import documents, entries, log_hashes, log_head
from jobs.log_keys import KEY_KINDS, Succession, active, kept_receipt, successions

_first, _end = bindparam("first", type_=Integer), bindparam("end", type_=Integer)
_at, _level = entries.c.position, bindparam("level_", type_=Integer)
_HEAD = Prepared(select(log_head.c.size, log_head.c.edge))
_ENTRIES = Prepared(select(entries.c.body, entries.c.leaf, entries.c.kind).where(_at >= _first, _at < _end).order_by(_at))
_LEAVES = Prepared(select(entries.c.leaf.label("hash")).where(_at >= _first, _at < _end).order_by(_at))
_HASHES = Prepared(
    select(log_hashes.c.hash)
    .where(log_hashes.c.level == _level, log_hashes.c.position >= _first, log_hashes.c.position < _end)
    .order_by(log_hashes.c.position)
)
_DOCUMENTS = Prepared(select(documents.c.digest, documents.c.body).where(documents.c.entry >= _first, documents.c.entry < _end))


class LogForked(Exception):
    """The database does not continue the log that was published. Nothing is signed until a person has looked: see `yunei audit`."""


def tile_reader(connection: Connection, size: int) -> ReadTile:
    """Tiles of the tree of `size` entries, read from the database; each tile once."""
    known: dict[tuple[int, int], list[bytes]] = {}

    def read(level: int, n: int) -> list[bytes]:
        if (level, n) not in known:
            span = {"first": n * TILE_WIDTH, "end": n * TILE_WIDTH + width_of(size, level, n)}
            rows = fetch(connection, _HASHES, {**span, "level_": level}) if level else fetch(connection, _LEAVES, span)
            known[level, n] = [bytes(row.hash) for row in rows]
        return known[level, n]

    return read


def consistency_proof(connection: Connection) -> Callable[[int, int], Sequence[bytes]]:
    """Proofs between two sizes of the log in this database."""
    return lambda old, new: consistency(old, new, tile_reader(connection, new))


@dataclass(frozen=True, slots=True)
class _Published:
    """The newest checkpoint this process wrote or checked: its note, the edge of its tree, entries and leaves of its last, unfinished tile."""

    note: str
    size: int
    edge: tuple[bytes, ...]
    tail: tuple[tuple[bytes, bytes], ...]


class Sequencer:
    """One per process. `publish` may be called by any thread; calls that find their entries covered return at once."""

    def __init__(self, engine: Engine, files: LogFiles, own: Callable[[], Sequence[Signer]], *, beside: Sequence[Signer] = ()) -> None:
        """`own` reads the private keys at hand, the present one first; which of them sign, the log says. Those `beside` add lines of another
        suite, which readers that do not know it ignore."""
        self._engine = engine
        self._files = files
        self._own = own
        self._beside = tuple(beside)
        self.signers = tuple(own()[:1])
        self.forked: LogForked | None = None
        self._turn = threading.Lock()
        self._last: _Published | None = None

    @property
    def signer(self) -> Signer:
        """The newest key of the log."""
        return self.signers[-1]

    def publish(self, at_least: int | None = None) -> str:
        """A checkpoint over everything committed, or the present one when it has `at_least` entries. LogForked, OSError."""
        if (last := self._last) is not None and at_least is not None and last.size >= at_least:
            return last.note
        with self._turn:
            if (last := self._last) is not None and at_least is not None and last.size >= at_least:
                return last.note  # another thread's checkpoint covered us while we waited
            try:
                with self._files.exclusive(), reading(self._engine) as connection:
                    self._last = self._publish(connection)
            except LogForked as error:
                self.forked = error
                raise
            return self._last.note

    def cosigned(self, text: str, lines: Sequence[str]) -> None:
        """Append cosignatures over the checkpoint `text` to the published checkpoint, if it is still that one, and to the one kept as
        witnessed, which is never replaced by a smaller one."""
        with self._turn, self._files.exclusive():
            note, kept = self._files.checkpoint(), self._files.witnessed()
            if note is not None and split_note(note)[0] == text:
                note = add_lines(note, lines)
                self._files.put_checkpoint(note)
                if self._last is not None and split_note(self._last.note)[0] == text:
                    self._last = replace(self._last, note=note)
            else:
                note = add_lines(sign_note(text, *self.signers, *self._beside), lines)
            if kept is None or Checkpoint.peek(kept).size < Checkpoint.peek(note).size:
                self._files.put_witnessed(note)
            elif split_note(kept)[0] == text:
                self._files.put_witnessed(add_lines(kept, lines))

    def halt(self, why: str) -> None:
        """Take no new work: someone else has seen another history of this log."""
        self.forked = LogForked(why)

    def _publish(self, connection: Connection) -> _Published:
        (head,) = fetch(connection, _HEAD, {})
        note, last = self._files.checkpoint(), self._last
        if last is None or note != last.note:
            last = self._adopt(connection, note, head.size)
            self._sign_as(connection, head.size)
        if last.note and last.size == head.size:
            return last
        edge, tail, changed = CompactRange(last.size, last.edge), list(last.tail), self._last is None
        for row in _entries(connection, last.size, head.size):
            edge.append(bytes(row.leaf))
            tail.append((bytes(row.body), bytes(row.leaf)))
            changed = changed or row.kind in KEY_KINDS
        if edge.size != head.size or edge.to_bytes() != bytes(head.edge):
            raise LogForked(f"the entries in the database do not lead from size {last.size} to its head of size {head.size}")
        self._write(connection, last.size, head.size, tail)
        chain = self._sign_as(connection, head.size) if changed else []
        note = Checkpoint(self.signer.key.name, edge.size, edge.root()).sign(*self.signers, *self._beside)
        self._keep(connection, chain, head.size, note)
        self._files.put_checkpoint(note)
        return _Published(note, edge.size, edge.hashes, tuple(tail[len(tail) - edge.size % TILE_WIDTH :]))

    def _sign_as(self, connection: Connection, size: int) -> list[Succession]:
        """Take the keys that sign a log of `size` entries; returns how they came to."""
        chain, own = successions(connection, size), {str(signer.key): signer for signer in self._own()}
        wanted = active(chain, next(iter(own)))
        if any(vkey not in own for vkey in wanted):
            raise LogForked("the log's present key is not in the folder of keys: it was changed after that folder was copied")
        self.signers = tuple(own[vkey] for vkey in wanted)
        return chain

    def _keep(self, connection: Connection, chain: list[Succession], size: int, note: str) -> None:
        """Write the receipts by which others follow a change of key."""
        for number, each in enumerate(chain):
            if self._files.succession(number) is None:
                kept = None if each.document is None else kept_receipt(connection, each.document)
                path = inclusion(each.position, size, tile_reader(connection, size)) if kept is None else []
                self._files.put_succession(number, kept or Receipt(each.position, tuple(path), note, each.entry).encode())

    def _write(self, connection: Connection, old: int, new: int, tail: list[tuple[bytes, bytes]]) -> None:
        """Tiles and documents that a tree of `new` entries has and one of `old` has not. `tail`: entries and leaves since the last full tile
        of `old`."""
        for row in fetch(connection, _DOCUMENTS, {"first": old, "end": new}):
            self._files.put_document(row.digest, bytes(row.body))
        first = old - old % TILE_WIDTH
        for name in entry_names(old, new):
            part = tail[name.n * TILE_WIDTH - first :][: name.width]
            self._files.put_tile(name, encode_entries([body for body, _ in part]))
            self._files.put_tile(TileName(0, name.n, name.width), encode_hashes([leaf for _, leaf in part]))
        read = tile_reader(connection, new)
        for name in tile_names(old, new):
            if name.level != 0:
                self._files.put_tile(name, encode_hashes(read(int(name.level), name.n)))

    def _adopt(self, connection: Connection, note: str | None, size: int) -> _Published:
        """Take over from the checkpoint in the folder, which another process wrote, or this one before it was restarted."""
        if note is None:
            return _Published("", 0, (), ())
        try:
            first = str(self._own()[0].key)
            keys = active(successions(connection, Checkpoint.peek(note).size), first)
            checkpoint = Checkpoint.open(note, [VerifierKey.parse(key) for key in keys])
        except JournalError as error:
            raise LogForked(f"the checkpoint in the folder is not one this log signed: {error.code}") from error
        if checkpoint.size > size:
            raise LogForked(f"a checkpoint of {checkpoint.size} entries was published; the database has {size}")
        read = tile_reader(connection, checkpoint.size)
        try:
            edge = range_at(checkpoint.size, read)
        except JournalError as error:
            raise LogForked(f"the database lacks entries of the published {checkpoint.size}") from error
        if edge.root() != checkpoint.root:
            raise LogForked(f"the first {checkpoint.size} entries in the database are not those that were published")
        tail = _pairs(connection, checkpoint.size - checkpoint.size % TILE_WIDTH, checkpoint.size)
        if self._last is None:
            self._holds_witnessed(connection, keys, size)
        if self._last is None and not self._edge_is_whole(connection, checkpoint.size, read):
            self.rewrite(connection, checkpoint.size)
        return _Published(note, checkpoint.size, edge.hashes, tuple(tail))

    def _holds_witnessed(self, connection: Connection, keys: Sequence[str], size: int) -> None:
        """LogForked unless the log begins with what a witness cosigned last: a restored folder may keep that when all else is older."""
        note = self._files.witnessed()
        if note is None:
            return
        try:
            seen = Checkpoint.open(note, [VerifierKey.parse(key) for key in keys])
            holds = seen.size <= size and range_at(seen.size, tile_reader(connection, seen.size)).root() == seen.root
        except JournalError as error:
            if error.code == "signature_missing":  # under a key that has since retired: the chain was checked when it was
                return
            raise LogForked(f"the cosigned checkpoint in the folder is not one this log signed: {error.code}") from error
        if not holds:
            raise LogForked(f"a checkpoint of {seen.size} entries was cosigned; the database does not hold them")

    def _edge_is_whole(self, connection: Connection, size: int, read: ReadTile) -> bool:
        """Whether the last tile of each level is as it should be: a power cut may have left it short, for partial tiles are not synced."""
        for name in edge_names(size):
            try:
                if name.level == "entries":
                    first = name.n * TILE_WIDTH
                    whole = self._files.entries(name.n, name.width) == [bytes(row.body) for row in _entries(connection, first, size)]
                else:
                    whole = self._files.hashes(name.level, name.n, name.width) == read(name.level, name.n)
            except (OSError, JournalError):
                return False
            if not whole:
                return False
        return True

    def rewrite(self, connection: Connection, size: int) -> None:
        """Write every tile and document of the first `size` entries again, from the database, one tile in memory at a time."""
        for start in range(0, size, TILE_WIDTH):
            end = min(start + TILE_WIDTH, size)
            self._write(connection, start, end, _pairs(connection, start, end))


def _pairs(connection: Connection, start: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(bytes(row.body), bytes(row.leaf)) for row in _entries(connection, start, end)]


def _entries(connection: Connection, start: int, end: int) -> Sequence[Row[Any]]:
    return fetch(connection, _ENTRIES, {"first": start, "end": end})
