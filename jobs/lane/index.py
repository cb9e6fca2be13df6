"""Every table that left of one population, of either lane, as a new one is compared with: the release index, filled from the register.

The log commits to what left and does not hold it, so the index is made of the register's sealed contents and the staged answers, release by
release, and kept in memory: what left never changes.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from infra.database import reading
from infra.tables import approvals, charge_accounts, charges, jobs, openings, releases
from jobs.lane import sealed
from jobs.lane.case import Case
from jobs.ledger import population_account
from jobs.office import Office
from policies.disclosure.index import Entry, ReleaseIndex, entry_from
from policies.disclosure.predicate import ALL, population


@dataclass(frozen=True, slots=True)
class Left:
    """One release: `record` is what was published about it, `approval` what was sealed when people let it out (None: the noised lane)."""

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

    def under(self, licence: str) -> tuple[Left, ...]:
        return tuple(one for one in self.left if one.licence == licence)


def newest(connection: Connection, space: str) -> int:
    """The entry of the newest release of a population; -1: there is none."""
    query = (
        select(func.max(releases.c.entry))
        .join(charges, charges.c.job == releases.c.job)
        .join(charge_accounts, charge_accounts.c.charge == charges.c.id)
        .where(charge_accounts.c.account == population_account(space))
    )
    return int(connection.execute(query).scalar_one_or_none() or -1)


def earlier_releases(office: Office, case: Case) -> Earlier:
    """All releases of the population that the case's table is about."""
    with reading(office.register.engine) as connection:
        last = newest(connection, case.plan.space)
        query = (
            select(releases.c.id, releases.c.job, releases.c.entry, jobs.c.licence, jobs.c.operator, openings.c.content, approvals.c.evidence)
            .join(jobs, jobs.c.id == releases.c.job)
            .join(openings, openings.c.commitment == releases.c.record)
            .join(charges, charges.c.job == releases.c.job)
            .join(charge_accounts, charge_accounts.c.charge == charges.c.id)
            .outerjoin(approvals, approvals.c.job == releases.c.job)
            .where(charge_accounts.c.account == population_account(case.plan.space), releases.c.entry <= last)
            .order_by(releases.c.entry.desc())
        )
        rows = connection.execute(query).all()
        sealed_as = [row.evidence for row in rows if row.evidence is not None]
        told = dict(
            (row.commitment, bytes(row.content))
            for row in connection.execute(select(openings.c.commitment, openings.c.content).where(openings.c.commitment.in_(sealed_as)))
        )
    approved = {row.job: _approval(office, row.job, told.get(row.evidence)) for row in rows}
    left = tuple(Left(row.id, row.job, row.licence, row.operator, row.entry, json.loads(bytes(row.content)), approved[row.job]) for row in rows)
    return Earlier(last, left, _index(office, case.plan.space, left))


def _approval(office: Office, job: str, locked: bytes | None) -> dict[str, Any] | None:
    if locked is None:
        return None
    found: dict[str, Any] = json.loads(sealed.unlock(office, job, locked))
    return found


_KNOWN: dict[tuple[str, str], tuple[int, ReleaseIndex]] = {}  # by register and population: what left never changes
_LOCK = threading.Lock()


def _index(office: Office, space: str, left: tuple[Left, ...]) -> ReleaseIndex:
    """The index over these releases, with those added that came since it was asked for last."""
    where = str(office.register.engine.url), space
    with _LOCK:
        before, index = _KNOWN.get(where, (-1, ReleaseIndex()))
        for one in reversed(left):  # the oldest first
            if one.entry > before:
                for entry in entries_of(one, space):
                    index.add(entry)
                before = one.entry
        _KNOWN[where] = before, index
        return index


def fresh_index(earlier: Earlier, space: str) -> ReleaseIndex:
    """One that may be added to."""
    return ReleaseIndex(entry for one in earlier.left for entry in entries_of(one, space))


def entries_of(one: Left, space: str) -> list[Entry]:
    """What the index knows of a release: of the human lane every cell, as it was sealed when it left; of the noised lane that it left."""
    if one.approval is None:
        return [Entry(one.job, (), space, "", "", ALL, noised=True)]
    return [entry_from(data, population(data["where"])) for data in one.approval["entries"]]
