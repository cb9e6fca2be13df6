"""The verbs that come with the server's packages: serve, dataset add, licence grant …, key issue …, audit.

They work on the home folder itself, whether or not a server runs on it: the register takes turns among processes. Whoever can run them
owns the keys; the acts are logged as done by "system".
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli_common import HOME as _HOME
from api.cli_common import NOT_VERIFIED
from api.cli_common import as_settings as _settings
from api.cli_common import opened as _services
from api.cli_common import text_of as _text
from api.cli_common import told as _told
from yunei.cli import output
from yunei.problem import from_response
from yunei.words import say

_REASON = "理由，写入日志", "reason; goes into the log"


def register(app: typer.Typer) -> None:
    """Add the server's verbs to the client's command tree."""
    from api import cluster_cli, custody_cli, data_cli, people_cli, policy_cli
    from yunei.cli.app import Speaking, groups

    def group(name: str, zh: str, en: str) -> typer.Typer:
        if name not in groups:
            groups[name] = Speaking(help=say(zh, en))
            app.add_typer(groups[name], name=name)
        return groups[name]

    custody_cli.register(app, group)
    policy_cli.register(group)
    cluster_cli.register(group)
    app.command("serve", help=say("启动服务", "run the server"))(_told(serve))
    from api.desk import try_

    app.command("try", help=say("不经服务试用引擎：自有文件，逐行问答", "the engine on your own files: a line in, a line out"))(_told(try_))
    app.command("audit", help=say("由日志重算一切并与数据库比对", "recompute everything from the log and compare"))(_told(audit))
    data_cli.register(group)
    licence = group("licence", "授权运营协议", "licences (authorised-operation agreements)")
    licence.command("grant", help=say("授予协议（TOML 文件）", "grant a licence (TOML file)"))(_told(licence_grant))
    licence.command("suspend", help=say("暂停协议：不再受理，也不再发布", "suspend: nothing is admitted or published"))(_told(licence_suspend))
    licence.command("resume", help=say("恢复已暂停的协议", "resume a suspended licence"))(_told(licence_resume))
    licence.command("revoke", help=say("撤销协议，不可恢复", "revoke a licence for good"))(_told(licence_revoke))
    people_cli.register(app, group)


# ── serve, audit ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def serve(
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
    host: Annotated[str | None, typer.Option("--host", help=say("监听地址", "address to listen on"))] = None,
    port: Annotated[int | None, typer.Option("--port", help=say("监听端口；0 由系统选择", "port; 0: any that is free"))] = None,
) -> int:
    gc.disable()  # else the collector looks through what is imported again and again, a tenth of the time that it takes; all of it stays
    try:
        from api.home import held

        settings = _settings(home, host=host, port=port)
        with held(settings) as ours:
            from api import logs, server

            gc.freeze()
            logs.configure()
            return server.serve(settings, ours)
    finally:
        gc.enable()  # as the server does itself as soon as it is ready


def audit(
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
    log_dir: Annotated[
        Path | None, typer.Option("--dir", help=say("只审这份日志副本，不看数据库", "audit this copy of a log alone, no database"))
    ] = None,
    vkey: Annotated[
        list[str] | None, typer.Option("--key", metavar="VKEY", help=say("信任的日志公钥；默认本目录的", "log key to trust; else this home's"))
    ] = None,
    remembered: Annotated[
        Path | None, typer.Option("--since", metavar="FILE", help=say("以前保存的检查点", "a checkpoint kept from before"))
    ] = None,
) -> int:
    from jobs.audit import audit as run

    since = remembered.read_text(encoding="utf-8") if remembered else None
    if log_dir is not None and vkey:
        report = run(log_dir, vkey, remembered=since)
    else:
        with _services(home) as services:
            trusted = vkey or [services.register.vkey]
            engine = None if log_dir is not None else services.register.engine
            report = run(log_dir or services.settings.log_dir, trusted, engine, remembered=since)
    output.facts(
        [
            (say("日志", "log"), report.origin),
            (say("记录数", "entries"), report.size),
            (say("根哈希", "root"), report.root.hex()),
            (say("尚未入检查点", "not yet in a checkpoint"), report.unpublished or None),
            (say("与数据库比对的行", "rows compared with the database"), report.rows or None),
        ]
    )
    output.line()
    output.table(
        (say("账户", "account"), say("已支出 ρ", "rho spent"), say("已预留 ρ", "rho reserved"), say("上限 ρ", "rho cap")),
        [(balance.account, _plain(balance.spent.rho), _plain(balance.reserved.rho), _plain(balance.cap.rho)) for balance in report.accounts],
        right=(1, 2, 3),
        csv_headers=("account", "rho_spent", "rho_reserved", "rho_cap"),
    )
    output.line()
    for finding in report.findings:
        output.problem_panel(from_response(0, finding.as_data(), say.language))
    if report.clean:
        output.line(
            say(
                "日志、签名与全部账户一致，未发现问题。" if report.rows else "日志与签名完好，账户可由日志重算。",
                "Log, signature and every account agree; nothing was found."
                if report.rows
                else "Log and signature hold; accounts follow from them.",
            )
        )
    return 0 if report.clean else NOT_VERIFIED


def _plain(value: Any) -> str:
    from jobs.ledger import plain

    return plain(value)


# ── licences ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def licence_grant(
    file: Annotated[Path, typer.Argument(metavar="LICENCE.toml", exists=True, dir_okay=False, help=say("协议文件", "licence file"))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
) -> None:
    from jobs.acts import grant_licence
    from policies.licence import licence_from_toml

    licence = licence_from_toml(_text(file))
    with _services(home) as services:
        grant_licence(services.register, licence)
    output.line(
        say(
            f"已授予 {licence.operator} 协议 {licence.id}：{licence.title.zh}",
            f"granted licence {licence.id} to {licence.operator}: {licence.title.en}",
        )
    )


def licence_suspend(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say("协议编号", "id of the licence"))],
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
) -> None:
    from jobs.acts import suspend_licence

    with _services(home) as services:
        suspend_licence(services.register, licence, reason=reason)
    output.line(say(f"已暂停 {licence}：不再受理作业，运行中的结果不再发布", f"suspended {licence}: nothing more is admitted or published"))


def licence_resume(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say("协议编号", "id of the licence"))],
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
) -> None:
    from jobs.acts import resume_licence

    with _services(home) as services:
        resume_licence(services.register, licence, reason=reason)
    output.line(say(f"已恢复 {licence}", f"resumed {licence}"))


def licence_revoke(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say("协议编号", "id of the licence"))],
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
) -> None:
    from jobs.acts import revoke_licence

    with _services(home) as services:
        revoke_licence(services.register, licence, reason=reason)
    output.line(say(f"已撤销 {licence}，不可恢复", f"revoked {licence} for good"))
