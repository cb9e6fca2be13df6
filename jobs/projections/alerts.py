"""How events change the tables: alerts and the rules they are raised by. What an alert needs – the server alone raises, one at a time of a key,
a supervisor answers for it – is asked here, so that a log in which it was not so cannot be replayed."""

from __future__ import annotations

from sqlalchemy import String, bindparam, literal_column, select, update

from infra.prepared import Prepared, Writer
from infra.tables import alert_rules, alert_things, alerts, principals
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add, move

_key, _who = bindparam("key_", type_=String), bindparam("who_", type_=String)
_STANDING = Prepared(select(alerts.c.id).where(alerts.c.key == _key, alerts.c.state != literal_column("'closed'")))
_SUPERVISOR = Prepared(
    select(principals.c.id).where(
        principals.c.id == _who, principals.c.role == literal_column("'supervisor'"), principals.c.status == literal_column("'active'")
    )
)
_NOW = Prepared(
    select(alert_rules.c.rules, alert_rules.c.document).where(alert_rules.c.since.is_not(None)).order_by(alert_rules.c.since.desc()).limit(1)
)
_CHANGE = Prepared(
    update(alert_rules)
    .where(
        alert_rules.c.entry == bindparam("entry_"),
        alert_rules.c.rules == bindparam("rules_"),
        alert_rules.c.before == bindparam("before_"),
        alert_rules.c.document == bindparam("document_"),
        alert_rules.c.proposed_by != bindparam("by_"),
        alert_rules.c.since.is_(None),
    )
    .values(changed_by=bindparam("by_"), since=bindparam("since_"), changed_at=bindparam("at_"))
)


def _supervises(writer: Writer, who: str) -> None:
    if writer.row(_SUPERVISOR, {"who_": who}) is None:
        raise DoesNotFit("principals", who)


@projects(ev.AlertRaised)
def _raised(writer: Writer, recorded: ev.Recorded, event: ev.AlertRaised) -> None:
    now = writer.row(_NOW, {})
    if event.by != "system" or (now is not None and now[0] != event.rules) or any(entry >= recorded.index for entry in event.entries):
        raise DoesNotFit("alert_rules", event.rule)
    if writer.row(_STANDING, {"key_": event.key}) is not None:
        raise DoesNotFit("alerts", event.key)
    row = {"id": event.alert, "entry": recorded.index, "rule": event.rule, "severity": event.severity, "key": event.key, "state": "open"}
    add(writer, alerts, **row, raised_at=recorded.at, changed_at=recorded.at, changed_entry=recorded.index)
    for kind, thing in dict.fromkeys((thing.kind, thing.id) for thing in event.things):
        add(writer, alert_things, alert=event.alert, kind=kind, thing=thing)


@projects(ev.AlertAcknowledged)
def _acknowledged(writer: Writer, recorded: ev.Recorded, event: ev.AlertAcknowledged) -> None:
    _supervises(writer, event.by)
    values = {"acknowledged_by": event.by, "acknowledged_at": recorded.at, "words": event.words, "changed_entry": recorded.index}
    move(writer, alerts, event.alert, ["open"], "acknowledged", recorded.at, **values)


@projects(ev.AlertClosed)
def _closed(writer: Writer, recorded: ev.Recorded, event: ev.AlertClosed) -> None:
    by_itself = event.by == "system"
    if by_itself != (event.outcome == "passed"):
        raise DoesNotFit("alerts", event.alert)
    if not by_itself:
        _supervises(writer, event.by)
    values = {"closed_by": event.by, "closed_at": recorded.at, "outcome": event.outcome, "outcome_words": event.words}
    states = ["open", "acknowledged"] if by_itself else ["acknowledged"]
    move(writer, alerts, event.alert, states, "closed", recorded.at, **values, changed_entry=recorded.index)


@projects(ev.AlertRulesProposed)
def _proposed(writer: Writer, recorded: ev.Recorded, event: ev.AlertRulesProposed) -> None:
    _supervises(writer, event.by)
    _follows(writer, event.before, recorded.index)
    row = {name: getattr(event, name) for name in ("rules", "name", "version", "document", "reason")}
    add(writer, alert_rules, **row, entry=recorded.index, before=event.before or "", proposed_by=event.by, proposed_at=recorded.at)


@projects(ev.AlertRulesChanged)
def _changed(writer: Writer, recorded: ev.Recorded, event: ev.AlertRulesChanged) -> None:
    _supervises(writer, event.by)
    _follows(writer, event.before, event.proposal)
    values = {"entry_": event.proposal, "rules_": event.rules, "before_": event.before or "", "document_": event.document}
    if writer.run(_CHANGE, {**values, "by_": event.by, "since_": recorded.index, "at_": recorded.at}) != 1:
        raise DoesNotFit("alert_rules", str(event.proposal))


def _follows(writer: Writer, before: str | None, proposal: int) -> None:
    now = writer.row(_NOW, {})
    if before != (None if now is None else now[1]):
        raise DoesNotFit("alert_rules", str(proposal))
