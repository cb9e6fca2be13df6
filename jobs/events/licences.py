"""Events in the life of a licence."""

from __future__ import annotations

from pydantic import Field

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
