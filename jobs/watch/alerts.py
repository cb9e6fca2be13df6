"""What was raised, for whoever looks. Reading only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, case, func, select

from infra.database import reading
from infra.tables import alert_things
from infra.tables import alerts as table
from jobs.events import AlertRaised
from jobs.register import Register

SEVERITIES = ("serious", "warning", "info")
STATES = ("open", "acknowledged", "closed")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it stands, with the event that raised it."""

    id: str
    entry: int
    rule: str
    severity: str
    key: str
    state: str
    raised_at: str
    changed_at: str
    changed_entry: int
    acknowledged_by: str | None
    acknowledged_at: str | None
    words: str | None
    closed_by: str | None
    closed_at: str | None
    outcome: str | None
    outcome_words: str | None
    raised: AlertRaised


def alerts_of(
    register: Register,
    *,
    states: tuple[str, ...] = (),
    severity: str | None = None,
    rule: str | None = None,
    thing: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Alert]:
    """Newest first; `before`: only those raised before that entry; `thing`: only those about it, such as an operator or an account."""
    query: Select[*tuple[object, ...]] = select(table).order_by(table.c.entry.desc()).limit(limit)
    for wanted in (
        table.c.state.in_(states) if states else None,
        table.c.severity == severity if severity else None,
        table.c.rule == rule if rule else None,
        table.c.entry < before if before is not None else None,
        table.c.id.in_(select(alert_things.c.alert).where(alert_things.c.thing == thing)) if thing else None,
    ):
        query = query if wanted is None else query.where(wanted)
    return _read(register, query)


def alert(register: Register, alert_id: str) -> Alert | None:
    return next(iter(_read(register, select(table).where(table.c.id == alert_id))), None)


def _read(register: Register, query: Select[*tuple[object, ...]]) -> list[Alert]:
    with reading(register.engine) as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        event = register.event(row.entry).event
        assert isinstance(event, AlertRaised)
        found.append(Alert(**row._mapping, raised=event))
    return found


def standing(connection: Connection) -> dict[str, int]:
    """How many alerts nobody has acknowledged, by severity, the most serious first."""
    found = dict.fromkeys(SEVERITIES, 0)
    query = select(table.c.severity, func.count()).where(table.c.state == "open").group_by(table.c.severity)
    found.update({severity: count for severity, count in connection.execute(query)})
    return found


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a rule's alerts so far."""

    raised: int = 0
    open: int = 0
    handled: int = 0
    false_alarms: int = 0
    passed: int = 0


def records(connection: Connection) -> Mapping[str, Record]:
    """By rule: the false alarms of this very installation, as its supervisors judged them."""

    def many(condition: object) -> object:
        return func.sum(case((condition, 1), else_=0))  # type: ignore[arg-type]  # a condition of columns

    columns = [func.count()]
    columns += [many(table.c.state != "closed")]  # type: ignore[list-item]
    columns += [many(table.c.outcome == name) for name in ("handled", "false_alarm", "passed")]  # type: ignore[misc]
    return {
        row[0]: Record(*(int(number) for number in row[1:]))
        for row in connection.execute(select(table.c.rule, *columns).group_by(table.c.rule))
    }
