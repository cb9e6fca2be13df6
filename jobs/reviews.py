"""The human lane as it stands: duty, requests with their votes, overdue ones, standing approvals, counts of exact releases. Reading only.

What a vote was is shown to nobody, reviewers least of all, until the review is decided; who has voted is shown to those who run the lane,
not to the other reviewer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from infra.database import reading
from infra.prepared import Prepared, fetch
from infra.tables import (
    approvals,
    charge_accounts,
    charges,
    conflicts,
    duties,
    holds,
    jobs,
    metering,
    openings,
    releases,
    review_jobs,
    review_votes,
)
from infra.tables import reviews as table
from infra.tables import standings as standing_rows
from jobs.register import Register
from jobs.slots import parse_time
from policies.review import escalation, on_duty

OPEN = ("open", "referred")


@dataclass(frozen=True, slots=True)
class Duty:
    id: str
    reviewer: str
    since: date
    until: date
    ended_at: str | None
    set_by: str

    def covers(self, now: datetime) -> bool:
        return on_duty(self.since, self.until, None if self.ended_at is None else parse_time(self.ended_at), now)


@dataclass(frozen=True, slots=True)
class Conflict:
    reviewer: str
    operator: str
    declared_by: str
    declared_at: str


@dataclass(frozen=True, slots=True)
class Vote:
    """`verdict` and `codes` are None and empty until the review is decided."""

    reviewer: str
    entry: int
    cast_at: str
    verdict: str | None
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    id: str
    operator: str
    licence: str
    state: str
    jobs: tuple[str, ...]
    manifest: dict[str, Any]
    requested_at: str
    due_at: str
    changed_at: str
    votes: tuple[Vote, ...]

    def late(self, hours: int, now: datetime) -> int:
        """0 in time or over, 1 past due, 2 when the time allowed (`hours`) has passed twice, …"""
        return escalation(parse_time(self.due_at), hours, now) if self.open else 0

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(code for vote in self.votes for code in vote.codes))


@dataclass(frozen=True, slots=True)
class Standing:
    id: str
    licence: str
    review: str
    job: str
    shape: str
    pack: str
    mends: str
    known: str
    until: str
    state: str
    entry: int
    proposed_by: str
    confirmed_by: str | None
    proposed_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class Exact:
    """What of an account left exactly: lifetime totals, beside its privacy loss."""

    account: str
    releases: int
    cells: int


def duties_of(register: Register) -> list[Duty]:
    with reading(register.engine) as connection:
        return roster(connection)


def roster(connection: Connection) -> list[Duty]:
    """The duty list, newest first."""
    rows = connection.execute(select(duties).order_by(duties.c.since.desc(), duties.c.id))
    return [Duty(row.id, row.reviewer, date.fromisoformat(row.since), date.fromisoformat(row.until), row.ended_at, row.set_by) for row in rows]


def conflicts_of(register: Register) -> list[Conflict]:
    with reading(register.engine) as connection:
        rows = connection.execute(select(conflicts).order_by(conflicts.c.reviewer, conflicts.c.operator))
        return [Conflict(row.reviewer, row.operator, row.declared_by, row.declared_at) for row in rows]


def in_conflict(connection: Connection, reviewer: str, operator: str) -> bool:
    query = select(conflicts.c.reviewer).where(conflicts.c.reviewer == reviewer, conflicts.c.operator == operator)
    return connection.execute(query).first() is not None


def review(register: Register, review_id: str) -> Review | None:
    with reading(register.engine) as connection:
        return one(connection, review_id)


def one(connection: Connection, review_id: str) -> Review | None:
    return next(iter(_reviews(connection, select(table).where(table.c.id == review_id))), None)


def reviews_of(
    register: Register, operator: str | None = None, *, state: str | None = None, before: str | None = None, limit: int = 200
) -> list[Review]:
    """Newest first; `operator`: only theirs. `before` is a review of an earlier page: older ones follow, none for one that is not there."""
    query = select(table).order_by(table.c.entry.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.entry < select(table.c.entry).where(table.c.id == before).scalar_subquery())
    query = query if operator is None else query.where(table.c.operator == operator)
    query = query if state is None else query.where(table.c.state == state)
    with reading(register.engine) as connection:
        return _reviews(connection, query)


def overdue(register: Register) -> list[Review]:
    """Open requests past their time, the longest first: what whoever raises alerts looks at."""
    now = register.clock()
    found = [each for state in OPEN for each in reviews_of(register, state=state, limit=10_000)]
    return sorted((each for each in found if parse_time(each.due_at) < now), key=lambda each: each.due_at)


def decided(connection: Connection) -> list[tuple[str, str]]:
    """(review, job) that people let out and that have not left yet."""
    query = (
        select(table.c.id, review_jobs.c.job)
        .join(review_jobs, review_jobs.c.review == table.c.id)
        .join(jobs, jobs.c.id == review_jobs.c.job)
        .join(holds, holds.c.job == jobs.c.id)
        .where(table.c.state == "release", jobs.c.state == "held", holds.c.review == table.c.id)
        .order_by(table.c.entry, review_jobs.c.job)
    )
    return [(row.id, row.job) for row in connection.execute(query)]


def standings_of(register: Register, licence: str | None = None) -> list[Standing]:
    query = select(standing_rows).order_by(standing_rows.c.entry.desc())
    query = query if licence is None else query.where(standing_rows.c.licence == licence)
    with reading(register.engine) as connection:
        return [Standing(**row._mapping) for row in connection.execute(query)]


def standing(connection: Connection, standing_id: str) -> Standing | None:
    row = connection.execute(select(standing_rows).where(standing_rows.c.id == standing_id)).one_or_none()
    return None if row is None else Standing(**row._mapping)


def held(connection: Connection, job: str) -> Row[Any] | None:
    """The job's row with its hold: shape, pack, review, held_at."""
    query = select(jobs, holds.c.shape, holds.c.pack, holds.c.review, holds.c.held_at).join(holds, holds.c.job == jobs.c.id)
    return connection.execute(query.where(jobs.c.id == job)).one_or_none()


def opening(connection: Connection, commitment: str) -> tuple[bytes, bytes]:
    """Salt and content of what was sealed."""
    row = connection.execute(select(openings.c.salt, openings.c.content).where(openings.c.commitment == commitment)).one()
    return bytes(row.salt), bytes(row.content)


_OUT = Prepared(  # outer joins, so that databases begin with what people let out: it is little beside what accounts were charged for
    select(charge_accounts.c.account, metering.c.rows)
    .select_from(approvals)
    .outerjoin(releases, releases.c.job == approvals.c.job)
    .outerjoin(metering, metering.c.release == releases.c.id)
    .outerjoin(charges, charges.c.job == approvals.c.job)
    .outerjoin(charge_accounts, charge_accounts.c.charge == charges.c.id)
)


def exact_counts(register: Register, accounts: Sequence[str] | None = None) -> list[Exact]:
    """How many exact tables, and rows of them, left of each account's data, ever: by the charges of nothing that they made."""
    tables, cells = Counter[str](), Counter[str]()
    with reading(register.engine) as connection:
        for account, rows in fetch(connection, _OUT, {}):
            if account is not None and rows is not None:  # approved, and gone
                tables[account] += 1
                cells[account] += rows
    return [Exact(account, tables[account], cells[account]) for account in sorted(tables) if accounts is None or account in accounts]


def _reviews(connection: Connection, query: Select[Any]) -> list[Review]:
    rows = list(connection.execute(query))
    names = [row.id for row in rows]
    cast: dict[str, list[Vote]] = {name: [] for name in names}
    of: dict[str, list[str]] = {name: [] for name in names}
    for row in connection.execute(select(review_votes).where(review_votes.c.review.in_(names)).order_by(review_votes.c.entry)):
        codes = tuple(row.codes.split(",")) if row.codes else ()
        cast[row.review].append(Vote(row.reviewer, row.entry, row.cast_at, row.opened, codes))
    for row in connection.execute(select(review_jobs).where(review_jobs.c.review.in_(names)).order_by(review_jobs.c.job)):
        of[row.review].append(row.job)
    manifests = {row.commitment: json.loads(bytes(row.content)) for row in connection.execute(
        select(openings.c.commitment, openings.c.content).where(openings.c.commitment.in_([row.manifest for row in rows]))
    )}  # fmt: skip
    return [_review(row, tuple(of[row.id]), manifests.get(row.manifest, {}), tuple(cast[row.id])) for row in rows]


def _review(row: Row[Any], of: tuple[str, ...], manifest: dict[str, Any], votes: tuple[Vote, ...]) -> Review:
    return Review(row.id, row.operator, row.licence, row.state, of, manifest, row.requested_at, row.due_at, row.changed_at, votes)
