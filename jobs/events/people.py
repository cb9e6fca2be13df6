"""Events about people and the keys they and the log hold."""

from __future__ import annotations

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
from policies.catalogue import Title
from policies.licence import Identifier
from policies.roles import Role


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
