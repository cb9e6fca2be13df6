"""Rules of replay: people, and what they come in with."""

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

# Roles that decide about others: whoever gets one, or a way to come in as one, is appointed by two people, unless by the machine's owner.
APPOINTED = ("steward", "reviewer", "supervisor", "auditor", "admin")
SYSTEM = "system"


def _active(book: Book, name: str) -> None:
    require(book.people.get(name) == "active", f"{name} is not registered and active")


def _appointed(book: Book, event: Event, act: str, role: str | None, *names: str) -> None:
    """What is done for somebody in an appointed role names another person's proposal of the same."""
    if event.get("proposal") is None:
        free = role not in APPOINTED or event["by"] == SYSTEM or (event.get("replaces") is not None and event["by"] == event["principal"])
        require(free, f"{event['principal']} is {role}: this takes two people")
        return
    second(book, event, {"act": act, "principal": event["principal"], **{name: event[name] for name in names}})


def _issued(book: Book, event: Event, _index: int) -> None:
    _active(book, event["principal"])
    require(event["prefix"] not in book.keys, f"key {event['prefix']} is issued twice")
    if event.get("replaces") is not None:
        require(book.keys.get(event["replaces"]) == "active", f"key {event['replaces']} is not there to be replaced")
        require(book.holders.get(event["replaces"]) == event["principal"], f"key {event['replaces']} is somebody else's")
    _appointed(book, event, "key_issue", book.roles.get(event["principal"]), "scopes", "expires_at", "certificate")
    book.keys[event["prefix"]] = "active"
    book.holders[event["prefix"]] = event["principal"]


def _ends(book: Book, event: Event, _index: int) -> None:
    require(book.keys.get(event["prefix"]) == "active", f"key {event['prefix']} is {book.keys.get(event['prefix'], 'unknown')}")


def _linked(book: Book, event: Event, _index: int) -> None:
    _active(book, event["principal"])
    require(book.subjects.get(event["subject"]) != "linked", "a subject is linked to two principals")
    _appointed(book, event, "subject_link", book.roles.get(event["principal"]), "issuer", "subject")
    book.subjects[event["subject"]] = "linked"


def _signed_in(book: Book, event: Event, _index: int) -> None:
    _active(book, event["principal"])
    require(event["session"] not in book.sessions, f"session {event['session']} is opened twice")
    if key := event.get("key"):
        require(book.keys.get(key) == "active", f"a session is opened with key {key}, which is {book.keys.get(key, 'unknown')}")
        require(book.holders[key] == event["principal"], f"a session of {event['principal']} is opened with another's key")
    book.sessions[event["session"]] = "open"


def _announced(book: Book, event: Event, _index: int) -> None:
    require(book.log_keys in ([], [event["under"]]), "a key is announced under one that does not sign alone")
    book.log_keys = [event["under"], event["vkey"]]


def _retired(book: Book, event: Event, _index: int) -> None:
    require(len(book.log_keys) == 2 and book.log_keys[0] == event["vkey"], "a key retires that has no successor")
    del book.log_keys[0]


def _registered(book: Book, event: Event, _index: int) -> None:
    require(event["principal"] not in book.people, f"{event['principal']} is registered twice")
    _appointed(book, event, "principal_register", event.get("role"), "role", "title")
    book.people[event["principal"]] = "active"
    book.roles[event["principal"]] = event.get("role", "")


def _refused(_book: Book, event: Event, _index: int) -> None:
    require(event["since"] <= event["until"], "a count of refusals ends before it begins")


RULES: dict[str, Rule] = {
    "access_refused": _refused,
    "appointment_proposed": proposed,
    "key_expiry_set": _ends,
    "key_issued": _issued,
    "key_revoked": moves("keys", "prefix", ("active",), "revoked"),
    "log_key_announced": _announced,
    "log_key_retired": _retired,
    "principal_closed": moves("people", "principal", ("active", "suspended"), "closed"),
    "principal_registered": _registered,
    "principal_resumed": moves("people", "principal", ("suspended",), "active"),
    "principal_suspended": moves("people", "principal", ("active",), "suspended"),
    "session_closed": moves("sessions", "session", ("open",), "closed"),
    "session_opened": _signed_in,
    "subject_linked": _linked,
    "subject_unlinked": moves("subjects", "subject", ("linked",), "unlinked"),
}
