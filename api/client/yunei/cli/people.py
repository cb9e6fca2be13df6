"""yunei key …, principal …, appointment …, session …: who may come in, through the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say

Role = Literal["operator", "builder", "steward", "reviewer", "supervisor", "auditor", "admin"]
Deed = Literal["register", "key", "link"]
_ACTS = {"register": "principal_register", "key": "key_issue", "link": "subject_link"}


# --- keys ---------------------------------------------------------------------------------------------------------------------------


def key_list(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    with _client(shape) as client:
        found = client.people.keys()
    _rows(found, ("prefix", "principal", "status", "expires_at", "used_on"), shape)


def key_issue(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="ACT", help=say("只限此权限，可多次", "limit to this act; repeatable"))
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help=say("到期时刻（RFC 3339）", "when it ends (RFC 3339)"))
    ] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="SHA256", help=say("绑定的客户端证书", "client certificate that the key is bound to"))
    ] = None,
) -> None:
    with _client("table") as client:
        made = client.people.issue_key(principal, scopes=scope or (), expires_at=expires, certificate_sha256=certificate)
    _secret(made["secret"], principal)


def key_rotate(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help=say("密钥前缀（yk_ 之后的一段）", "the key's prefix, the part after yk_"))],
    overlap: Annotated[
        int | None, typer.Option("--overlap", metavar="HOURS", help=say("旧密钥继续有效的小时数", "hours the old key stays valid"))
    ] = None,
    store_it: Annotated[bool, typer.Option("--store", help=say("保存为本机的密钥", "store it as this machine's key"))] = False,
) -> None:
    with _client("table") as client:
        made = client.people.rotate_key(prefix, overlap_hours=overlap)
        if store_it:
            from yunei.config import Config, store

            config = Config.load()
            store(config.path, url=client.url, key=made["secret"], tls=config.tls)
    if store_it:
        output.note(say("新密钥已保存", "the new key is stored"))
    else:
        _secret(made["secret"], made["key"]["principal"])


def key_revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help=say("密钥前缀（yk_ 之后的一段）", "the key's prefix, the part after yk_"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.revoke_key(prefix, reason)
    output.line(say("已撤销，立即失效", "revoked, effective at once"))


# --- principals ---------------------------------------------------------------------------------------------------------------------


def principal_list(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    with _client(shape) as client:
        found = client.people.principals()
    _rows(found, ("id", "role", "status", "registered_at"), shape)


def principal_show(principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))]) -> None:
    with _client("json") as client:
        output.as_json(client.people.principal(principal))


def principal_register(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    role: Annotated[Role, typer.Option("--role", help=say("角色", "role"))],
    title_zh: Annotated[str | None, typer.Option("--title-zh", help=say("中文名称", "name in Chinese"))] = None,
    title_en: Annotated[str | None, typer.Option("--title-en", help=say("英文名称", "name in English"))] = None,
) -> None:
    with _client("table") as client:
        client.people.register(principal, role, **_titles(principal, title_zh, title_en))
    output.line(say(f"已登记 {principal}（{role}）", f"registered {principal} ({role})"))


def principal_suspend(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.suspend(principal, reason)
    output.line(say(f"已停用 {principal}", f"suspended {principal}"))


def principal_resume(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.resume(principal, reason)
    output.line(say(f"已恢复 {principal}", f"resumed {principal}"))


def principal_close(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.close(principal, reason)
    output.line(say(f"已注销 {principal}，不可恢复", f"closed {principal} for good"))


def principal_link(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    subject: Annotated[str | None, typer.Option("--subject", help=say("身份提供方的主体标识", "the subject at the identity provider"))] = None,
    digest: Annotated[str | None, typer.Option("--digest", help=say("登录时显示的身份代号", "the digest shown at sign-in"))] = None,
) -> None:
    with _client("table") as client:
        client.people.link(principal, subject=subject, digest=digest)
    output.line(say(f"已关联到 {principal}", f"linked to {principal}"))


def principal_unlink(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help=say("身份代号", "digest"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.unlink(principal, digest, reason)
    output.line(say("已解除关联", "unlinked"))


# --- appointments -------------------------------------------------------------------------------------------------------------------


def appointment_list(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    with _client(shape) as client:
        found = client.people.appointments()
    _rows(found, ("proposal", "at", "by", "act", "principal", "role"), shape)


def appointment_propose(
    what: Annotated[Deed, typer.Argument(help=say("登记、签发密钥或关联身份", "register, key or link"))],
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    role: Annotated[Role | None, typer.Option("--role", help=say("角色", "role"))] = None,
    title_zh: Annotated[str | None, typer.Option("--title-zh", help=say("中文名称", "name in Chinese"))] = None,
    title_en: Annotated[str | None, typer.Option("--title-en", help=say("英文名称", "name in English"))] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="ACT", help=say("只限此权限，可多次", "limit to this act; repeatable"))
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help=say("到期时刻（RFC 3339）", "when it ends (RFC 3339)"))
    ] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="SHA256", help=say("绑定的客户端证书", "client certificate that the key is bound to"))
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help=say("身份提供方的主体标识", "the subject at the identity provider"))] = None,
    digest: Annotated[str | None, typer.Option("--digest", help=say("登录时显示的身份代号", "the digest shown at sign-in"))] = None,
) -> None:
    fields: dict[str, Any] = {"scopes": scope or None, "expires_at": expires, "certificate_sha256": certificate, "role": role}
    fields |= {"subject": subject, "subject_digest": digest}
    if what == "register":
        titles = _titles(principal, title_zh, title_en)
        fields["title"] = {"zh": titles["title_zh"], "en": titles["title_en"]}
    with _client("table") as client:
        made = client.people.propose(_ACTS[what], principal, **{name: value for name, value in fields.items() if value is not None})
    number = made["proposal"]
    output.note(say("请监管员确认：", "ask a supervisor to confirm it:"))
    output.line(f"yunei appointment confirm {number}")


def appointment_confirm(proposal: Annotated[int, typer.Argument(help=say("提出时的序号", "index of the proposal"))]) -> None:
    with _client("table") as client:
        done = client.people.confirm(proposal)
    output.note(say(f"已办理：{done['principal']}", f"done: {done['principal']}"))
    if done.get("secret"):
        _secret(done["secret"], done["principal"])


# --- sessions -----------------------------------------------------------------------------------------------------------------------


def session_list(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    with _client(shape) as client:
        found = client.people.sessions()
    _rows(found, ("id", "principal", "channel", "opened_at", "expires_at", "used_at"), shape)


def session_close(
    id_: Annotated[str, typer.Argument(metavar="SESSION", help=say("会话编号", "id of the session"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
) -> None:
    with _client("table") as client:
        client.people.close_session(id_, reason)
    output.line(say("会话已结束", "the session is closed"))


def _client(shape: Shape) -> Any:
    session.shape = shape
    return session.client()


def _titles(principal: str, zh: str | None, en: str | None) -> dict[str, str]:
    return {"title_zh": zh or en or principal, "title_en": en or zh or principal}


def _secret(secret: str, principal: str) -> None:
    output.note(
        say(f"{principal} 的密钥，只显示这一次，请立即交给本人：", f"key of {principal}, shown only once; hand it over now:"),
    )
    output.line(secret)


_HEADS = {
    "prefix": ("前缀", "prefix"),
    "principal": ("主体", "principal"),
    "status": ("状态", "status"),
    "expires_at": ("到期", "expires"),
    "used_on": ("最近使用", "last used"),
    "used_at": ("最近使用", "last used"),
    "id": ("编号", "id"),
    "role": ("角色", "role"),
    "registered_at": ("登记", "registered"),
    "proposal": ("序号", "proposal"),
    "at": ("时间", "at"),
    "by": ("提出人", "by"),
    "act": ("事项", "act"),
    "channel": ("途径", "channel"),
    "opened_at": ("登录", "opened"),
}


def _rows(found: Sequence[Mapping[str, Any]], columns: tuple[str, ...], shape: Shape) -> None:
    if shape == "json":
        output.as_json(list(found))
        return
    output.table([say(*_HEADS[name]) for name in columns], [[row.get(name) for name in columns] for row in found], csv_headers=columns)
