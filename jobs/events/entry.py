"""An entry of the log: the canonical bytes of an event, and back."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType

import rfc8785

from jobs.events import alerts, authority, data, fees, ledger, licences, people, products, programs, releases, reports, reviews, work
from jobs.events.parts import ENTRY_LIMIT as ENTRY_LIMIT
from jobs.events.parts import AccountId as AccountId
from jobs.events.parts import AccountKind as AccountKind
from jobs.events.parts import Amount as Amount
from jobs.events.parts import Code as Code
from jobs.events.parts import Commitment as Commitment
from jobs.events.parts import Cost as Cost
from jobs.events.parts import Digest as Digest
from jobs.events.parts import Event as Event
from jobs.events.parts import Text as Text

TOPICS: tuple[ModuleType, ...] = (people, data, licences, ledger, work, releases, authority, programs, fees, products, reviews, alerts, reports)


def _kinds(base: type[Event]) -> dict[str, type[Event]]:
    return {model.kind: model for model in base.__subclasses__()}


EVENT_KINDS: dict[str, type[Event]] = _kinds(Event)  # the topics above are all there is: importing them made their models


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log."""

    index: int
    at: str
    event: Event

    @property
    def kind(self) -> str:
        return self.event.kind


class UnreadableEntry(ValueError):
    """An entry that is not the canonical form of any known event."""


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds: fixed width, so text order is time order.

    >>> rfc3339(datetime(2026, 11, 22, 8, 30, tzinfo=UTC))
    '2026-11-22T08:30:00.000000Z'
    """
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""RFC 8785 for what events hold: names in ASCII, text, whole numbers below 2**53, lists, null. No floats."""


def canonical(event: Event, at: str) -> bytes:
    """The entry's bytes. ValueError when longer than ENTRY_LIMIT: what is large is named by a digest."""
    fields = _fields(event)
    fields["kind"], fields["at"] = event.kind, at
    body = _CANONICAL.encode(fields).encode()
    if len(body) > ENTRY_LIMIT:
        raise ValueError(f"event {event.kind} has {len(body)} bytes; an entry has at most {ENTRY_LIMIT}")
    return body


_NUMBERS = (int, float)


def _fields(event: Event) -> dict[str, object]:
    fields: dict[str, object] = event.__pydantic_serializer__.to_python(event, mode="json")
    for value in fields.values():
        if type(value) in _NUMBERS and (type(value) is float or abs(value) >= 2**53):  # type: ignore[arg-type]  # a number
            raise ValueError(f"event {event.kind} holds a number that other readers of JSON might round")
    return fields


_FIRST = json.JSONDecoder().raw_decode
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@lru_cache(maxsize=256)
def _is_time(second: str) -> bool:
    """Whether there is such a second; entries come many to one. ValueError when there is none."""
    return datetime.fromisoformat(second) is not None


def read_entry(index: int, body: bytes) -> Recorded:
    """The event an entry holds. UnreadableEntry unless the bytes are exactly what `canonical` makes of it: one event, one spelling."""
    try:
        fields = _FIRST(body.decode())[0]  # what follows it shows in the comparison
        kind, at = fields.pop("kind"), fields.pop("at")
        event = EVENT_KINDS[kind].__pydantic_validator__.validate_python(fields)
        same = canonical(event, at) == body and _MOMENT.fullmatch(at) is not None and _is_time(at[:19])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:  # ValidationError is a ValueError
        raise UnreadableEntry(f"entry {index} is not an event of a known kind") from error
    if not same:
        raise UnreadableEntry(f"entry {index} is not in canonical form")
    return Recorded(index, at, event)


def question_digest(plan_digest: str, snapshot_digests: tuple[str, ...]) -> str:
    """What makes two jobs the same question: the canonical plan and the content it reads, whatever order the snapshots come in."""
    return hashlib.sha256(rfc8785.dumps({"plan": plan_digest, "snapshots": sorted(snapshot_digests)})).hexdigest()


def commitment(salt: bytes, content: bytes) -> str:
    """Hiding (32 random bytes of salt) and binding: HMAC-SHA-256 keyed with the salt, in hex."""
    if len(salt) != 32:
        raise ValueError("a salt has 32 bytes")
    return hmac.new(salt, content, hashlib.sha256).hexdigest()
