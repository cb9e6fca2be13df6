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

IN_FORCE = ("granted", "active", "suspended")


def in_force(book: Book, licence: str) -> bool:
    """Granted, not suspended, and within its term at the time of the entry."""
    start, end = book.terms.get(licence, ("", ""))
    return book.licences.get(licence) in ("granted", "active") and start <= book.at < end


def _applied(book: Book, event: Event, _index: int) -> None:
    require(event["licence"] not in book.licences, f"licence {event['licence']} is there already")
    book.licences[event["licence"]] = "applied"
    book.operators[event["licence"]] = event["operator"]


def _consented(book: Book, event: Event, _index: int) -> None:
    require(book.licences.get(event["licence"]) == "applied", f"licence {event['licence']} is not applied for")
    if event["complete"]:
        book.licences[event["licence"]] = "consented"


def _second(book: Book, event: Event) -> None:
    if event["proposal"] is not None:
        second(book, event, {"kind": "licence_proposed", "licence": event["licence"], "document": event["document"]})


def _term(book: Book, event: Event) -> None:
    require(event["valid_from"] < event["valid_until"], "a term ends before it starts")
    require(book.at < event["valid_until"], f"licence {event['licence']} is granted after its term")
    book.terms[event["licence"]] = (event["valid_from"], event["valid_until"])


def _sealed(book: Book, event: Event, index: int, version: int) -> None:
    book.seals.append((index, event["signed"], event["document"], version, tuple(event["vkeys"])))


def _granted(book: Book, event: Event, index: int) -> None:
    name = event["licence"]
    require(book.licences.get(name) in (None, "applied", "consented"), f"licence {name} is granted twice")
    require(book.operators.get(name) in (None, event["operator"]), f"licence {name} was applied for by another operator")
    _second(book, event)
    _term(book, event)
    book.operators[name] = event["operator"]
    book.agreements[name] = 1
    _sealed(book, event, index, 1)
    book.licences[name] = "active" if event["valid_from"] <= book.at else "granted"


def _amended(book: Book, event: Event, index: int) -> None:
    name = event["licence"]
    require(book.licences.get(name) in IN_FORCE, f"licence {name} is not in force")
    require(event["version"] == book.agreements[name] + 1, f"version {event['version']} of licence {name} does not follow")
    _second(book, event)
    _term(book, event)
    book.agreements[name] = event["version"]
    _sealed(book, event, index, event["version"])
    if book.licences[name] != "suspended":
        book.licences[name] = "active" if event["valid_from"] <= book.at else "granted"


def _activated(book: Book, event: Event, _index: int) -> None:
    require(book.licences.get(event["licence"]) == "granted", f"licence {event['licence']} does not wait for its term")
    require(book.terms[event["licence"]][0] <= book.at, f"the term of licence {event['licence']} has not begun")
    book.licences[event["licence"]] = "active"


def _expired(book: Book, event: Event, _index: int) -> None:
    require(book.licences.get(event["licence"]) in IN_FORCE, f"licence {event['licence']} is not in force")
    require(book.terms[event["licence"]][1] <= book.at, f"the term of licence {event['licence']} is not over")
    book.licences[event["licence"]] = "expired"


def _disposed(book: Book, event: Event, _index: int) -> None:
    require(book.licences.get(event["licence"]) in ("expired", "revoked"), f"licence {event['licence']} has not ended")
    if event["products"] == "withdraw":
        book.withdrawn.add(event["licence"])


RULES: dict[str, Rule] = {
    "licence_activated": _activated,
    "licence_amended": _amended,
    "licence_applied": _applied,
    "licence_consented": _consented,
    "licence_declined": moves("licences", "licence", ("applied", "consented"), "declined"),
    "licence_disposed": _disposed,
    "licence_expired": _expired,
    "licence_granted": _granted,
    "licence_proposed": proposed,
    "licence_resumed": moves("licences", "licence", ("suspended",), "active"),
    "licence_revoked": moves("licences", "licence", IN_FORCE, "revoked"),
    "licence_suspended": moves("licences", "licence", ("active",), "suspended"),
}
