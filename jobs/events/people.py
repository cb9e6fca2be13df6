"""Events about people, what they come in with, and the keys of the log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.events.parts import Code, Digest, Event, Text
from policies.catalogue import Model, Title
from policies.licence import Identifier
from policies.roles import Role

Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
Scopes = Annotated[tuple[Code, ...], Field(min_length=1, max_length=100)]  # acts, by name: a log outlives the table of acts
Proposal = Annotated[int, Field(ge=0)]


class PrincipalRegistered(Event):
    """Somebody may act from now on, in one role. In a role that decides about others it takes the `proposal` of another person."""

    kind = "principal_registered"
    principal: Identifier
    role: Role
    title: Title
    proposal: Proposal | None = None


class PrincipalSuspended(Event):
    kind = "principal_suspended"
    principal: Identifier
    reason: Text


class PrincipalResumed(Event):
    kind = "principal_resumed"
    principal: Identifier
    reason: Text


class PrincipalClosed(Event):
    """For good: the id is not given out again."""

    kind = "principal_closed"
    principal: Identifier
    reason: Text


class AppointmentProposed(Event):
    """The first of two people who appoint somebody to a role that decides about others: registered, given a key, or given a subject of the
    identity provider. What the act needs is filled in, the rest is null."""

    kind = "appointment_proposed"
    act: Literal["principal_register", "key_issue", "subject_link"]
    principal: Identifier
    role: Role | None = None
    title: Title | None = None
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    certificate: Digest | None = None
    issuer: Text | None = None
    subject: Digest | None = None


class KeyIssued(Event):
    """The secret has 160 random bits, so its plain hash tells nobody anything. `scopes`: the only acts it is good for; `certificate`: SHA-256
    of the only client certificate; `replaces`: the key it follows."""

    kind = "key_issued"
    principal: Identifier
    prefix: Identifier
    secret_sha256: Digest
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    certificate: Digest | None = None
    replaces: Identifier | None = None
    proposal: Proposal | None = None


class KeyExpirySet(Event):
    """The key ends sooner than it was to: another has taken its place."""

    kind = "key_expiry_set"
    prefix: Identifier
    expires_at: Moment


class KeyRevoked(Event):
    kind = "key_revoked"
    prefix: Identifier
    reason: Text


class SubjectLinked(Event):
    """Who signs in at `issuer` as this subject is the principal. `subject` is a keyed hash of issuer and subject: the log names nobody."""

    kind = "subject_linked"
    principal: Identifier
    issuer: Text
    subject: Digest
    proposal: Proposal | None = None


class SubjectUnlinked(Event):
    kind = "subject_unlinked"
    subject: Digest
    reason: Text


class SessionOpened(Event):
    """Somebody signed in: through the identity provider, or in a browser with a `key`, named by its prefix; the session then ends with the
    key and is good for no more. The secret has 160 random bits."""

    kind = "session_opened"
    principal: Identifier
    session: Identifier
    secret_sha256: Digest
    channel: Literal["browser", "command_line"]
    expires_at: Moment
    key: Identifier | None = None


class SessionClosed(Event):
    kind = "session_closed"
    session: Identifier
    reason: Text


class Refusals(Model):
    """How often one caller was refused in one way. `source` is the caller's address, keyed; `principal` who it turned out to be; `prefix` the
    key's, if there is such a key; `act` what the endpoint would have done."""

    code: Code
    count: Annotated[int, Field(ge=1, lt=2**53)]
    source: Digest | None = None
    principal: Identifier | None = None
    prefix: Identifier | None = None
    act: Code | None = None


class AccessRefused(Event):
    """What was refused at the door between two moments, counted: one entry a minute at most, whatever comes. `others`: refusals beyond
    those that are listed; `locked`: addresses or keys that are locked out since."""

    kind = "access_refused"
    since: Moment
    until: Moment
    refusals: Annotated[tuple[Refusals, ...], Field(max_length=100)]
    others: Annotated[int, Field(ge=0, lt=2**53)] = 0
    locked: Annotated[int, Field(ge=0, lt=2**53)] = 0


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
