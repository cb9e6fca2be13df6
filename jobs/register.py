"""The register: events appended to a Merkle-hashed, signed log and projected into tables, in one transaction.

    with register.transaction() as act:
        act.append(LicenceSuspended(by="zhang", licence="L-1", reason="…"))

Writers take turns, within the process by a lock and among processes by the database: the log is one total order. Writers of one process
that wait at the same time share a commit, which each is told of only when it is on disk (`infra/turns.py`). After the commit the
tiles and a signed checkpoint are written by whichever process holds the log folder's lock, for everything committed so far, so that
many commits may share one checkpoint. A crash between commit and checkpoint loses nothing: the next checkpoint covers it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, bindparam, insert, literal_column, select, update

from infra.clock import Clock, system_clock
from infra.database import UNAVAILABLE, insert_ignoring, open_engine, reading
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.note import Signer
from infra.journal.proof import Receipt, consistency, inclusion
from infra.journal.tree import TILE_HEIGHT, CompactRange, JournalError
from infra.journal.witness import WitnessAddress
from infra.keys import KeyRing, Random
from infra.prepared import Prepared, Writer
from infra.settings import Settings
from infra.tables import documents, entries, log_hashes, log_head, openings
from infra.turns import SAVEPOINT, Turns
from jobs import credentials, directory
from jobs.credentials import KeyRecord
from jobs.directory import LicenceRecord, Principal
from jobs.events import Event, Recorded, canonical, commitment, read_entry, rfc3339
from jobs.projections import project
from jobs.schema import brought_up
from jobs.seals import gm_signers
from jobs.sequencer import LogForked, Sequencer, tile_reader
from jobs.witnesses import Witnesses
from policies.catalogue import Catalogue, Snapshot
from policies.problem import declare

ENTRY_UNKNOWN = declare(
    "log_entry_unknown",
    zh=("存证日志中没有这一条", "日志现有 {size} 条，没有第 {index} 条。", "请核对序号：第一条为 0。"),
    en=("No such entry in the log", "The log has {size} entries; there is none at index {index}.", "Check the index: the first entry is 0."),
)

REGISTER_UNAVAILABLE = declare(
    "server_register_unavailable",
    zh=(
        "登记库暂不可用",
        "登记库此刻无法写入（连接中断、磁盘已满、只读，或被占用过久）；本次操作没有发生，已受理的作业不受影响。",
        "请稍后重试；持续出现时请告知运维人员检查数据库和磁盘。恢复后无需重启。",
    ),
    en=(
        "The register is temporarily unavailable",
        "The register cannot be written now (its database is gone, full, read-only or held for too long). This action was "
        "not carried out; jobs already admitted are not affected.",
        "Try again shortly. If this goes on, ask the operations staff to check the database and its disk; no restart is needed afterwards.",
    ),
)

_HEAD = select(log_head.c.size, log_head.c.edge, log_head.c.at).where(log_head.c.id == 1)
_LOCKED_HEAD = Prepared(select(log_head.c.size, log_head.c.edge, log_head.c.at).where(log_head.c.id == literal_column("1")).with_for_update())
_MOVE_HEAD = Prepared(
    update(log_head)
    .where(log_head.c.id == literal_column("1"), log_head.c.size == bindparam("before"))
    .values(size=bindparam("after"), edge=bindparam("edge_"), at=bindparam("at_"))
)
_ENTRY = Prepared(insert(entries))
_HASH = Prepared(insert(log_hashes))
_OPENING = Prepared(insert(openings))


class _Head:
    """The head of the log in a transaction that several acts share; read at its start, written at its end."""

    def __init__(self, connection: Connection) -> None:
        self.writer = Writer(connection)
        size, edge, at = self.writer.rows(_LOCKED_HEAD, {})[0]
        self.before: int = size
        self.range = CompactRange.from_bytes(size, bytes(edge))
        self.at: str = at
        self.entries: list[dict[str, Any]] = []
        self.hashes: list[dict[str, Any]] = []

    def move(self) -> None:
        """Write the entries of all acts, and the new head."""
        if self.range.size == self.before:
            return
        self.writer.later_many(_ENTRY, self.entries)
        if self.hashes:
            self.writer.later_many(_HASH, self.hashes)
        values = {"before": self.before, "after": self.range.size, "edge_": self.range.to_bytes(), "at_": self.at}
        moved = partial(RuntimeError, "the head of the log moved during a transaction")  # the lock failed us: commit nothing
        self.writer.later(_MOVE_HEAD, values, 1, moved)
        self.writer.flush()


class Act:
    """One transaction, of which others may share the commit. `connection` is for reading inside it; the tables of PROJECTIONS change through
    `append` alone."""

    def __init__(self, connection: Connection, head: _Head, clock: Clock, random: Random) -> None:
        self._connection = connection
        self.writer = head.writer
        self._random = random
        self._head = head
        self._range = CompactRange(head.range.size, head.range.hashes)
        self.at: str = max(rfc3339(clock()), head.at)  # a clock set back cannot make the log run backwards
        self._entries: list[dict[str, Any]] = []
        self._hashes: list[dict[str, Any]] = []
        self._broken = False

    @property
    def connection(self) -> Connection:
        """For reading what stands now, this act's own work included."""
        self.writer.flush()
        return self._connection

    @property
    def size(self) -> int:
        """Entries in the log, those of this transaction included."""
        return self._range.size

    def append(self, event: Event) -> int:
        """Append and project one event; returns its index. DoesNotFit (or ValueError for an entry too long) spoils the transaction."""
        try:
            body = canonical(event, self.at)
            index, leaf = self._range.size, leaf_hash(body)
            project(self.writer, Recorded(index, self.at, event))
        except BaseException:
            self._broken = True
            raise
        self._entries.append({"position": index, "kind": event.kind, "body": body, "leaf": leaf})
        for node in self._range.append(leaf):
            level, rest = divmod(node.height, TILE_HEIGHT)
            if level and not rest:
                self._hashes.append({"level": level, "position": node.position, "hash": node.hash})
        return index

    def attach(self, body: bytes) -> str:
        """Keep content that the next event names; returns its SHA-256. It is written beside the log: nothing confidential."""
        digest = hashlib.sha256(body).hexdigest()
        insert_ignoring(self.connection, documents, {"digest": digest, "entry": self._range.size, "body": body})
        return digest

    def seal(self, content: bytes) -> str:
        """Keep confidential content in the database alone; returns the salted commitment that an event may show."""
        salt = self._random(32)
        digest = commitment(salt, content)
        row = {"commitment": digest, "salt": salt, "content": content}
        self.writer.later(_OPENING, row, None, partial(RuntimeError, "a commitment came twice"))
        return digest

    def _finish(self) -> None:
        if self._broken:
            raise RuntimeError("an append failed in this transaction; it cannot be committed")
        self.writer.flush()
        if not self._entries:
            return
        self._head.range, self._head.at = self._range, self.at
        self._head.entries += self._entries
        self._head.hashes += self._hashes


class Register:
    """The engine must be migrated; `Register.open` does it all from settings."""

    def __init__(self, engine: Engine, key_ring: KeyRing, clock: Clock, settings: Settings, random: Random = os.urandom) -> None:
        self.engine = engine
        self.settings = settings
        self.clock = clock
        self.random = random
        self.files = LogFiles(settings.log_dir)
        self.key_ring = key_ring
        self._sequencer = Sequencer(engine, self.files, self._own_keys, beside=gm_signers(key_ring, settings))
        self._turns = Turns(engine, _Head, lambda head: head.move(), lambda head: head.writer.mark(SAVEPOINT))
        self._holder: int | None = None
        self.acts = 0  # that this process committed since it began: for whoever keeps what it read of the register
        self._log = structlog.get_logger("register")
        self.witnesses = Witnesses(
            [WitnessAddress.parse(text) for text in settings.witnesses],
            publish=self.publish,
            prove=self.consistency,
            keep=self._sequencer.cosigned,
            halt=self._sequencer.halt,
            interval_s=settings.witness_interval_s,
            timeout_s=settings.witness_timeout_s,
        )
        self.publish()

    @classmethod
    def open(cls, settings: Settings, clock: Clock = system_clock, random: Random = os.urandom) -> Register:
        """Database migrated, keys made or read, log files brought up to date with the database."""
        engine = open_engine(settings.database_url, timeout_s=settings.database_timeout_s)
        try:
            brought_up(engine)
            return cls(engine, KeyRing.open_or_create(settings.keys_dir, master=settings.master_keys == "folder"), clock, settings, random)
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        self.witnesses.stop()
        self.engine.dispose()

    @property
    def vkey(self) -> str:
        """The log's verifier key, as text: what auditors and operators are given once, by another way than this server. The newest one."""
        return str(self._sequencer.signer.key)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The keys that sign now: one, or two while the log's key is being changed, the older first."""
        return tuple(str(signer.key) for signer in self._sequencer.signers)

    def _own_keys(self) -> list[Signer]:
        return [Signer(self.settings.log_origin, key) for key in self.key_ring.log_keys()]

    @contextmanager
    def transaction(self, *, publish: bool = True) -> Iterator[Act]:
        """All of it happens, or none. With `publish` a checkpoint covers it when this returns; without, the next one will.

        REGISTER_UNAVAILABLE when the database cannot take it now: nothing happened. A failing disk under the log folder does not undo what is
        committed: it is noted, and `checkpoint` and `receipt` fail until it heals.
        """
        if self._holder == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction")
        self.require_sound()
        try:
            with self._turns.take() as (connection, head):
                self._holder = threading.get_ident()
                try:
                    act = Act(connection, head, self.clock, self.random)
                    yield act
                    act._finish()
                except BaseException:
                    head.writer.discard()
                    raise
                finally:
                    self._holder = None
        except UNAVAILABLE as error:
            self._log.error("register_unavailable", error=type(error).__name__)
            raise REGISTER_UNAVAILABLE() from error
        self.acts += bool(act._entries)
        if publish and act._entries:
            try:
                self._sequencer.publish(act.size)
            except (OSError, *UNAVAILABLE) as error:  # committed all the same
                self._log.error("log_unpublished", error=type(error).__name__)

    def require_sound(self) -> None:
        """LogForked once the register was found to contradict what it published, or what a witness saw."""
        if self._sequencer.forked is not None:
            raise self._sequencer.forked

    def publish(self, at_least: int | None = None) -> str:
        """Write tiles and checkpoint for what is committed, unless a checkpoint of `at_least` entries is already there. Returns the note."""
        return self._sequencer.publish(at_least)

    @property
    def size(self) -> int:
        with reading(self.engine) as connection:
            return int(connection.execute(_HEAD).one().size)

    def checkpoint(self) -> str:
        """The newest signed checkpoint, covering everything committed before this call."""
        return self._sequencer.publish()

    def receipt(self, index: int) -> str:
        """A tlog-proof for one entry against a checkpoint that covers it; it verifies offline with the log's vkey."""
        note = self._witnessed(index) or self._sequencer.publish(index + 1)
        checkpoint = Checkpoint.peek(note)
        if not 0 <= index < checkpoint.size:
            raise ENTRY_UNKNOWN(index=index, size=checkpoint.size)
        with reading(self.engine) as connection:
            path = inclusion(index, checkpoint.size, tile_reader(connection, checkpoint.size))
        return Receipt(index, tuple(path), note).encode()

    def _witnessed(self, index: int) -> str | None:
        """The cosigned checkpoint, if there is one that covers the entry and carries the present key: worth more than the newest."""
        note = self.files.witnessed()
        try:
            covers = note is not None and Checkpoint.open(note, [self._sequencer.signer.key]).size > index >= 0
        except JournalError:
            return None
        return note if covers else None

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of `new` entries begins with that of `old`. JournalError for sizes the log does not have."""
        with reading(self.engine) as connection:
            return consistency(old, new, tile_reader(connection, new))

    def entry(self, index: int) -> bytes:
        """An entry's bytes."""
        with reading(self.engine) as connection:
            body = connection.execute(select(entries.c.body).where(entries.c.position == index)).scalar_one_or_none()
            if body is None:
                raise ENTRY_UNKNOWN(index=index, size=int(connection.execute(_HEAD).one().size))
        return bytes(body)

    def event(self, index: int) -> Recorded:
        return read_entry(index, self.entry(index))

    def events(self, after: int = -1, limit: int = 100, kinds: tuple[str, ...] = (), *, before: int | None = None) -> list[Recorded]:
        """Events with an index above `after`, oldest first, at most `limit`; with `before`, those with an index below it, newest first."""
        query = select(entries.c.position, entries.c.body).limit(limit)
        if before is None:
            query = query.where(entries.c.position > after).order_by(entries.c.position)
        else:
            query = query.where(entries.c.position < before, entries.c.position > after).order_by(entries.c.position.desc())
        if kinds:
            query = query.where(entries.c.kind.in_(kinds))
        with reading(self.engine) as connection:
            return [read_entry(row.position, bytes(row.body)) for row in connection.execute(query)]

    def catalogue(self) -> Catalogue:
        """The current snapshot of every dataset."""
        with reading(self.engine) as connection:
            return directory.catalogue(connection)

    def snapshot(self, dataset: str, version: int) -> Snapshot | None:
        with reading(self.engine) as connection:
            return directory.snapshot(connection, dataset, version)

    def licence(self, licence_id: str) -> LicenceRecord | None:
        with reading(self.engine) as connection:
            return directory.licence(connection, licence_id)

    def licences(self, operator: str | None = None) -> list[LicenceRecord]:
        with reading(self.engine) as connection:
            return directory.all_licences(connection, operator)

    def principal(self, principal_id: str) -> Principal | None:
        with reading(self.engine) as connection:
            return directory.principal(connection, principal_id)

    def principals(self) -> list[Principal]:
        with reading(self.engine) as connection:
            return directory.all_principals(connection)

    def api_keys(self) -> list[KeyRecord]:
        with reading(self.engine) as connection:
            return credentials.keys(connection, self.clock())

    def holder_of(self, secret: str) -> Principal | None:
        """Whose API key or session this is; None for anything but the right secret of one that is still good."""
        with reading(self.engine) as connection:
            found = credentials.credential_of(connection, secret, self.clock())
        return None if found is None else found.principal

    def answer_to(self, question: str) -> str | None:
        """The release that answered this question (see `events.question_digest`) first, or None."""
        with reading(self.engine) as connection:
            return directory.answer_to(connection, question)

    def document(self, digest: str) -> bytes | None:
        """Attached content, or None."""
        with reading(self.engine) as connection:
            body = connection.execute(select(documents.c.body).where(documents.c.digest == digest)).scalar_one_or_none()
        return None if body is None else bytes(body)

    def opening(self, digest: str) -> bytes | None:
        """Sealed content by its commitment, or None. For the bureau's eyes and the server's own use."""
        with reading(self.engine) as connection:
            content = connection.execute(select(openings.c.content).where(openings.c.commitment == digest)).scalar_one_or_none()
        return None if content is None else bytes(content)


__all__ = ["ENTRY_UNKNOWN", "REGISTER_UNAVAILABLE", "Act", "LogForked", "Register"]
