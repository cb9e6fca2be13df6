"""What people come in with: API keys and sessions, each a prefix that is no secret and a secret the register knows the hash of.

    yk_<prefix>_<secret>   an API key; <secret> has 160 random bits
    ys_<id>_<secret>       a session of somebody who signed in at the identity provider, or in a browser with a key

Reading only, but for `note_use`, which keeps when a credential was last used: to the day for a key, to the minute for a session, outside
the log. What a refusal says never depends on whether the prefix exists, and as far as this module can help it, neither does its duration:
an unknown prefix is compared with a hash of nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, Engine, Row, String, bindparam, select, update

from infra.database import UNAVAILABLE, insert_ignoring, writing
from infra.prepared import Prepared, fetch
from infra.tables import api_keys, credential_uses, principals, sessions, subjects
from jobs.directory import Principal, principal_of
from jobs.events import rfc3339

Kind = Literal["key", "session"]
SCHEMES: dict[str, Kind] = {"yk": "key", "ys": "session"}
_SHAPE = re.compile(r"(yk|ys)_([a-z2-7]{4,32})_([a-z2-7]{16,64})")
_NOTHING = "0" * 64
_GRAIN: dict[Kind, timedelta] = {"key": timedelta(days=1), "session": timedelta(minutes=1)}


@dataclass(frozen=True, slots=True)
class Credential:
    """A key or session that is good at the moment it was looked up. The holder may be suspended: look at its `status`.

    `scopes`: the only acts it is good for, None: all that the role may. `certificate`: SHA-256, in hex, of the only client certificate it
    may be used with, None: any or none.
    """

    kind: Kind
    id: str
    principal: Principal
    scopes: frozenset[str] | None = None
    expires_at: str | None = None
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key without its secret. `status`: active, expired, revoked. `used_on`: the last day it was used, None: never."""

    prefix: str
    principal: str
    status: str
    issued_at: str
    scopes: tuple[str, ...] | None = None
    expires_at: str | None = None
    certificate: str | None = None
    replaces: str | None = None
    used_on: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    id: str
    principal: str
    channel: str
    status: str  # open, closed, expired
    opened_at: str
    expires_at: str
    used_at: str | None


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    subject: str
    principal: str
    issuer: str
    linked_at: str


def secret_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def parse(secret: str) -> tuple[Kind, str] | None:
    """Kind and prefix of what has the shape of a credential, else None."""
    shape = _SHAPE.fullmatch(secret)
    return None if shape is None else (SCHEMES[shape.group(1)], shape.group(2))


def credential_of(connection: Connection, secret: str, now: datetime, idle: timedelta | None = None) -> Credential | None:
    """Whose credential this is, if the secret is right and it is neither revoked, closed, expired nor, for a session, `idle` for too long; else
    None, whatever was wrong."""
    known = parse(secret)
    row = None if known is None else _row(connection, *known)
    right = hmac.compare_digest(_NOTHING if row is None else row.secret_sha256, secret_digest(secret))
    if known is None or row is None or not right:
        return None
    return _good(known[0], row, now, idle)


def credential_named(connection: Connection, kind: Kind, id: str, now: datetime, idle: timedelta | None = None) -> Credential | None:
    """The credential an access token was issued for, if it is still good."""
    row = _row(connection, kind, id)
    return None if row is None else _good(kind, row, now, idle)


def _good(kind: Kind, row: Row[tuple[object, ...]], now: datetime, idle: timedelta | None) -> Credential | None:
    if not _live(row.credential_status, row.expires_at, now):
        return None
    if kind == "session" and row.key_status is not None and not _live(row.key_status, row.key_expires_at, now):
        return None  # opened with a key that is good no more
    if kind == "session" and idle is not None and max(row.began_at, row.used_at or "") <= rfc3339(now - idle):
        return None
    scopes = None if row.scopes is None else frozenset(row.scopes.split())
    return Credential(kind, row.credential, principal_of(row), scopes, row.expires_at, row.certificate)


def _live(status: str, ends: str | None, now: datetime) -> bool:
    return status in ("active", "open") and (ends is None or ends > rfc3339(now))


def _row(connection: Connection, kind: Kind, id: str) -> Row[tuple[object, ...]] | None:
    found = fetch(connection, _QUERIES[kind], {"id_": id})
    return found[0] if found else None


_KEYS = (
    select(
        principals,
        api_keys.c.prefix.label("credential"),
        api_keys.c.secret_sha256,
        api_keys.c.status.label("credential_status"),
        api_keys.c.issued_at.label("began_at"),
        api_keys.c.expires_at,
        api_keys.c.scopes,
        api_keys.c.certificate,
        credential_uses.c.used_at,
    )
    .join(api_keys, api_keys.c.principal == principals.c.id)
    .outerjoin(credential_uses, credential_uses.c.id == api_keys.c.prefix)
    .where(api_keys.c.prefix == bindparam("id_", type_=String))
)
_SESSIONS = (
    select(
        principals,
        sessions.c.id.label("credential"),
        sessions.c.secret_sha256,
        sessions.c.status.label("credential_status"),
        sessions.c.opened_at.label("began_at"),
        sessions.c.expires_at,
        api_keys.c.scopes,
        api_keys.c.certificate,
        api_keys.c.status.label("key_status"),
        api_keys.c.expires_at.label("key_expires_at"),
        credential_uses.c.used_at,
    )
    .join(sessions, sessions.c.principal == principals.c.id)
    .outerjoin(api_keys, api_keys.c.prefix == sessions.c.key)
    .outerjoin(credential_uses, credential_uses.c.id == sessions.c.id)
    .where(sessions.c.id == bindparam("id_", type_=String))
)
_QUERIES: dict[Kind, Prepared] = {"key": Prepared(_KEYS), "session": Prepared(_SESSIONS)}


def keys(connection: Connection, now: datetime, principal: str | None = None) -> list[KeyRecord]:
    query = select(api_keys, credential_uses.c.used_at).outerjoin(credential_uses, credential_uses.c.id == api_keys.c.prefix)
    if principal is not None:
        query = query.where(api_keys.c.principal == principal)
    at = rfc3339(now)
    return [
        KeyRecord(
            prefix=row.prefix,
            principal=row.principal,
            status="expired" if row.status == "active" and row.expires_at is not None and row.expires_at <= at else row.status,
            issued_at=row.issued_at,
            scopes=None if row.scopes is None else tuple(row.scopes.split()),
            expires_at=row.expires_at,
            certificate=row.certificate,
            replaces=row.replaces,
            used_on=None if row.used_at is None else row.used_at[:10],
        )
        for row in connection.execute(query.order_by(api_keys.c.issued_at, api_keys.c.prefix))
    ]


def proposal_used(connection: Connection, proposal: int) -> bool:
    """Whether a key was issued on this proposal already."""
    return connection.execute(select(api_keys.c.prefix).where(api_keys.c.proposal == proposal)).first() is not None


def open_sessions(connection: Connection, now: datetime, principal: str | None = None) -> list[SessionRecord]:
    """Sessions that are neither closed nor past their end, newest first."""
    query = select(sessions, credential_uses.c.used_at).outerjoin(credential_uses, credential_uses.c.id == sessions.c.id)
    query = query.where(sessions.c.status == "open", sessions.c.expires_at > rfc3339(now))
    if principal is not None:
        query = query.where(sessions.c.principal == principal)
    return [
        SessionRecord(row.id, row.principal, row.channel, row.status, row.opened_at, row.expires_at, row.used_at)
        for row in connection.execute(query.order_by(sessions.c.opened_at.desc(), sessions.c.id))
    ]


def session(connection: Connection, id: str) -> SessionRecord | None:
    row = connection.execute(select(sessions).where(sessions.c.id == id)).one_or_none()
    return None if row is None else SessionRecord(row.id, row.principal, row.channel, row.status, row.opened_at, row.expires_at, None)


def subject(connection: Connection, digest: str) -> SubjectRecord | None:
    """The link of a subject, while there is one."""
    row = connection.execute(select(subjects).where(subjects.c.digest == digest, subjects.c.status == "linked")).one_or_none()
    return None if row is None else SubjectRecord(row.digest, row.principal, row.issuer, row.linked_at)


def subjects_of(connection: Connection, principal: str) -> list[SubjectRecord]:
    query = select(subjects).where(subjects.c.principal == principal, subjects.c.status == "linked").order_by(subjects.c.digest)
    return [SubjectRecord(row.digest, row.principal, row.issuer, row.linked_at) for row in connection.execute(query)]


def subjects_by_principal(connection: Connection) -> dict[str, list[SubjectRecord]]:
    """Of everybody at once; who has none is not in it."""
    found: dict[str, list[SubjectRecord]] = {}
    for row in connection.execute(select(subjects).where(subjects.c.status == "linked").order_by(subjects.c.digest)):
        found.setdefault(row.principal, []).append(SubjectRecord(row.digest, row.principal, row.issuer, row.linked_at))
    return found


def note_use(engine: Engine, used: Credential, now: datetime) -> None:
    """Remember that it was used. Not when that is known closely enough already, nor when the database cannot take it: it is a note."""
    at, enough = rfc3339(now), rfc3339(now - _GRAIN[used.kind])
    if used.kind == "key":
        at = enough = f"{at[:10]}T00:00:00.000000Z"
    try:
        with engine.connect() as connection:
            known = connection.execute(select(credential_uses.c.used_at).where(credential_uses.c.id == used.id)).scalar_one_or_none()
        if known is not None and known >= enough:
            return
        with writing(engine) as connection:
            insert_ignoring(connection, credential_uses, {"id": used.id, "used_at": at})
            connection.execute(update(credential_uses).where(credential_uses.c.id == used.id).values(used_at=at))
    except UNAVAILABLE:
        return
