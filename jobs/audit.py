"""The audit: is this log what was signed, do its events make sense, and do the tables follow from them?

It needs only the log's folder and the keys one trusts, no server and no database. Given a database too, it compares the two and names
the first difference of each table. What it finds is data (`Problem`), in both languages. It holds one tile and one row at a time: the
replay goes into a scratch file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, Select, String, Table, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from infra.database import open_engine, reading, writing
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.tiles import TileName, level_size, width_of
from infra.journal.tree import TILE_HEIGHT, TILE_WIDTH, CompactRange, JournalError, Node, fold
from infra.prepared import Writer
from infra.tables import PROJECTIONS, accounts, charge_accounts, charges, documents, entries, log_hashes, log_head, metadata, openings
from jobs import findings as found
from jobs.audit_fees import Bills
from jobs.audit_reading import Ahead, Tile, read, spared
from jobs.events import EVENT_KINDS, LogKeyAnnounced, Recorded, UnreadableEntry, commitment, read_entry
from jobs.ledger import Balance, balances
from jobs.projections import DoesNotFit, project
from jobs.trusted import Untrusted, checkpoints
from policies.problem import Problem

DOCUMENTS = ("document", "signed")  # fields of events that name content kept beside the log
_NAMING = {kind: names for kind, model in EVENT_KINDS.items() if (names := tuple(name for name in DOCUMENTS if name in model.model_fields))}
BATCH = 256  # rows fetched at once, as many as a tile has


@dataclass(slots=True)
class AuditReport:
    """What was read and what was found. `unpublished`: entries in the database that no checkpoint covers yet, replayed all the same."""

    origin: str = ""
    size: int = 0
    root: bytes = b""
    signed_by: list[str] = field(default_factory=list)  # keys on its checkpoint, of those trusted and those that follow from them
    unpublished: int = 0
    rows: int = 0  # compared with the database
    kinds: dict[str, int] = field(default_factory=dict)
    accounts: list[Balance] = field(default_factory=list)  # as recomputed from the events
    findings: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.findings


class _Stop(Exception):
    """Nothing after this finding could be trusted."""


def audit(log_dir: Path, vkeys: Sequence[str], engine: Engine | None = None, *, remembered: str | None = None) -> AuditReport:
    """Verify everything that can be verified. `vkeys`: the log's verifier keys, from a source other than the log itself; a retired one
    will do, its successors are followed. `remembered`: a
    checkpoint note seen earlier, which this log must extend."""
    report = AuditReport()
    files = LogFiles(log_dir)
    with tempfile.TemporaryDirectory(prefix="yunei-audit-") as folder:
        scratch = open_engine(f"sqlite:///{folder}/replay.db", scratch=True)
        try:
            _make_tables(scratch)
            replay = _Replay(files, scratch, report)
            with spared():
                replay.tree(*_checkpoints(files, vkeys, remembered, report))
                if engine is not None:
                    with reading(engine) as database:
                        _compare(database, files, replay, report)
            with reading(scratch) as connection:
                report.accounts = balances(connection)
                if not replay.halted:
                    report.findings += replay.unpaid()
                    sum_charges(connection, report)
        except _Stop:
            pass
        finally:
            scratch.dispose()
    return report


def _make_tables(scratch: Engine) -> None:
    with writing(scratch) as connection:
        for statement in _tables():
            connection.exec_driver_sql(statement)


@cache
def _tables() -> tuple[str, ...]:
    """What makes the projections with their keys and constraints, but no index that only helps the questions of a server; rows lie in their
    key's tree."""
    lean = MetaData(naming_convention=metadata.naming_convention)
    for table in PROJECTIONS:
        copy = table.to_metadata(lean)
        copy.indexes.clear()
        copy.dialect_options["sqlite"]["with_rowid"] = False
    return tuple(str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in lean.sorted_tables)


def rebuild(engine: Engine) -> None:
    """Empty the projections and make them again from the entries, in one transaction. For a person who has found tables and log to disagree
    and knows that the log is right."""
    with writing(engine) as connection:
        connection.execute(select(log_head).with_for_update()).one()
        for table in reversed(PROJECTIONS):
            connection.execute(table.delete())
        size = connection.execute(select(func.count()).select_from(entries)).scalar_one()
        writer = Writer(connection)
        for index, body in _database_entries(connection, 0, size):
            project(writer, read_entry(index, body))
        writer.flush()


# ── the log itself ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _checkpoints(files: LogFiles, vkeys: Sequence[str], remembered: str | None, report: AuditReport) -> tuple[Checkpoint, list[Checkpoint]]:
    """The log's checkpoint, and those it must extend."""
    try:
        signed = checkpoints(files, vkeys, remembered)
    except Untrusted as untrusted:
        report.findings.append(untrusted.finding)
        raise _Stop from untrusted
    report.origin, report.size, report.root, report.signed_by = signed.now.origin, signed.now.size, signed.now.root, list(signed.signers)
    return signed.now, signed.older


class _Replay:
    """Walks the entries once, in order: hashes into a tree, events into the scratch tables."""

    def __init__(self, files: LogFiles, scratch: Engine, report: AuditReport) -> None:
        self._files = files
        self.scratch = scratch
        self._report = report
        self._bills = Bills(files.folder)
        self._at = ""
        self._signing: str | None = None  # the newest key that the published entries announce
        self._halted = False  # an event that did not fit: tables after it would be guesswork
        self.edge = CompactRange()
        self._upper: dict[int, list[bytes]] = {}  # hashes of unfinished tiles above level 0
        self._doubts: list[tuple[str, int, int]] = []  # a tile that disagrees, and the entries below the place where it does

    @property
    def halted(self) -> bool:
        return self._halted

    def unpaid(self) -> list[Problem]:
        """What the last entry owes."""
        return list(self._bills.end(self._report.size + self._report.unpublished))

    def tree(self, now: Checkpoint, older: Sequence[Checkpoint]) -> None:
        """Every entry against its hash tile, every tile against the one above, the whole against the signed root. Stops at the first entry
        that is not the one signed: what follows it cannot be read in order."""
        with Ahead(self._files, now.size) as ahead:
            for n in range(-(-now.size // TILE_WIDTH)):
                width, tile = width_of(now.size, 0, n), ahead.tile(n)
                hashes = self._hashes(0, n, width)
                if tile.leaves != hashes:
                    self._disagree(now, n, tile.leaves, hashes)
                for before in older:
                    if n * TILE_WIDTH <= before.size <= n * TILE_WIDTH + width:
                        self._extends(before, tile.leaves)
                if len(tile.leaves) == TILE_WIDTH:
                    self._above(now, self.edge.append_perfect(TILE_HEIGHT, fold(tile.leaves)))
                else:
                    for leaf in tile.leaves:
                        self._above(now, self.edge.append(leaf))
                self.apply(n * TILE_WIDTH, tile)
                del tile  # before the next is read
        if any(before.size == 0 and before.root != CompactRange().root() for before in older):
            self._report.findings.append(found.FORKED(size=0))
        if self.edge.root() != now.root:  # entries and hashes were changed together: the lowest tile that disagrees tells where
            _, first, last = min(self._doubts, key=lambda doubt: doubt[2] - doubt[1], default=("", 0, now.size - 1))
            self._report.findings.append(found.ROOT(size=now.size, first=first, last=last))
            raise _Stop
        self._report.findings += [found.TILE(path=path) for path, _, _ in self._doubts]
        if self._signing is not None and self._signing not in self._report.signed_by:  # one that the log has retired signs nothing more
            self._report.findings.append(found.CHECKPOINT(which="checkpoint", reason="key_retired"))

    def _hashes(self, level: int, n: int, width: int) -> list[bytes]:
        try:
            return self._files.hashes(level, n, width)
        except (OSError, JournalError):
            return []

    def _disagree(self, now: Checkpoint, n: int, leaves: list[bytes], hashes: list[bytes]) -> None:
        """Entries and hash tile differ: say which of them is not what was signed. If the entries, put in place of the hashes, still lead to the
        hash one level up (or the root), the tile is at fault; else the first entry that differs is."""
        width = width_of(now.size, 0, n)
        if len(leaves) == width and self._leads_up(now, n, leaves):
            self._doubts.append((TileName(0, n, width).path, n * TILE_WIDTH, n * TILE_WIDTH + width - 1))
            return
        index = next((at for at, (mine, told) in enumerate(zip(leaves, hashes, strict=False)) if mine != told), min(len(leaves), len(hashes)))
        self._report.findings.append(found.ENTRY(index=n * TILE_WIDTH + index))
        raise _Stop

    def _leads_up(self, now: Checkpoint, n: int, leaves: list[bytes]) -> bool:
        edge = CompactRange(self.edge.size, self.edge.hashes)
        for leaf in leaves:
            nodes = edge.append(leaf)
        if edge.size == now.size:
            return edge.root() == now.root
        above = self._hashes(1, n // TILE_WIDTH, width_of(now.size, 1, n // TILE_WIDTH))
        return n % TILE_WIDTH < len(above) and nodes[TILE_HEIGHT].hash == above[n % TILE_WIDTH]

    def _extends(self, before: Checkpoint, leaves: list[bytes]) -> None:
        edge = CompactRange(self.edge.size, self.edge.hashes)
        for leaf in leaves[: before.size - edge.size]:
            edge.append(leaf)
        if edge.size == before.size and edge.root() != before.root:
            self._report.findings.append(found.FORKED(size=before.size))
            raise _Stop

    def _above(self, now: Checkpoint, nodes: Sequence[Node]) -> None:
        """Of the nodes that were just completed, check each tile above level 0 as soon as its last hash is known."""
        for node in nodes:
            level, rest = divmod(node.height, TILE_HEIGHT)
            if level and not rest:
                row = self._upper.setdefault(level, [])
                row.append(node.hash)
                if len(row) == TILE_WIDTH or node.position + 1 == level_size(now.size, level):
                    self._check_tile(level, node.position // TILE_WIDTH, row)
                    row.clear()

    def _check_tile(self, level: int, n: int, row: list[bytes]) -> None:
        told = self._hashes(level, n, len(row))
        if told != row:
            at = next((at for at, pair in enumerate(zip(row, told, strict=False)) if pair[0] != pair[1]), 0)
            span = TILE_WIDTH**level
            first = (n * TILE_WIDTH + at) * span
            self._doubts.append((TileName(level, n, len(row)).path, first, first + span - 1))

    def apply(self, first: int, tile: Tile) -> None:
        """Project entries `first`… into the scratch tables, until one does not fit."""
        if self._halted:
            return
        fitting, misfit = self._try(tile.events, tile.readable)
        if misfit is not None:  # the whole batch was undone with it: apply what came before it again
            self._try(tile.events[:fitting], readable=True)
            self._report.findings.append(found.IMPOSSIBLE(index=first + fitting, reason=misfit))
            self._halted = True

    def _try(self, events: Sequence[Recorded], readable: bool) -> tuple[int, str | None]:
        """How many events fit and why the next does not; what follows them in the tile is `readable`. All are projected, or none."""
        fitting = 0
        try:
            with writing(self.scratch) as connection:
                writer = Writer(connection)
                for recorded in events:
                    project(writer, recorded)
                    fitting += 1
                if not readable:
                    raise UnreadableEntry
        except (UnreadableEntry, DoesNotFit) as error:
            return fitting, f"{error.table} {error.key}" if isinstance(error, DoesNotFit) else "unreadable"
        for recorded in events:
            self._look(recorded)
        return fitting, None

    def _look(self, recorded: Recorded) -> None:
        report, kind = self._report, recorded.kind
        report.kinds[kind] = report.kinds.get(kind, 0) + 1
        if recorded.at < self._at:
            report.findings.append(found.TIME(index=recorded.index))
        self._at = recorded.at
        report.findings += self._bills.saw(recorded)
        if kind == LogKeyAnnounced.kind and isinstance(recorded.event, LogKeyAnnounced) and recorded.index < report.size:
            self._signing = recorded.event.vkey
        for name in _NAMING.get(kind, ()):
            digest = getattr(recorded.event, name)
            if digest is not None and recorded.index < report.size and not self._files.has_document(digest):
                report.findings.append(found.DOCUMENT(digest=digest, index=recorded.index))
                break


def sum_charges(connection: Connection, report: AuditReport) -> None:
    """Every account once more, by another way: the sum over its charges."""
    for unit in ("pico_rho", "atto_delta"):
        for column, states in (("reserved", ("reserved", "reading")), ("spent", ("spent", "forfeited"))):
            total = func.coalesce(func.sum(charges.c[unit]), 0)
            lines = (
                select(accounts.c.id, accounts.c[f"{column}_{unit}"].label("told"), total.label("summed"))
                .outerjoin(charge_accounts, charge_accounts.c.account == accounts.c.id)
                .outerjoin(charges, (charges.c.id == charge_accounts.c.charge) & charges.c.state.in_(states))
                .group_by(accounts.c.id, accounts.c[f"{column}_{unit}"])
            )
            for row in connection.execute(lines):
                if row.told != row.summed:
                    report.findings.append(found.SUM(account=row.id, column=f"{column}_{unit}"))


# ── the database beside it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _compare(database: Connection, files: LogFiles, replay: _Replay, report: AuditReport) -> None:
    """Entries, tree, kept content and every projection, against the log. The log's word counts."""
    head = database.execute(select(log_head.c.size, log_head.c.edge)).one()
    if head.size < report.size:
        report.findings.append(found.DATABASE_SHORT(size=head.size, published=report.size))
        raise _Stop
    for n in range(-(-report.size // TILE_WIDTH)):
        width, first = width_of(report.size, 0, n), n * TILE_WIDTH
        rows = {index: body for index, body in _database_entries(database, first, first + width)}
        for index, body in enumerate(files.readable_entries(n, width), first):
            if rows.get(index) != body:
                _differs(report, "entries", str(index), "body")
                raise _Stop
    report.unpublished = head.size - report.size
    for start in range(report.size, head.size, BATCH):
        bodies = [body for _, body in _database_entries(database, start, min(start + BATCH, head.size))]
        tile = read(start, bodies)
        for leaf in tile.leaves:
            replay.edge.append(leaf)
        replay.apply(start, tile)
    if replay.edge.size != head.size or replay.edge.to_bytes() != bytes(head.edge):
        _differs(report, "log_head", "1", "edge")
    _tree_tables(database, report)
    if not replay.halted:
        with reading(replay.scratch) as log:
            for table in PROJECTIONS:
                _same_rows(table, log, database, report)


def _tree_tables(database: Connection, report: AuditReport) -> None:
    edge, expected = CompactRange(), {}
    query = select(entries.c.position, entries.c.body, entries.c.leaf).order_by(entries.c.position)
    for row in database.execution_options(yield_per=BATCH).execute(query):
        leaf = leaf_hash(bytes(row.body))
        if leaf != bytes(row.leaf):
            _differs(report, "entries", str(row.position), "leaf")
        for node in edge.append(leaf):
            if node.height and node.height % TILE_HEIGHT == 0:
                expected[node.height // TILE_HEIGHT, node.position] = node.hash
    for row in database.execute(select(log_hashes)):
        if expected.pop((row.level, row.position), None) != bytes(row.hash):
            _differs(report, "log_hashes", f"{row.level}/{row.position}", "hash")
    for level, position in expected:
        _differs(report, "log_hashes", f"{level}/{position}", "hash")
    for row in database.execute(select(documents)):
        if sha256(bytes(row.body)).hexdigest() != row.digest:
            _differs(report, "documents", row.digest, "body")
    for row in database.execute(select(openings)):
        if commitment(bytes(row.salt), bytes(row.content)) != row.commitment:
            _differs(report, "openings", row.commitment, "content")


def _database_entries(connection: Connection, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    query = select(entries.c.position, entries.c.body).where(entries.c.position >= start, entries.c.position < end)
    for row in connection.execution_options(yield_per=BATCH).execute(query.order_by(entries.c.position)):
        yield row.position, bytes(row.body)


def _same_rows(table: Table, log: Connection, database: Connection, report: AuditReport) -> None:
    """Both sides by key, one row at a time; the first difference is named and the rest of the table left."""
    keys = [column.name for column in table.primary_key]
    sides = [
        iter(side.execution_options(yield_per=BATCH).execute(_by_key(table, side.dialect.name == "postgresql")).mappings())
        for side in (log, database)
    ]
    while True:
        mine, theirs = (next(side, None) for side in sides)
        if mine is None and theirs is None:
            return
        report.rows += 1
        if mine is None or theirs is None or any(mine[key] != theirs[key] for key in keys):
            own = tuple(mine[key] for key in keys) if mine is not None else None
            other = tuple(theirs[key] for key in keys) if theirs is not None else None
            missing = own is not None and (other is None or own < other)
            key = "/".join(str(part) for part in (own if missing else other) or ())
            _differs(report, table.name, key, "row missing" if missing else "row not in the log")
            return
        for column in (each.name for each in table.columns):
            if mine[column] != theirs[column]:
                _differs(report, table.name, "/".join(str(mine[key]) for key in keys), column)
                return


@cache
def _by_key(table: Table, postgresql: bool) -> Select[tuple[object, ...]]:
    """The rows in bytewise order of their key, which is not PostgreSQL's own order of text."""
    return select(table).order_by(
        *(column.collate("C") if postgresql and isinstance(column.type, String) else column for column in table.primary_key)
    )


def _differs(report: AuditReport, table: str, key: str, column: str) -> None:
    report.findings.append(found.TABLE(table=table, row=key, column=column))
