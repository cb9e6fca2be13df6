"""From findings to alerts: each raised once, again only for what is new, closed by itself when what it was about is over."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, select

from infra.database import reading
from infra.tables import alerts
from jobs.events import AlertClosed, AlertRaised
from jobs.office import SYSTEM
from jobs.register import Register
from jobs.slots import parse_time
from jobs.watch.facts import Finding
from jobs.watch.inforce import rules_in_force
from jobs.watch.rules import RuleSet

STANDING = ("forecast", "exhaustion", "cosigned", "audited", "overdue", "frozen", "degraded")  # kinds that end by themselves


def raised(register: Register, rules: RuleSet, findings: Sequence[Finding]) -> list[str]:
    """Alerts for what is new among the findings; their ids."""
    again = {rule.id: timedelta(hours=rule.again_h) for rule in rules.rules}
    with reading(register.engine) as connection:
        wanted = [each for each in findings if _new(register, _last(connection, each.key), each, again[each.rule])]
    made = []
    for finding in {each.key: each for each in reversed(wanted)}.values():
        with register.transaction() as act:
            in_force, _ = rules_in_force(act.connection)
            last = _last(act.connection, finding.key)  # another process may have been first
            if not _new(register, last, finding, again[finding.rule]):
                continue
            alert = "alt-" + base64.b32encode(register.random(10)).decode().lower()
            told = {name: getattr(finding, name) for name in ("rule", "severity", "key", "things", "entries", "facts")}
            act.append(AlertRaised(by=SYSTEM, alert=alert, rules=in_force, **told))
        made.append(alert)
    return made


def not_closed(connection: Connection) -> set[str]:
    """Keys of alerts that stand: whatever is found of them now is nothing new."""
    return set(connection.execute(select(alerts.c.key).where(alerts.c.state != "closed")).scalars())


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest alert of a key."""

    state: str
    outcome: str | None
    closed_at: str | None
    changed_entry: int


def _last(connection: Connection, key: str) -> _Last | None:
    query = select(*(alerts.c[name] for name in ("state", "outcome", "closed_at", "changed_entry"))).where(alerts.c.key == key)
    row = connection.execute(query.order_by(alerts.c.entry.desc()).limit(1)).one_or_none()
    return None if row is None else _Last(**row._mapping)


def _new(register: Register, last: _Last | None, finding: Finding, again: timedelta) -> bool:
    """Never raised before; or closed, and found again from what is newer than the answer; or closed, and still so after a while."""
    if last is None:
        return True
    if last.closed_at is None:
        return False
    if finding.least:
        return sum(entry > last.changed_entry for entry in finding.entries) >= finding.least
    return last.outcome == "passed" or register.clock() - parse_time(last.closed_at) >= again


def over(register: Register, rules: RuleSet, standing: Collection[str]) -> list[str]:
    """Close the alerts of rules about how things stand whose `key` was not found this time. Returns their ids."""
    kinds = {rule.id for rule in rules.rules if rule.kind in STANDING}
    query = select(alerts.c.id, alerts.c.key).where(alerts.c.state != "closed", alerts.c.rule.in_(sorted(kinds))).order_by(alerts.c.entry)
    with reading(register.engine) as connection:
        gone = [row.id for row in connection.execute(query) if row.key not in standing]
    for alert in gone:
        with register.transaction() as act:
            state = act.connection.execute(select(alerts.c.state).where(alerts.c.id == alert)).scalar_one()
            if state != "closed":
                act.append(AlertClosed(by=SYSTEM, alert=alert, outcome="passed"))
    return gone
