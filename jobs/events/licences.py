"""Events in the life of a licence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

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
from policies.licence import Identifier

Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$")]
"""RFC 3339 in UTC with microseconds: text order is time order."""


class LicenceApplied(Event):
    """An operator asks for a licence. `document` is the agreement as it would have it."""

    kind = "licence_applied"
    licence: Identifier
    operator: Identifier
    document: Digest


class LicenceConsented(Event):
    """The body that provides a conditionally shared dataset agrees; `reference` numbers its document. `complete`: the last one."""

    kind = "licence_consented"
    licence: Identifier
    dataset: Text
    reference: Text
    complete: bool


class LicenceDeclined(Event):
    """A source body or the bureau says no to an application. For good: another application has another id."""

    kind = "licence_declined"
    licence: Identifier
    reason: Text


class LicenceProposed(Event):
    """The first of two people: this document should be granted, or put in place of the present one."""

    kind = "licence_proposed"
    licence: Identifier
    document: Digest


class LicenceGranted(Event):
    """`proposal` is the entry in which another person proposed the same document; data graded important needs one. `signed` is the document
    in a signed note under the bureau's keys `vkeys`. The term is from `valid_from` until before `valid_until`."""

    kind = "licence_granted"
    licence: Identifier
    operator: Identifier
    document: Digest
    proposal: int | None = Field(default=None, ge=0)
    signed: Digest
    vkeys: tuple[Text, ...] = Field(min_length=1, max_length=4)
    valid_from: Instant
    valid_until: Instant


class LicenceActivated(Event):
    """The term of a granted licence began. Decisions look at the term themselves: this writes it down."""

    kind = "licence_activated"
    licence: Identifier


class LicenceAmended(Event):
    """Another document takes the place of the present one, as `version`; state and accounts stay. A renewal is an amendment of the term."""

    kind = "licence_amended"
    licence: Identifier
    version: int = Field(ge=2, le=2**31 - 1)
    document: Digest
    proposal: int | None = Field(default=None, ge=0)
    signed: Digest
    vkeys: tuple[Text, ...] = Field(min_length=1, max_length=4)
    valid_from: Instant
    valid_until: Instant
    reason: Text


class LicenceSuspended(Event):
    """Nothing is admitted or published under it from this entry on."""

    kind = "licence_suspended"
    licence: Identifier
    reason: Text


class LicenceResumed(Event):
    kind = "licence_resumed"
    licence: Identifier
    reason: Text


class LicenceExpired(Event):
    """Its term is over. What was agreed for this is done in the same transaction; see `licence_disposed`."""

    kind = "licence_expired"
    licence: Identifier


class LicenceRevoked(Event):
    """Ended by the bureau before its term, for good. What was agreed for the end is done in the same transaction."""

    kind = "licence_revoked"
    licence: Identifier
    reason: Text


class LicenceDisposed(Event):
    """What was done at the end as agreed: access to what was made under it, how many of the operator's keys were revoked and how many jobs
    that waited were cancelled, each by an entry of its own before this one."""

    kind = "licence_disposed"
    licence: Identifier
    products: Literal["keep", "withdraw"]
    keys_revoked: int = Field(ge=0, le=2**31 - 1)
    jobs_cancelled: int = Field(ge=0, le=2**31 - 1)
