"""API keys: issued, rotated, revoked; and the appointments that end in one."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from jobs import credentials, directory
from jobs.acts import people
from jobs.acts.people import PRINCIPAL_ROLE, SYSTEM, alone, enter, known
from jobs.acts.sessions import link
from jobs.acts.two import SECOND_PERSON
from jobs.credentials import KeyRecord, secret_digest
from jobs.directory import Principal
from jobs.events import AppointmentProposed, KeyExpirySet, KeyIssued, KeyRevoked, rfc3339
from jobs.register import Act, Register
from policies.catalogue import Title
from policies.problem import declare
from policies.roles import ACTS, Role, reach

KEY_UNKNOWN = declare(
    "auth_key_unknown",
    zh=("没有这个密钥", "没有前缀为 {prefix} 的有效密钥。", "请核对前缀：即密钥中间一段。"),
    en=("No such key", "There is no active key with prefix {prefix}.", "Check the prefix: the middle part of the key."),
)
KEY_SCOPE = declare(
    "auth_key_scope",
    zh=("密钥权限超出角色", "{role:role}角色没有 {act} 权限。", "请只列该角色可做的事项，见 docs/reference/roles.md。"),
    en=(
        "A key's scope exceeds the role",
        "The role {role:role} may not do {act}.",
        "List only what the role may do; see docs/reference/roles.md.",
    ),
)
KEY_EXPIRY = declare(
    "auth_key_expiry",
    zh=("密钥有效期有误", "有效期应晚于现在，且至多 {days} 天。", "请改正有效期。"),
    en=("The key's expiry is not valid", "It must lie in the future, at most {days} days away.", "Correct the expiry."),
)

KEY_DAYS_LIMIT = 3660


def issue_key(
    register: Register,
    principal: str,
    role: Role | None = None,
    *,
    title: Title | None = None,
    scopes: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    certificate: str | None = None,
    by: str = SYSTEM,
) -> str:
    """A new API key, shown this once: `yk_<prefix>_<secret>`, 160 random bits; the register keeps its SHA-256. With `role`, a principal that
    is not registered yet is registered with it; one that is must have it. `scopes`: the only acts it is good for; `expires_at`: None, for
    ever; `certificate`: SHA-256 (hex) of the only client certificate it may be used with."""
    prefix, secret = fresh(register)
    with register.transaction() as act:
        if role is not None and directory.principal(act.connection, principal) is None:
            alone(by, principal, role, "principal_register")
            enter(act, principal, role, title or Title(zh=principal, en=principal), by)
        holder = known(act, principal, "active")
        if role is not None and holder.role != role:
            raise PRINCIPAL_ROLE(principal=principal, role=holder.role, needed=role)
        people.other(by, principal, "key_issue")
        alone(by, principal, holder.role, "key_issue")
        ends = terms(register, holder.role, scopes, expires_at)
        digest = secret_digest(secret)
        event = KeyIssued(
            by=by, principal=principal, prefix=prefix, secret_sha256=digest, scopes=scopes, expires_at=ends, certificate=certificate
        )
        act.append(event)
    return secret


def rotate_key(
    register: Register, prefix: str, *, overlap: timedelta, expires_at: datetime | None = None, by: str = SYSTEM, holder: str | None = None
) -> str:
    """A new key with the terms of the one it follows, which ends after `overlap`, or sooner if it was to. `holder`: whose it must be.
    `expires_at` None: as long as the old one was to last from when it was issued."""
    new, secret = fresh(register)
    with register.transaction() as act:
        old = active_key(register, act, prefix, holder)
        known(act, old.principal, "active")
        now = register.clock()
        if expires_at is None and old.expires_at is not None:
            expires_at = now + (datetime.fromisoformat(old.expires_at) - datetime.fromisoformat(old.issued_at))
        event = KeyIssued(
            by=by,
            principal=old.principal,
            prefix=new,
            secret_sha256=secret_digest(secret),
            scopes=old.scopes,
            expires_at=_ends(register, expires_at),
            certificate=old.certificate,
            replaces=old.prefix,
        )
        act.append(event)
        ends = rfc3339(now + overlap)
        if old.expires_at is None or ends < old.expires_at:
            act.append(KeyExpirySet(by=by, prefix=old.prefix, expires_at=ends))
    return secret


def revoke_key(register: Register, prefix: str, *, reason: str, by: str = SYSTEM, holder: str | None = None) -> None:
    """From this transaction on the key, and every token issued for it, opens nothing. `prefix` may also be the whole key; `holder`: whose it
    must be."""
    with register.transaction() as act:
        act.append(KeyRevoked(by=by, prefix=active_key(register, act, prefix, holder).prefix, reason=reason))


def active_key(register: Register, act: Act, prefix: str, holder: str | None) -> KeyRecord:
    """KEY_UNKNOWN for a key that is not there, was revoked, or is not the `holder`'s: the answer is the same."""
    shape = credentials.parse(prefix)
    name = prefix if shape is None else shape[1]
    found = [key for key in credentials.keys(act.connection, register.clock(), holder) if key.prefix == name and key.status != "revoked"]
    if not found:
        raise KEY_UNKNOWN(prefix=name[:32])
    return found[0]


def fresh(register: Register) -> tuple[str, str]:
    """A prefix and a whole key."""
    prefix, random = (base64.b32encode(register.random(size)).decode().lower() for size in (5, 20))
    return prefix, f"yk_{prefix}_{random}"


def terms(register: Register, role: Role, scopes: tuple[str, ...] | None, expires_at: datetime | None) -> str | None:
    """The expiry as events write it. KEY_SCOPE, KEY_EXPIRY."""
    for scope in scopes or ():
        if not any(scope == act and reach(role, act) for act in ACTS):
            raise KEY_SCOPE(role=role, act=scope)
    return _ends(register, expires_at)


def _ends(register: Register, expires_at: datetime | None) -> str | None:
    if expires_at is None:
        return None
    now = register.clock()
    if not now < expires_at <= now + timedelta(days=KEY_DAYS_LIMIT):
        raise KEY_EXPIRY(days=KEY_DAYS_LIMIT)
    return rfc3339(expires_at)


def propose_appointment(register: Register, appointment: AppointmentProposed) -> int:
    """The first of two people, an administrator. Returns the index that the second one names."""
    with register.transaction() as act:
        if appointment.act == "key_issue":
            holder = known(act, appointment.principal, "active")
            ends = None if appointment.expires_at is None else datetime.fromisoformat(appointment.expires_at)
            terms(register, holder.role, appointment.scopes, ends)
        return people.propose(act, appointment)


def confirm_appointment(register: Register, proposal: int, *, by: str) -> tuple[AppointmentProposed, str | None]:
    """The second person, a supervisor: what was proposed is done. Returns it, and the new key if it was one."""
    prefix, secret = fresh(register)
    with register.transaction() as act:
        what = people.proposed(register, act, proposal, by)
        if what.act == "principal_register":
            assert what.role is not None
            enter(act, what.principal, what.role, what.title or Title(zh=what.principal, en=what.principal), by, proposal)
            return what, None
        holder: Principal = known(act, what.principal, "active")
        if what.act == "subject_link":
            assert what.issuer is not None
            assert what.subject is not None
            link(act, holder, what.issuer, what.subject, by, proposal)
            return what, None
        if credentials.proposal_used(act.connection, proposal):
            raise SECOND_PERSON(act=what.act, proposal=proposal)
        ends = None if what.expires_at is None else datetime.fromisoformat(what.expires_at)
        terms(register, holder.role, what.scopes, ends)
        digest = secret_digest(secret)
        event = KeyIssued(
            by=by,
            principal=what.principal,
            prefix=prefix,
            secret_sha256=digest,
            scopes=what.scopes,
            expires_at=what.expires_at,
            certificate=what.certificate,
            proposal=proposal,
        )
        act.append(event)
    return what, secret
