"""The verbs about people that work on a home of this machine: init, key issue …, principal …. Who can run them owns the machine; the acts are
logged as done by "system", and need no second person: how the first administrator and the first supervisors come to be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from api.cli_common import HOME, Group, opened, told
from yunei.cli import output
from yunei.words import say

if TYPE_CHECKING:
    from policies.catalogue import Title

Role = Literal["operator", "builder", "steward", "reviewer", "supervisor", "auditor", "admin"]


def register(app: typer.Typer, group: Group) -> None:
    app.command("init", help=say("建立主目录；管理员密钥只显示这一次", "make a home; the administrator's key is shown this once"))(told(init))
    key = group("key", "访问密钥", "access keys")
    key.command("issue", help=say("签发密钥，只显示一次", "issue a key; it is shown once"))(told(key_issue))
    key.command("revoke", help=say("撤销密钥，立即失效", "revoke a key, effective at once"))(told(key_revoke))
    key.command("list", help=say("全部密钥的前缀、主体与状态", "prefixes of all keys, whose they are, and their state"))(told(key_list))
    principal = group("principal", "主体：机构与人员", "principals: organisations and persons")
    principal.command("list", help=say("全部主体", "all principals"))(told(principal_list))
    principal.command("register", help=say("登记主体", "register a principal"))(told(principal_register))
    principal.command("suspend", help=say("停用，立即生效", "suspend, effective at once"))(told(principal_suspend))
    principal.command("resume", help=say("恢复", "resume"))(told(principal_resume))
    principal.command("close", help=say("注销，不可恢复", "close for good"))(told(principal_close))
    principal.command("link", help=say("关联统一登录身份", "link a subject of the identity provider"))(told(principal_link))


def init(home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None) -> None:
    from api.server import administrator

    with opened(home) as services:
        secret = administrator(services)
        vkey, folder = services.register.vkey, services.settings.home
    output.note(say(f"主目录：{folder}", f"home: {folder}"))
    output.note(say(f"日志公钥（请另行交给审计方）：{vkey}", f"log key, to be handed to auditors by another way: {vkey}"))
    if secret is None:
        output.note(say("已有管理员，不再显示密钥", "there is an administrator already; no key is shown again"))
        return
    output.note(say("管理员密钥，只显示这一次：", "administrator's key, shown this once:"))
    output.line(secret)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def key_issue(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    role: Annotated[Role, typer.Option("--role", help=say("角色；未登记的主体随之登记", "role; a new principal is registered with it"))],
    title_zh: Annotated[str | None, typer.Option("--title-zh", help=say("中文名称", "name in Chinese"))] = None,
    title_en: Annotated[str | None, typer.Option("--title-en", help=say("英文名称", "name in English"))] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="ACT", help=say("只限此权限，可多次", "limit to this act; repeatable"))
    ] = None,
    days: Annotated[int | None, typer.Option("--days", help=say("有效天数", "days it lasts"))] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="SHA256", help=say("绑定的客户端证书", "client certificate that the key is bound to"))
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import issue_key

    with opened(home) as services:
        secret = issue_key(
            services.register,
            principal,
            role,
            title=_title(principal, title_zh, title_en),
            scopes=tuple(scope) if scope else None,
            expires_at=services.clock() + timedelta(days=services.settings.key_days if days is None else days),
            certificate=certificate.lower().replace(":", "") if certificate else None,
        )
    output.note(
        say(
            f"{principal}（{role}）的密钥，只显示这一次，请立即交给本人：",
            f"key of {principal} ({role}); shown this once, hand it over now:",
        )
    )
    output.line(secret)


def key_revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help=say("密钥前缀（yk_ 之后的一段）", "the key's prefix, the part after yk_"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import revoke_key

    with opened(home) as services:
        revoke_key(services.register, prefix, reason=reason)
    output.line(say("已撤销，立即失效", "revoked, effective at once"))


def key_list(home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None) -> None:
    with opened(home) as services:
        roles = {principal.id: principal.role for principal in services.register.principals()}
        rows = [
            (key.prefix, key.principal, roles[key.principal], key.status, key.issued_at, key.expires_at, key.used_on)
            for key in services.register.api_keys()
        ]
    output.table(
        (
            say("前缀", "prefix"),
            say("主体", "principal"),
            say("角色", "role"),
            say("状态", "status"),
            say("签发", "issued"),
            say("到期", "expires"),
            say("最近使用", "last used"),
        ),
        rows,
        csv_headers=("prefix", "principal", "role", "status", "issued_at", "expires_at", "used_on"),
    )


# ── principals ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def principal_list(home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None) -> None:
    with opened(home) as services:
        rows = [(p.id, p.role, p.status, p.title.zh, p.title.en, p.registered_at) for p in services.register.principals()]
    output.table(
        (say("主体", "principal"), say("角色", "role"), say("状态", "status"), "名称", "name", say("登记", "registered")),
        rows,
        csv_headers=("id", "role", "status", "title_zh", "title_en", "registered_at"),
    )


def principal_register(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    role: Annotated[Role, typer.Option("--role", help=say("角色", "role"))],
    title_zh: Annotated[str | None, typer.Option("--title-zh", help=say("中文名称", "name in Chinese"))] = None,
    title_en: Annotated[str | None, typer.Option("--title-en", help=say("英文名称", "name in English"))] = None,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import register_principal

    with opened(home) as services:
        register_principal(services.register, principal, role=role, title=_title(principal, title_zh, title_en))
    output.line(say(f"已登记 {principal}（{role}）", f"registered {principal} ({role})"))


def principal_suspend(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import suspend_principal

    with opened(home) as services:
        suspend_principal(services.register, principal, reason=reason)
    output.line(say(f"已停用 {principal}", f"suspended {principal}"))


def principal_resume(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import resume_principal

    with opened(home) as services:
        resume_principal(services.register, principal, reason=reason)
    output.line(say(f"已恢复 {principal}", f"resumed {principal}"))


def principal_close(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import close_principal

    with opened(home) as services:
        close_principal(services.register, principal, reason=reason)
    output.line(say(f"已注销 {principal}，不可恢复", f"closed {principal} for good"))


def principal_link(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help=say("主体标识", "id of the principal"))],
    subject: Annotated[str | None, typer.Option("--subject", help=say("身份提供方的主体标识", "the subject at the identity provider"))] = None,
    digest: Annotated[str | None, typer.Option("--digest", help=say("登录时显示的身份代号", "the digest shown at sign-in"))] = None,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.acts import link_subject, subject_digest
    from yunei.problem import problem

    if (subject is None) == (digest is None):
        what = say("--subject 与 --digest 须填且只填一项", "give one of --subject and --digest")
        raise problem("client_bad_request", language=say.language, what=what, verb="principal link")
    with opened(home) as services:
        issuer = services.settings.oidc_issuer or "-"
        link_subject(services.register, principal, issuer, digest or subject_digest(services.register.key_ring, issuer, subject or ""))
    output.line(say(f"已关联到 {principal}", f"linked to {principal}"))


def _title(principal: str, zh: str | None, en: str | None) -> Title:
    from policies.catalogue import Title

    return Title(zh=zh or en or principal, en=en or zh or principal)
