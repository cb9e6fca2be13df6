"""A restored copy brought up to a mirrored log: the entries that came after the backup, replayed from any copy of the log's folder.

The log states every act, so accounts, licences, keys, programs and products come back whole, and no budget is forgotten. What it only
commits to does not: the content of sealed commitments and the staged files of what was admitted or published since. Jobs whose request is
lost are closed when the next server starts (`close_lost`): before reading, their reservation is given back; after it, the charge stays. A
release whose record is lost stays in the log and on the accounts, is shown to nobody any more, and answers no later question for free.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, Engine, insert, select, update

from infra.database import insert_ignoring, reading, writing
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles, document_path
from infra.journal.leaf import leaf_hash
from infra.journal.tiles import encode_entries, encode_hashes, entry_names, tile_names, width_of
from infra.journal.tree import TILE_HEIGHT, TILE_WIDTH, CompactRange, JournalError, range_at
from infra.prepared import Writer
from infra.tables import documents, entries, jobs, log_hashes, log_head, openings, releases
from jobs import events as ev
from jobs import verdicts
from jobs.acts.reviews import cancel_held
from jobs.events import UnreadableEntry, read_entry
from jobs.office import JOB_OUTDATED, SYSTEM
from jobs.projections import DoesNotFit, project
from jobs.states import FINAL, State
from policies.problem import declare

if TYPE_CHECKING:
    from jobs.register import Register

log = structlog.get_logger("yunei.mirror")

RESTORE_MIRROR = declare(
    "log_restore_mirror",
    zh=("日志副本不能用于恢复", "{path}：{what}。", "请换用另一份完整的日志副本（例如见证方、审计方或网页服务器上的）；目标目录未被改动。"),
    en=(
        "This copy of the log cannot be restored from",
        "{path}: {what}.",
        "Use another whole copy of the log, such as a witness's, an auditor's or a web server's. Nothing was changed.",
    ),
)

_DIGEST = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Caught:
    """`entries`: how many came back from the mirror; `versions`: of data, registered in them. `jobs`: not over, and their request is lost;
    `releases`: published, and their record is lost."""

    entries: int
    versions: tuple[str, ...]
    jobs: tuple[str, ...]
    releases: tuple[str, ...]


def catch_up(engine: Engine, log_dir: Path, mirror: Path) -> Caught:
    """Replay into the database, and copy into the log's folder, what `mirror` has beyond them. Signatures are the audit's to check, which
    must follow. RESTORE_MIRROR when it is not a continuation of what is there, or cannot be read."""
    files = LogFiles(mirror)
    try:
        note = files.checkpoint()
        if note is None:
            raise RESTORE_MIRROR(path=mirror, what="checkpoint")
        size = Checkpoint.peek(note).size
        with writing(engine) as connection:
            count, versions = _replay(connection, files, size)
        _copy(LogFiles(log_dir), files, size, note)
    except (OSError, JournalError, UnicodeDecodeError, UnreadableEntry, DoesNotFit) as error:
        raise RESTORE_MIRROR(path=mirror, what=str(error) or type(error).__name__) from error
    with reading(engine) as connection:
        gone = select(releases.c.id).outerjoin(openings, openings.c.commitment == releases.c.record).where(openings.c.commitment.is_(None))
        lost = tuple(connection.scalars(gone.order_by(releases.c.entry)))
        return Caught(count, versions, tuple(job for job, _, _ in lost_jobs(connection)), lost)


def _replay(connection: Connection, files: LogFiles, size: int) -> tuple[int, tuple[str, ...]]:
    head = connection.execute(select(log_head.c.size, log_head.c.edge, log_head.c.at)).one()
    edge, at = CompactRange.from_bytes(head.size, bytes(head.edge)), str(head.at)
    if size < head.size:
        raise RESTORE_MIRROR(path=files.folder, what=f"{size} < {head.size}")
    if range_at(head.size, lambda level, n: files.hashes(level, n, width_of(size, level, n))).root() != edge.root():
        raise RESTORE_MIRROR(path=files.folder, what=f"0–{head.size - 1}")  # another log, or another history of this one
    writer, versions = Writer(connection), []
    for n in range(head.size // TILE_WIDTH, -(-size // TILE_WIDTH)):
        rows, hashes = [], []
        for index, body in enumerate(files.entries(n, width_of(size, 0, n)), n * TILE_WIDTH):
            if index < head.size:
                continue
            recorded, leaf = read_entry(index, body), leaf_hash(body)
            project(writer, recorded)
            if isinstance(recorded.event, ev.VersionIngested):
                versions.append(f"{recorded.event.dataset.casefold()}/v{recorded.event.version}")
            _documents(connection, files, index, body)
            rows.append({"position": index, "kind": recorded.kind, "body": body, "leaf": leaf})
            for node in edge.append(leaf):
                level, rest = divmod(node.height, TILE_HEIGHT)
                if level and not rest:
                    hashes.append({"level": level, "position": node.position, "hash": node.hash})
            at = recorded.at
        if rows:
            connection.execute(insert(entries), rows)
        if hashes:
            connection.execute(insert(log_hashes), hashes)
    writer.flush()
    connection.execute(update(log_head).values(size=edge.size, edge=edge.to_bytes(), at=at))
    return size - int(head.size), tuple(versions)


def _documents(connection: Connection, files: LogFiles, index: int, body: bytes) -> None:
    """What the entry names by digest and the mirror holds."""
    for digest in {found.decode() for found in _DIGEST.findall(body)}:
        if files.has_document(digest):
            content = (files.folder / document_path(digest)).read_bytes()
            insert_ignoring(connection, documents, {"digest": digest, "entry": index, "body": content})


def _copy(into: LogFiles, files: LogFiles, size: int, note: str) -> None:
    """Tiles, documents, keys and checkpoints. What is there already is a beginning of the same log."""
    before = into.checkpoint()
    old = 0 if before is None else Checkpoint.peek(before).size
    with into.exclusive():
        for name in entry_names(old, size):
            into.put_tile(name, encode_entries(files.entries(name.n, name.width)))
        for name in tile_names(old, size):
            into.put_tile(name, encode_hashes(files.hashes(int(name.level), name.n, name.width)))
        for path in sorted(files.folder.glob("documents/*/*")):
            if not into.has_document(path.name) and sha256(body := path.read_bytes()).hexdigest() == path.name:
                into.put_document(path.name, body)
        number = 0
        while (receipt := files.succession(number)) is not None:
            if into.succession(number) is None:
                into.put_succession(number, receipt)
            number += 1
        witnessed = files.witnessed()
        if witnessed is not None and Checkpoint.peek(witnessed).size <= size:
            into.put_witnessed(witnessed)
        into.put_checkpoint(note)


def lost_jobs(connection: Connection) -> Sequence[tuple[str, State, str | None]]:
    """Jobs that are not over and whose sealed request is not there: nobody can make their plan again."""
    query = (
        select(jobs.c.id, jobs.c.state, jobs.c.charge)
        .outerjoin(openings, openings.c.commitment == jobs.c.request)
        .where(jobs.c.state.not_in([state.value for state in FINAL]), openings.c.commitment.is_(None))
        .order_by(jobs.c.submitted_at, jobs.c.id)
    )
    return [(row.id, State(row.state), row.charge) for row in connection.execute(query)]


def close_lost(register: Register) -> list[str]:
    """Bring every such job to an end by an entry of its own, before a server takes up the others. Returns their ids."""
    with reading(register.engine) as connection:
        found = lost_jobs(connection)
    for job, state, charge in found:
        if state in (State.HELD, State.RETURNED):
            cancel_held(register, job, by=SYSTEM)
            continue
        with register.transaction() as act:
            if state in (State.READING, State.SPENT, State.STAGED) and charge is not None:
                act.append(ev.JobForfeited(by=SYSTEM, job=job, charge=charge, code="job_failed"))
            else:
                verdicts.refuse_admitted(act, job, charge, JOB_OUTDATED())
    if found:
        log.warning("jobs_lost", jobs=[job for job, _, _ in found])
    return [job for job, _, _ in found]
