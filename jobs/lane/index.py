"""Every table that left of one population, of either lane, as a new one is compared with: the release index, filled from the register.

The log commits to what left and does not hold it, so the index is made of the register's sealed contents, release by release, and kept in
memory: what left never changes. Of the noised lane nothing but how many left is kept: no difference of noised values tells of anybody.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, exists, func, select

from infra.database import reading
from infra.tables import approvals, charge_accounts, charges, jobs, openings, releases
from jobs.lane import sealed
from jobs.lane.case import Case
from jobs.ledger import population_account
from jobs.office import Office
from policies.disclosure.index import Entry, ReleaseIndex, entry_from
from policies.disclosure.predicate import population

SHOWN = 100  # earlier releases that a reviewer is shown


_ANY = population_account("")
_WAITED_FOR = (
    select(charge_accounts.c.account)
    .join(charges, charges.c.id == charge_accounts.c.charge)
    .join(jobs, jobs.c.id == charges.c.job)
    .where(jobs.c.state == "held", charge_accounts.c.account.startswith(_ANY, autoescape=True))
    .distinct()
)


@dataclass(frozen=True, slots=True)
class Approved:
    """A release of the human lane: what was sealed of it when people let it out."""

    release: str
    entry: int
    approval: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Left:
    """One release as a reviewer is shown it: `record` is what was published about it; `approval` None: the noised lane."""

    release: str
    licence: str
    operator: str
    entry: int
    record: dict[str, Any]
    approval: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What left before: `count` in all, the newest `SHOWN` of them, newest first, and those of the human lane, oldest first. `newest` is the
    log's entry of the newest, -1 for none."""

    newest: int
    count: int
    shown: tuple[Left, ...]
    approved: tuple[Approved, ...]
    index: ReleaseIndex = field(repr=False)


def _of(space: str) -> ColumnElement[bool]:
    """Whether a release is of a population: releases are walked in their order, which is cheap where few are wanted or looked at."""
    return (
        exists()
        .where(charges.c.job == releases.c.job)
        .where(charge_accounts.c.charge == charges.c.id, charge_accounts.c.account == population_account(space))
    )


def newest(connection: Connection, space: str) -> int:
    """The entry of the newest release of a population; -1: there is none. Walks back from the newest of all, which is near."""
    found = connection.execute(select(releases.c.entry).where(_of(space)).order_by(releases.c.entry.desc()).limit(1)).scalar_one_or_none()
    return -1 if found is None else int(found)


def earlier_releases(office: Office, case: Case) -> Earlier:
    """All releases of the population that the case's table is about. What left since the last look is read; the rest is known."""
    space = case.plan.space
    with _LOCK, reading(office.register.engine) as connection:
        known, last = _known(office, connection, space)
        approved = tuple(one for one in known.approved if one.entry <= last)
        return Earlier(last, known.count, tuple(_shown(connection, space, last, approved)), approved, known.index)


def keep_up(office: Office) -> list[str]:
    """Read what left since the last look of every population of which a table is held, so that no reviewer waits for it; the populations."""
    with _LOCK, reading(office.register.engine) as connection:
        spaces = sorted(account.removeprefix(_ANY) for account in connection.scalars(_WAITED_FOR))
        for space in spaces:
            _known(office, connection, space)
    return spaces


def _known(office: Office, connection: Connection, space: str) -> tuple[Known, int]:
    known = _KNOWN.setdefault((str(office.register.engine.url), space.casefold()), Known())
    last = newest(connection, space)
    if known.newest < last:
        _catch_up(office, connection, known, space, last)
    return known, last


def _catch_up(office: Office, connection: Connection, known: Known, space: str, last: int) -> None:
    since = (releases.c.entry > known.newest) & (releases.c.entry <= last) & _of(space)
    count = int(connection.execute(select(func.count()).select_from(releases).where(since)).scalar_one())
    query = (
        select(releases.c.id, releases.c.job, releases.c.entry, openings.c.content)
        .join(approvals, approvals.c.job == releases.c.job)
        .join(openings, openings.c.commitment == approvals.c.evidence)
        .where(since)
        .order_by(releases.c.entry)
    )
    fresh = [Approved(row.id, row.entry, _approval(office, row.job, bytes(row.content))) for row in connection.execute(query)]
    known.index.add_noised(count - len(fresh))
    for one in fresh:
        for entry in entries_of(one):
            known.index.add(entry)
    known.approved += fresh
    known.count, known.newest = known.count + count, last


def _shown(connection: Connection, space: str, last: int, approved: Sequence[Approved]) -> Iterator[Left]:
    query = (
        select(releases.c.id, releases.c.entry, jobs.c.licence, jobs.c.operator, openings.c.content)
        .join(jobs, jobs.c.id == releases.c.job)
        .join(openings, openings.c.commitment == releases.c.record)
        .where(_of(space), releases.c.entry <= last)
        .order_by(releases.c.entry.desc())
        .limit(SHOWN)
    )
    sealed_of = {one.release: one.approval for one in approved}
    for row in connection.execute(query):
        yield Left(row.id, row.licence, row.operator, row.entry, from_json(row.content), sealed_of.get(row.id))


def _approval(office: Office, job: str, locked: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sealed.unlock(office, job, locked))
    return found


@dataclass(slots=True)
class Known:
    """What was read of one population, up to the entry `newest`: how many releases, and those of the human lane, oldest first."""

    newest: int = -1
    count: int = 0
    approved: list[Approved] = field(default_factory=list)
    index: ReleaseIndex = field(default_factory=ReleaseIndex)


_KNOWN: dict[tuple[str, str], Known] = {}  # by register and population: what left never changes
_LOCK = threading.Lock()


def fresh_index(earlier: Earlier) -> ReleaseIndex:
    """One that may be added to."""
    index = ReleaseIndex(entry for one in earlier.approved for entry in entries_of(one))
    index.add_noised(earlier.count - len(earlier.approved))
    return index


def entries_of(one: Approved) -> list[Entry]:
    """What the index knows of a release of the human lane: every cell, as it was sealed when it left."""
    return [entry_from(data, population(data["where"])) for data in one.approval["entries"]]
