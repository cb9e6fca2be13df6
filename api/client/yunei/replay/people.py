"""Rules of replay: people and keys."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    moves,
    require,
)


def _issued(book: Book, event: Event, _index: int) -> None:
    require(book.people.get(event["principal"]) == "active", f"{event['principal']} is not registered and active")
    require(event["prefix"] not in book.keys, f"key {event['prefix']} is issued twice")
    book.keys[event["prefix"]] = "active"


def _announced(book: Book, event: Event, _index: int) -> None:
    require(book.log_keys in ([], [event["under"]]), "a key is announced under one that does not sign alone")
    book.log_keys = [event["under"], event["vkey"]]


def _retired(book: Book, event: Event, _index: int) -> None:
    require(len(book.log_keys) == 2 and book.log_keys[0] == event["vkey"], "a key retires that has no successor")
    del book.log_keys[0]


def _registered(book: Book, event: Event, _index: int) -> None:
    require(event["principal"] not in book.people, f"{event['principal']} is registered twice")
    book.people[event["principal"]] = "active"


RULES: dict[str, Rule] = {
    "key_issued": _issued,
    "key_revoked": moves("keys", "prefix", ("active",), "revoked"),
    "log_key_announced": _announced,
    "log_key_retired": _retired,
    "principal_registered": _registered,
    "principal_resumed": moves("people", "principal", ("suspended",), "active"),
    "principal_suspended": moves("people", "principal", ("active",), "suspended"),
}
