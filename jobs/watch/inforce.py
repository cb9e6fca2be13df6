"""Which rules are in force: those that two supervisors last changed them to; before any change, those that the program comes with."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Row, select

from infra.database import reading
from infra.tables import alert_rules, documents
from jobs.register import Register
from jobs.watch.rules import RuleSet, rules_from_toml, shipped_rules
from policies.problem import Problem

log = structlog.get_logger("yunei.watch")


@dataclass(frozen=True, slots=True)
class Version:
    """A set that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    rules: str
    name: str
    version: int
    before: str
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None
    text: str


_NOW = (
    select(alert_rules.c.document, alert_rules.c.rules, alert_rules.c.since, documents.c.body)
    .join(documents, documents.c.digest == alert_rules.c.document)
    .where(alert_rules.c.since.is_not(None))
    .order_by(alert_rules.c.since.desc())
    .limit(1)
)


def _now(connection: Connection) -> Row[str, str, int | None, bytes] | None:
    return connection.execute(_NOW).one_or_none()


def document_in_force(connection: Connection) -> str | None:
    """The digest of the text in force; None: the rules that the program comes with."""
    now = _now(connection)
    return None if now is None else now.document


def rules_in_force(connection: Connection) -> tuple[str, RuleSet]:
    """With the digest that alerts carry. A set that was accepted once and is read otherwise by this program is looked for as this program
    comes: better other rules than none, and the log says which digest was in force."""
    now = _now(connection)
    if now is None:
        return shipped_rules().digest, shipped_rules()
    try:
        rules = rules_from_toml(bytes(now.body).decode())
    except (Problem, ValueError, RecursionError):
        log.error("alert_rules_unusable", since=now.since)
        rules = shipped_rules()
    return now.rules, rules


def versions(register: Register) -> list[Version]:
    """Every set ever proposed, with its text, the newest first."""
    query = select(alert_rules, documents.c.body).join(documents, documents.c.digest == alert_rules.c.document)
    with reading(register.engine) as connection:
        rows = connection.execute(query.order_by(alert_rules.c.entry.desc())).all()
    return [
        Version(**{column.name: getattr(row, column.name) for column in alert_rules.columns}, text=bytes(row.body).decode()) for row in rows
    ]
