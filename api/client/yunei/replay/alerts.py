"""Rules of replay: alerts, and the rules they are raised by."""

from __future__ import annotations

from yunei.replay.alarms import SEVERITIES, Alert
from yunei.replay.book import Book, Event, Rule, acts_as, proposed, require, second


def _raised(book: Book, event: Event, index: int) -> None:
    require(event["by"] == "system", f"alert {event['alert']} is raised by a person")
    require(event["severity"] in SEVERITIES, f"alert {event['alert']} has no severity")
    require(event["alert"] not in book.alerts.by_id, f"alert {event['alert']} is raised twice")
    require(event["key"] not in book.alerts.standing, f"alert {event['alert']} is raised while another of its key stands")
    require(all(0 <= entry < index for entry in event["entries"]), f"alert {event['alert']} names entries that come after it")
    rules = book.alerts.rules
    require(not rules or event["rules"] == rules[-1][1], f"alert {event['alert']} is raised by rules that are not in force")
    book.alerts.by_id[event["alert"]] = Alert(event["key"], event["severity"])
    book.alerts.standing[event["key"]] = event["alert"]


def _alert(book: Book, event: Event, *states: str) -> Alert:
    alert = book.alerts.by_id.get(event["alert"])
    require(alert is not None and alert.state in states, f"alert {event['alert']} is {'unknown' if alert is None else alert.state}")
    assert alert is not None
    return alert


def _acknowledged(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor")
    _alert(book, event, "open").state = "acknowledged"


def _closed(book: Book, event: Event, _index: int) -> None:
    by_itself = event["by"] == "system"
    require(by_itself == (event["outcome"] == "passed"), f"alert {event['alert']} is closed as {event['outcome']} by {event['by']}")
    require(event["outcome"] in ("handled", "false_alarm", "passed"), f"alert {event['alert']} is closed without an outcome")
    if not by_itself:
        acts_as(book, event, "supervisor")
    alert = _alert(book, event, *(("open", "acknowledged") if by_itself else ("acknowledged",)))
    alert.state = "closed"
    book.alerts.standing.pop(alert.key)


def _proposed(book: Book, event: Event, index: int) -> None:
    _follows(book, event)
    proposed(book, event, index)


def _changed(book: Book, event: Event, _index: int) -> None:
    second(book, event, {"kind": "alert_rules_proposed", **{name: event[name] for name in ("rules", "before", "document")}})
    _follows(book, event)
    book.alerts.rules.append((event["document"], event["rules"]))


def _follows(book: Book, event: Event) -> None:
    acts_as(book, event, "supervisor")
    rules = book.alerts.rules
    require(event["before"] == (rules[-1][0] if rules else None), f"alert rules {event['rules']} do not follow those in force")


RULES: dict[str, Rule] = {
    "alert_acknowledged": _acknowledged,
    "alert_closed": _closed,
    "alert_raised": _raised,
    "alert_rules_changed": _changed,
    "alert_rules_proposed": _proposed,
}
