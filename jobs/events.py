"""What happened: one frozen model per kind of act, and its canonical bytes.

An entry of the log is one event in RFC 8785 canonical JSON: its own fields, `kind`, `at` (RFC 3339, UTC, microseconds) and `by` (the
principal who acted, or "system"). Losses are decimal strings. Entries are public to auditors and their hashes to everyone, so nothing
of the data stands in them: large content is named by its SHA-256 (`Digest`, kept in `documents` and beside the log), guessable or
confidential content by a salted commitment (`Commitment`, opened to the bureau alone).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import rfc8785
from pydantic import Field, StringConstraints

from jobs.event_parts import ENTRY_LIMIT as ENTRY_LIMIT
from jobs.event_parts import AccountId as AccountId
from jobs.event_parts import AccountKind as AccountKind
from jobs.event_parts import Amount as Amount
from jobs.event_parts import Code as Code
from jobs.event_parts import Commitment as Commitment
from jobs.event_parts import Cost as Cost
from jobs.event_parts import Digest as Digest
from jobs.event_parts import Event as Event
from jobs.event_parts import Text as Text
from policies.catalogue import Title
from policies.licence import Identifier
from policies.roles import Role

# ── people and keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class PrincipalRegistered(Event):
    kind = "principal_registered"
    principal: Identifier
    role: Role
    title: Title


class PrincipalSuspended(Event):
    kind = "principal_suspended"
    principal: Identifier
    reason: Text


class PrincipalResumed(Event):
    kind = "principal_resumed"
    principal: Identifier
    reason: Text


class KeyIssued(Event):
    """The secret has 160 random bits, so its plain hash tells nobody anything."""

    kind = "key_issued"
    principal: Identifier
    prefix: Identifier
    secret_sha256: Digest


class KeyRevoked(Event):
    kind = "key_revoked"
    prefix: Identifier
    reason: Text


class LogKeyAnnounced(Event):
    """The log's next key. The checkpoint that covers this entry is signed by `under`, the key it follows, and by itself."""

    kind = "log_key_announced"
    vkey: Text
    under: Text


class LogKeyRetired(Event):
    """The key signs no checkpoint from this entry on. `document` is the receipt of its successor's announcement, signed by it."""

    kind = "log_key_retired"
    vkey: Text
    document: Digest


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class DatasetRegistered(Event):
    kind = "dataset_registered"
    dataset: Text
    space: Text | None


class VersionIngested(Event):
    """`digest` is the snapshot's content digest, `document` the snapshot as the catalogue has it. Row counts are data: not here."""

    kind = "version_ingested"
    dataset: Text
    version: int = Field(ge=1, le=2**31 - 1)
    digest: Digest
    document: Digest


# ── licences ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class LicenceProposed(Event):
    kind = "licence_proposed"
    licence: Identifier
    document: Digest


class LicenceGranted(Event):
    """`proposal` is the entry in which another person proposed the same document; data graded important needs one."""

    kind = "licence_granted"
    licence: Identifier
    operator: Identifier
    document: Digest
    proposal: int | None = Field(default=None, ge=0)


class LicenceSuspended(Event):
    kind = "licence_suspended"
    licence: Identifier
    reason: Text


class LicenceResumed(Event):
    kind = "licence_resumed"
    licence: Identifier
    reason: Text


class LicenceRevoked(Event):
    kind = "licence_revoked"
    licence: Identifier
    reason: Text


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class AccountOpened(Event):
    kind = "account_opened"
    account: AccountId
    account_kind: AccountKind
    subject: Text
    cap: Cost


class CapRaiseProposed(Event):
    kind = "cap_raise_proposed"
    account: AccountId
    cap: Cost
    reason: Text


class CapRaised(Event):
    """The second person's act; `proposal` is the first one's entry."""

    kind = "cap_raised"
    account: AccountId
    cap: Cost
    proposal: int = Field(ge=0)


class ChargeReserved(Event):
    kind = "charge_reserved"
    charge: Identifier
    job: Identifier
    accounts: tuple[AccountId, ...] = Field(min_length=1, max_length=256)
    cost: Cost


class ChargeReleased(Event):
    """Given back: no row was read."""

    kind = "charge_released"
    charge: Identifier


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class JobSubmitted(Event):
    """`request` commits to the whole request, SQL included; `idempotency` is a digest over caller and their Idempotency-Key."""

    kind = "job_submitted"
    job: Identifier
    operator: Identifier
    licence: Identifier
    scenario: Identifier
    job_kind: Literal["sql"] = "sql"
    request: Commitment
    idempotency: Digest | None = None


class JobAdmitted(Event):
    """`question` identifies the answer (see `question_digest`); `slot_ms` is the public slot, chosen before the run."""

    kind = "job_admitted"
    job: Identifier
    plan_digest: Digest
    question: Digest
    cost: Cost
    policy_digest: Digest | None = None
    slot_ms: int = Field(default=0, ge=0, le=10**12)


class JobRefused(Event):
    """`job` None: refused before it had an id. `codes` are problem codes, `rules` the ids of broken policy rules. A `charge` still only
    reserved is given back with it."""

    kind = "job_refused"
    job: Identifier | None = None
    operator: Identifier | None = None
    codes: tuple[Code, ...] = Field(min_length=1, max_length=64)
    rules: tuple[Code, ...] = Field(default=(), max_length=64)
    charge: Identifier | None = None


class JobCancelled(Event):
    """A `charge` only reserved is given back; one already reading or spent is forfeited."""

    kind = "job_cancelled"
    job: Identifier
    charge: Identifier | None = None


class JobReading(Event):
    """From here on giving up costs the budget. The charge moves with the job: reserved → reading."""

    kind = "job_reading"
    job: Identifier
    charge: Identifier


class JobSpent(Event):
    """All partials are in: reading → spent. Noise is drawn after this."""

    kind = "job_spent"
    job: Identifier
    charge: Identifier


class JobStaged(Event):
    """The noisy table is fixed for ever; its bytes have this digest."""

    kind = "job_staged"
    job: Identifier
    table_sha256: Digest


class JobForfeited(Event):
    """Given up after reading began: the charge counts as spent. `code` is the constant problem its operator is shown: job_failed whatever
    happened in the run, job_withheld when licence or data were stopped meanwhile."""

    kind = "job_forfeited"
    job: Identifier
    charge: Identifier
    code: Literal["job_failed", "job_withheld"] = "job_failed"


# ── what leaves ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class ReleasePublished(Event):
    """`record` commits to the release record (columns, query, half-widths); `rows` and `bytes` are of the noisy table: metering."""

    kind = "release_published"
    release: Identifier
    job: Identifier
    charge: Identifier
    operator: Identifier
    licence: Identifier
    question: Digest
    plan_digest: Digest
    record: Commitment
    table_sha256: Digest
    rows: int = Field(ge=0, le=2**53)
    bytes: int = Field(ge=0, le=2**53)
    cost: Cost
    visible_at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]


class ReleaseReused(Event):
    """The same question again: answered with the stored release, nothing charged."""

    kind = "release_reused"
    job: Identifier
    release: Identifier


class ProductDelivered(Event):
    kind = "product_delivered"
    release: Identifier
    recipient: Identifier
    format: Literal["arrow", "parquet", "csv", "json"]
    sha256: Digest


def _kinds(base: type[Event]) -> dict[str, type[Event]]:
    return {model.kind: model for model in base.__subclasses__()}


EVENT_KINDS: dict[str, type[Event]] = _kinds(Event)


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
    body = _CANONICAL.encode({**_fields(event), "kind": event.kind, "at": at}).encode()
    if len(body) > ENTRY_LIMIT:
        raise ValueError(f"event {event.kind} has {len(body)} bytes; an entry has at most {ENTRY_LIMIT}")
    return body


def _fields(event: Event) -> dict[str, object]:
    fields = event.model_dump(mode="json")
    for value in fields.values():
        if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 2**53):
            raise ValueError(f"event {event.kind} holds a number that other readers of JSON might round")
    return fields


def read_entry(index: int, body: bytes) -> Recorded:
    """The event an entry holds. UnreadableEntry unless the bytes are exactly what `canonical` makes of it: one event, one spelling."""
    try:
        fields = json.loads(body)
        kind, at = fields.pop("kind"), fields.pop("at")
        event = EVENT_KINDS[kind].model_validate(fields)
        same = canonical(event, at) == body and rfc3339(datetime.fromisoformat(at)) == at
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
