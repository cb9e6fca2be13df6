"""What is frozen now, and what that keeps from leaving. Reading only; the acts are in `jobs/acts/freezes.py`.

A freeze is met wherever something could happen: the policy refuses to admit, a job that waits is refused and its reservation given back, a
job that runs is not published (its charge stays), the table of a release is not served. What explains or proves stays readable: records,
receipts, the log, the desk of those who supervise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, literal_column, select

from infra.database import reading
from infra.prepared import Prepared, fetch
from infra.tables import freezes, jobs
from jobs.lookup import ReleaseSeen
from jobs.register import Register
from policies.freeze import Scope, frozen_name, stopped
from policies.problem import declare

FREEZE_HOLDS = declare(
    "freeze_holds",
    zh=(
        "应急处置期间不予提供",
        "数据主管部门已应急暂停：{what}；期间不提供此结果。",
        "结果与记录均已保留，请在解除后再取，或联系数据主管部门。",
    ),
    en=(
        "Withheld by an emergency freeze",
        "The bureau has frozen {what}; until the freeze is lifted this result is not available.",
        "The result and its record are kept: fetch it once the freeze is lifted, or contact the bureau.",
    ),
)


@dataclass(frozen=True, slots=True)
class Freeze:
    """`state` is "set" or "thawed". `proposal`: the entry of the newest proposal to thaw it, by `proposed_by`."""

    id: str
    scope: Scope
    subject: str
    state: str
    reason: str
    set_by: str
    set_at: str
    proposal: int | None
    proposed_by: str | None
    thawed_by: str | None
    changed_at: str


_SET = Prepared(select(freezes.c.scope, freezes.c.subject).where(freezes.c.state == literal_column("'set'")))


def frozen(connection: Connection) -> frozenset[str]:
    """Names of all that is stopped at this moment of the transaction, as `policies.freeze.frozen_name` spells them."""
    return frozenset(frozen_name(row.scope, row.subject) for row in fetch(connection, _SET, {}))


def one(connection: Connection, freeze: str) -> Freeze | None:
    row = connection.execute(select(freezes).where(freezes.c.id == freeze)).one_or_none()
    return None if row is None else _freeze(row)


def all_freezes(register: Register, *, standing: bool = False) -> list[Freeze]:
    """Newest first; `standing`: only those in force."""
    query = select(freezes).order_by(freezes.c.set_at.desc(), freezes.c.id)
    if standing:
        query = query.where(freezes.c.state == "set")
    with reading(register.engine) as connection:
        return [_freeze(row) for row in connection.execute(query)]


def _freeze(row: Row[Any]) -> Freeze:
    return Freeze(**row._mapping)


def require_open(connection: Connection, release: ReleaseSeen, reader: str, role: str) -> None:
    """FREEZE_HOLDS when a freeze keeps this table from this reader. An operator is held back by what stops itself, every licence it had the
    answer under, or a dataset the answer came from; a builder also by what stops the operator and the licence the answer was made under.
    Those who supervise may look."""
    if role not in ("operator", "builder"):
        return
    now = frozen(connection)
    if not now:
        return
    record = release.record
    datasets = [source["dataset"] for source in record["sources"]]
    found = stopped(now, operators=[reader], datasets=datasets)
    if role == "builder":
        found += [name for name in stopped(now, operators=[record["operator"]], licences=[record["licence"]]) if name not in found]
    else:
        query = select(jobs.c.licence).distinct().where(jobs.c.release == release.id, jobs.c.operator == reader)
        held = [stopped(now, licences=[licence]) for licence in connection.scalars(query)]
        found += [name for names in held for name in names if name not in found] if all(held) else []
    if found:
        raise FREEZE_HOLDS(what=", ".join(found))
