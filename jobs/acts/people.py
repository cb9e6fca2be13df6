"""People and their keys."""

from __future__ import annotations

import base64

from jobs import directory
from jobs.directory import KEY_SCHEME, Principal, secret_digest
from jobs.events import (
    KeyIssued,
    KeyRevoked,
    PrincipalRegistered,
    PrincipalResumed,
    PrincipalSuspended,
)
from jobs.register import Act, Register
from policies.catalogue import Title
from policies.problem import declare
from policies.roles import Role

PRINCIPAL_EXISTS = declare(
    "auth_principal_exists",
    zh=("主体已登记", "主体 {principal} 已登记。", "请换一个标识，或直接为其签发密钥。"),
    en=("Principal exists", "Principal {principal} is registered already.", "Choose another id, or issue a key to the one there is."),
)

PRINCIPAL_UNKNOWN = declare(
    "auth_principal_unknown",
    zh=("没有这个主体", "主体 {principal} 未登记，或不处于所需状态。", "请先登记该主体，或核对标识和状态。"),
    en=(
        "No such principal",
        "Principal {principal} is not registered, or not in the state this needs.",
        "Register it first, or check id and state.",
    ),
)

PRINCIPAL_ROLE = declare(
    "auth_principal_role",
    zh=("主体角色不符", "主体 {principal} 的角色是 {role}，此事需要 {needed}。", "请选择相应角色的主体；一个主体只有一个角色。"),
    en=("Wrong role", "Principal {principal} is {role}; this needs {needed}.", "Name a principal in that role; each has one."),
)

KEY_UNKNOWN = declare(
    "auth_key_unknown",
    zh=("没有可撤销的密钥", "没有前缀为 {prefix} 的有效密钥。", "请核对前缀：即密钥中间一段。"),
    en=("No such key", "There is no active key with prefix {prefix}.", "Check the prefix: the middle part of the key."),
)


def register_principal(register: Register, principal: str, *, role: Role, title: Title, by: str = "system") -> None:
    with register.transaction() as act:
        _register_principal(act, principal, role, title, by)


def _register_principal(act: Act, principal: str, role: Role, title: Title, by: str) -> None:
    if principal == "system" or directory.principal(act.connection, principal) is not None:
        raise PRINCIPAL_EXISTS(principal=principal)
    act.append(PrincipalRegistered(by=by, principal=principal, role=role, title=title))


def suspend_principal(register: Register, principal: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        known(act, principal, "active")
        act.append(PrincipalSuspended(by=by, principal=principal, reason=reason))


def resume_principal(register: Register, principal: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        known(act, principal, "suspended")
        act.append(PrincipalResumed(by=by, principal=principal, reason=reason))


def known(act: Act, principal: str, status: str) -> Principal:
    found = directory.principal(act.connection, principal)
    if found is None or found.status != status:
        raise PRINCIPAL_UNKNOWN(principal=principal)
    return found


def issue_key(register: Register, principal: str, role: Role | None = None, *, title: Title | None = None, by: str = "system") -> str:
    """A new API key, shown this once: `yk_<prefix>_<secret>`, 160 random bits; the register keeps its SHA-256. With `role`, a principal that
    is not registered yet is registered with it; one that is must have it."""
    prefix, random = (base64.b32encode(register.random(size)).decode().lower() for size in (5, 20))
    secret = f"{KEY_SCHEME}_{prefix}_{random}"
    with register.transaction() as act:
        if role is not None and directory.principal(act.connection, principal) is None:
            _register_principal(act, principal, role, title or Title(zh=principal, en=principal), by)
        holder = known(act, principal, "active")
        if role is not None and holder.role != role:
            raise PRINCIPAL_ROLE(principal=principal, role=holder.role, needed=role)
        act.append(KeyIssued(by=by, principal=principal, prefix=prefix, secret_sha256=secret_digest(secret)))
    return secret


def revoke_key(register: Register, prefix: str, *, reason: str, by: str = "system") -> None:
    """From this transaction on the key opens nothing. `prefix` may also be the whole key."""
    if prefix.startswith(f"{KEY_SCHEME}_"):
        prefix = prefix.split("_")[1]
    with register.transaction() as act:
        if not any(key.prefix == prefix and key.status == "active" for key in directory.all_keys(act.connection)):
            raise KEY_UNKNOWN(prefix=prefix)
        act.append(KeyRevoked(by=by, prefix=prefix, reason=reason))
