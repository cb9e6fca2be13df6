"""Which rules are in force: those that two supervisors last changed them to; before any change, those that the program comes with."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from infra.tables import alert_rules
from jobs.changed import Changes, Proposal
from jobs.watch.rules import RuleSet, rules_from_toml, shipped_rules
from policies.problem import Problem

log = structlog.get_logger("yunei.watch")


@dataclass(frozen=True, slots=True)
class Version(Proposal):
    """A set of rules, by its digest."""

    rules: str


_CHANGES = Changes(alert_rules, "rules", Version)
document_in_force = _CHANGES.document_in_force
versions = _CHANGES.versions


def rules_in_force(connection: Connection) -> tuple[str, RuleSet]:
    """With the digest that alerts carry. A set that was accepted once and is read otherwise by this program is looked for as this program
    comes: better other rules than none, and the log says which digest was in force."""
    now = _CHANGES.now(connection)
    if now is None:
        return shipped_rules().digest, shipped_rules()
    try:
        rules = rules_from_toml(now.body.decode())
    except (Problem, ValueError, RecursionError):
        log.error("alert_rules_unusable", since=now.since)
        rules = shipped_rules()
    return now.digest, rules
