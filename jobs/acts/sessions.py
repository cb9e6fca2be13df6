"""Subjects of the identity provider, and the sessions they open."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Literal

from infra.keys import KeyRing
from jobs import credentials
from jobs.acts.people import SYSTEM, alone, known, other
from jobs.credentials import secret_digest
from jobs.directory import Principal
from jobs.events import SessionClosed, SessionOpened, SubjectLinked, SubjectUnlinked, rfc3339
from jobs.register import Act, Register
from policies.problem import declare

SUBJECT_TAKEN = declare(
    "auth_subject_taken",
    zh=("该登录身份已关联", "该身份已关联到一个主体；一人一个主体。", "如需改换，请先解除原关联。"),
    en=(
        "The identity is already linked",
        "The identity is linked to a principal; one person has one principal.",
        "To change it, unlink the identity from that principal first.",
    ),
)
SUBJECT_UNKNOWN = declare(
    "auth_subject_unknown",
    zh=("没有关联", "该主体没有这个登录身份。", "请核对编号。"),
    en=("Not linked", "The principal has no such linked identity.", "Check the digest."),
)
SESSION_UNKNOWN = declare(
    "auth_session_unknown",
    zh=("没有这个会话", "没有编号为 {session} 的有效会话。", "请核对编号；会话可能已结束。"),
    en=("No such session", "There is no active session {session}.", "Check the id; the session may have ended."),
)

Channel = Literal["browser", "command_line"]


def subject_digest(key_ring: KeyRing, issuer: str, subject: str) -> str:
    """What the log calls somebody at an identity provider: a hash keyed with a secret of this home, so that nobody can guess at names."""
    name = issuer.encode()
    return key_ring.derive("oidc-subject", len(name).to_bytes(4, "big") + name + subject.encode()).hex()


def link_subject(register: Register, principal: str, issuer: str, digest: str, *, by: str = SYSTEM) -> None:
    """Who signs in at `issuer` as the subject is the principal from now on."""
    with register.transaction() as act:
        holder = known(act, principal, "active")
        other(by, principal, "subject_link")
        alone(by, principal, holder.role, "subject_link")
        link(act, holder, issuer, digest, by)


def link(act: Act, holder: Principal, issuer: str, digest: str, by: str, proposal: int | None = None) -> None:
    if credentials.subject(act.connection, digest) is not None:
        raise SUBJECT_TAKEN()
    act.append(SubjectLinked(by=by, principal=holder.id, issuer=issuer, subject=digest, proposal=proposal))


def unlink_subject(register: Register, principal: str, digest: str, *, reason: str, by: str = SYSTEM) -> None:
    """Nobody signs in as it any more; sessions that are open stay, close them too."""
    with register.transaction() as act:
        found = credentials.subject(act.connection, digest)
        if found is None or found.principal != principal:
            raise SUBJECT_UNKNOWN()
        act.append(SubjectUnlinked(by=by, subject=digest, reason=reason))


def open_session(register: Register, principal: str, channel: Channel, *, lifetime: timedelta, key: str | None = None) -> tuple[str, str]:
    """A session of somebody who has just signed in: its id, and its secret `ys_<id>_<secret>`, shown this once. `key`: the prefix of the key
    they signed in with, whose scopes, certificate and end the session then has."""
    id, random = (base64.b32encode(register.random(size)).decode().lower() for size in (10, 20))
    secret = f"ys_{id}_{random}"
    with register.transaction() as act:
        known(act, principal, "active")
        ends = rfc3339(register.clock() + lifetime)
        event = SessionOpened(
            by=principal, principal=principal, session=id, secret_sha256=secret_digest(secret), channel=channel, expires_at=ends, key=key
        )
        act.append(event)
    return id, secret


def close_session(register: Register, session: str, *, reason: str, by: str = SYSTEM, holder: str | None = None) -> None:
    """From this transaction on it opens nothing. SESSION_UNKNOWN when it is not open, or not the `holder`'s."""
    with register.transaction() as act:
        found = credentials.session(act.connection, session)
        if found is None or found.status != "open" or holder not in (None, found.principal):
            raise SESSION_UNKNOWN(session=session[:32])
        act.append(SessionClosed(by=by, session=session, reason=reason))
