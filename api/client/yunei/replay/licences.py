"""Rules of replay: licences."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    moves,
    proposed,
    require,
    second,
)


def _granted(book: Book, event: Event, _index: int) -> None:
    require(event["licence"] not in book.licences, f"licence {event['licence']} is granted twice")
    if event["proposal"] is not None:
        second(book, event, {"kind": "licence_proposed", "licence": event["licence"], "document": event["document"]})
    book.licences[event["licence"]] = "active"


RULES: dict[str, Rule] = {
    "licence_granted": _granted,
    "licence_proposed": proposed,
    "licence_resumed": moves("licences", "licence", ("suspended",), "active"),
    "licence_revoked": moves("licences", "licence", ("active", "suspended"), "revoked"),
    "licence_suspended": moves("licences", "licence", ("active",), "suspended"),
}
