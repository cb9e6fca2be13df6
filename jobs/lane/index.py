"""Every table that left of one population, of either lane, as a new one is compared with: the release index, filled from the register.

The log commits to what left and does not hold it, so the index is made of the register's sealed contents and the staged answers, release by
release, and kept in memory: what left never changes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, exists, select

from infra.database import reading
from infra.tables import approvals, charge_accounts, charges, jobs, openings, releases
from jobs.lane import sealed
from jobs.lane.case import Case
from jobs.ledger import population_account
from jobs.office import Office
from policies.disclosure.index import Entry, ReleaseIndex, entry_from
from policies.disclosure.predicate import ALL, population

SHOWN = 100  # earlier releases that a reviewer is shown


@dataclass(frozen=True, slots=True)
class Left:
    """One release: `record` is what was published about it, empty but for the newest `SHOWN`; `approval` what was sealed when people let it
    out (None: the noised lane)."""

    release: str
    job: str
    licence: str
    operator: str
    entry: int
    record: dict[str, Any]
    approval: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What left before, the newest first. `newest` is the log's entry of the newest, -1 for none."""

    newest: int
    left: tuple[Left, ...]
    index: ReleaseIndex = field(repr=False)


def newest(connection: Connection, space: str) -> int:
    """The entry of the newest release of a population; -1: there is none. Walks back from the newest of all, which is near."""
    query = (
        select(releases.c.entry)
        .where(
            exists()
            .where(charges.c.job == releases.c.job)
            .where(charge_accounts.c.charge == charges.c.id, charge_accounts.c.account == population_account(space))
        )
        .order_by(releases.c.entry.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar_one_or_none()
    return -1 if found is None else int(found)


def earlier_releases(office: Office, case: Case) -> Earlier:
    """All releases of the population that the case's table is about. What left since the last look is read; the rest is known."""
    where = str(office.register.engine.url), case.plan.space
    with _LOCK, reading(office.register.engine) as connection:
        known = _KNOWN.setdefault(where, Known())
        last = newest(connection, case.plan.space)
        for one in _left_since(office, connection, case.plan.space, known.newest, last):
            known.left.append(one)
            for entry in entries_of(one, case.plan.space):
                known.index.add(entry)
            known.newest = one.entry
        left = [one for one in reversed(known.left) if one.entry <= last]
        said = _records(connection, [one.release for one in left[:SHOWN]])
    shown = (replace(one, record=said[one.release]) for one in left[:SHOWN])
    return Earlier(last, (*shown, *left[SHOWN:]), known.index)


def _left_since(office: Office, connection: Connection, space: str, before: int, last: int) -> Iterator[Left]:
    """Releases with an entry above `before`, the oldest first."""
    query = (
        select(releases.c.id, releases.c.job, releases.c.entry, jobs.c.licence, jobs.c.operator, openings.c.content)
        .join(jobs, jobs.c.id == releases.c.job)
        .join(charges, charges.c.job == releases.c.job)
        .join(charge_accounts, charge_accounts.c.charge == charges.c.id)
        .outerjoin(approvals, approvals.c.job == releases.c.job)
        .outerjoin(openings, openings.c.commitment == approvals.c.evidence)
        .where(charge_accounts.c.account == population_account(space), releases.c.entry > before, releases.c.entry <= last)
        .order_by(releases.c.entry)
    )
    for row in connection.execute(query):
        locked = None if row.content is None else bytes(row.content)
        yield Left(row.id, row.job, row.licence, row.operator, row.entry, {}, _approval(office, row.job, locked))


def _records(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    query = select(releases.c.id, openings.c.content).join(openings, openings.c.commitment == releases.c.record).where(releases.c.id.in_(ids))
    return {row.id: json.loads(bytes(row.content)) for row in connection.execute(query)}


def _approval(office: Office, job: str, locked: bytes | None) -> dict[str, Any] | None:
    if locked is None:
        return None
    found: dict[str, Any] = json.loads(sealed.unlock(office, job, locked))
    return found


@dataclass(slots=True)
class Known:
    """What was read of one population: `left` the oldest first, up to the entry `newest`."""

    newest: int = -1
    left: list[Left] = field(default_factory=list)
    index: ReleaseIndex = field(default_factory=ReleaseIndex)


_KNOWN: dict[tuple[str, str], Known] = {}  # by register and population: what left never changes
_LOCK = threading.Lock()


def fresh_index(earlier: Earlier, space: str) -> ReleaseIndex:
    """One that may be added to."""
    return ReleaseIndex(entry for one in earlier.left for entry in entries_of(one, space))


def entries_of(one: Left, space: str) -> list[Entry]:
    """What the index knows of a release: of the human lane every cell, as it was sealed when it left; of the noised lane that it left."""
    if one.approval is None:
        return [Entry(one.job, (), space, "", "", ALL, noised=True)]
    return [entry_from(data, population(data["where"])) for data in one.approval["entries"]]
