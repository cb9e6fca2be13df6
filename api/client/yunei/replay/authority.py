"""Rules of replay: freezes, the policy, the disclosure rule pack."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    acts_as,
    proposed,
    require,
    second,
)


def _set(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    require(event["freeze"] not in book.freezes, f"freeze {event['freeze']} is set twice")
    require((event["scope"] == "everything") == (event["subject"] == ""), f"freeze {event['freeze']} does not say what it stops")
    book.freezes[event["freeze"]] = "set"
    book.frozen[event["freeze"]] = f"{event['scope']}:{event['subject']}"


def _thaw_proposed(book: Book, event: Event, index: int) -> None:
    acts_as(book, event, "supervisor")
    require(event["freeze"] in book.frozen, f"freeze {event['freeze']} is not in force")
    proposed(book, event, index)


def _thawed(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor")
    second(book, event, {"kind": "thaw_proposed", "freeze": event["freeze"]})
    require(book.frozen.pop(event["freeze"], None), f"freeze {event['freeze']} is not in force")
    book.freezes[event["freeze"]] = "thawed"


def _policy_proposed(book: Book, event: Event, index: int) -> None:
    _follows(book, event)
    proposed(book, event, index)


def _changed(book: Book, event: Event, _index: int) -> None:
    second(book, event, {"kind": "policy_proposed", **{name: event[name] for name in ("policy", "before", "document")}})
    _follows(book, event)
    book.policies.append(event["document"])


def _follows(book: Book, event: Event) -> None:
    acts_as(book, event, "supervisor")
    now = book.policies[-1] if book.policies else None
    require(event["before"] == now, f"policy {event['policy']} does not follow the one in force")


def _pack_adopted(book: Book, event: Event, _index: int) -> None:
    require(event["by"] == "system" and not book.packs, f"rule pack {event['pack']} cannot be adopted any more")
    book.packs.append((event["document"], event["pack"]))


def _pack_proposed(book: Book, event: Event, index: int) -> None:
    _follows_pack(book, event)
    proposed(book, event, index)


def _pack_changed(book: Book, event: Event, _index: int) -> None:
    second(book, event, {"kind": "pack_proposed", **{name: event[name] for name in ("pack", "before", "document")}})
    _follows_pack(book, event)
    book.packs.append((event["document"], event["pack"]))


def _follows_pack(book: Book, event: Event) -> None:
    acts_as(book, event, "supervisor")
    now = book.packs[-1][0] if book.packs else None
    require(event["before"] == now, f"rule pack {event['pack']} does not follow the one in force")


def under_pack(book: Book, event: Event) -> None:
    """The log states the pack before the first table is held; none is held or let out under another than the one in force."""
    in_force = book.packs[-1][1] if book.packs else None
    require(event["pack"] == in_force, f"job {event['job']} is under rule pack {event['pack']}, not the one in force")


RULES: dict[str, Rule] = {
    "freeze_set": _set,
    "freeze_thawed": _thawed,
    "pack_adopted": _pack_adopted,
    "pack_changed": _pack_changed,
    "pack_proposed": _pack_proposed,
    "policy_changed": _changed,
    "policy_proposed": _policy_proposed,
    "thaw_proposed": _thaw_proposed,
}
