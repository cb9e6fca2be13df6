"""Verbs for those who keep the log and for those who watch it: witness serve, witness ask, log rotate, backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import vault_cli
from api.cli_common import HOME, NOT_VERIFIED, Group, as_settings, opened, told
from yunei.cli import output
from yunei.words import say


def register(app: typer.Typer, group: Group) -> None:
    app.command(
        "backup", help=say("备份登记册、日志与暂存结果，服务可继续运行", "back register, log and staged answers up, while the server runs")
    )(told(backup))
    app.command("restore", help=say("恢复备份：先审计，再核对见证", "restore a backup: audited, and held against witnesses, first"))(
        told(restore)
    )
    witness = group("witness", "见证方：联署检查点", "witnesses, who cosign checkpoints")
    witness.command("serve", help=say("运行见证服务（在另一台机器上）", "run a witness, on another machine"))(told(witness_serve))
    witness.command("ask", help=say("立即请各见证方联署", "have the witnesses cosign now"))(told(witness_ask))

    vault_cli.register(group)
    log = group("log", "存证日志", "the signed log: view and verify")
    log.command("rotate", help=say("更换日志公钥", "change the log's key"))(told(log_rotate))


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help=say("备份文件", "file to write"))],
    keys: Annotated[bool, typer.Option("--keys", help=say("包含密钥；请加密保管", "with the keys: keep it encrypted"))] = False,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.backup import backup as run

    with opened(home) as services:
        done = run(services.register, target, keys=keys)
    output.line(
        say(f"已备份 {done.size} 条日志、{done.members} 个文件：{target}", f"backed up {done.size} entries, {done.members} files: {target}")
    )
    output.note(
        say(
            "原始数据不在其中：请另行复制 vault 目录" + ("" if keys else "，并另行保管 keys 目录") + "。",
            "Raw data is not in it: copy the vault folder as well" + ("." if keys else ", and keep the keys folder elsewhere."),
        )
    )


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("备份文件", "file to read"))],
    since: Annotated[
        Path | None, typer.Option("--since", metavar="FILE", help=say("另行保管的最新检查点", "the newest checkpoint kept elsewhere"))
    ] = None,
    unwitnessed: Annotated[
        bool, typer.Option("--unwitnessed", help=say("没有任何见证也恢复", "restore although nothing tells that it is the newest"))
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help=say("日志副本目录：补上备份之后的条目", "a copy of the log: the entries since the backup come from it"),
        ),
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.backup import restore as run

    kept = since.read_text(encoding="utf-8") if since is not None else None
    done = run(source, as_settings(home), since=kept, unwitnessed=unwitnessed, mirror=log)
    output.line(
        say(
            f"已恢复 {done.entries} 条日志，审计通过（比对 {done.rows} 行）。",
            f"restored {done.entries} entries; the audit found nothing in {done.rows} rows.",
        )
    )
    if done.caught is not None:
        caught = done.caught
        output.note(say(f"其中 {caught.entries} 条来自日志副本。", f"{caught.entries} of them came from the copy of the log."))
        for job in caught.jobs:
            output.note(say(f"作业 {job} 的请求已失，服务启动时终止", f"the request of job {job} is lost: the server ends it when it starts"))
        for release in caught.releases:
            output.note(
                say(f"成果 {release} 的内容已失，额度仍计为已支出", f"the content of release {release} is lost; what it cost stays spent")
            )
    for version in done.missing:
        output.note(say(f"vault 中缺少 {version}，请从其副本恢复", f"the vault lacks {version}: bring it back from its copy"))


def log_rotate(
    finish: Annotated[bool, typer.Option("--finish", help=say("停用并销毁旧密钥", "the old key signs no more and is destroyed"))] = False,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
) -> None:
    from jobs.rotation import announce_log_key, retire_log_key

    with opened(home) as services:
        vkey = retire_log_key(services.register) if finish else announce_log_key(services.register)
    if finish:
        output.note(say("旧密钥已停用，日志由此公钥签名：", "the old key is retired; this one signs alone:"))
    else:
        output.note(
            say(
                "新公钥已写入日志，新旧两个密钥同时签名。请通知见证方与核验者，然后 yunei log rotate --finish：",
                "the new key is announced; both sign. Tell witnesses and verifiers, then run yunei log rotate --finish:",
            )
        )
    output.line(vkey)


def witness_serve(
    home: Annotated[Path, typer.Option("--home", help=say("见证方自己的目录", "the witness's own folder"))],
    name: Annotated[
        str | None, typer.Option("--name", help=say("见证方名称，首次启动时必填", "the witness's name; needed the first time"))
    ] = None,
    log: Annotated[
        list[str] | None, typer.Option("--log", metavar="VKEY", help=say("要见证的日志公钥，可重复", "key of a log to witness; repeatable"))
    ] = None,
    host: Annotated[str, typer.Option("--host", help=say("监听地址", "address to listen on"))] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help=say("监听端口；0 由系统选择", "port; 0: any that is free"))] = 8641,
) -> None:
    from api import logs, witness
    from infra.clock import system_clock
    from infra.witness import Witness

    logs.configure()
    found = Witness.open_or_create(home, name, system_clock)
    found.trust(log or [])
    output.note(say("见证方公钥，请交给日志方与核验者：", "the witness's keys, for the log and for those who verify:"))
    for vkey in found.vkeys:
        output.line(vkey)
    witness.serve(found, host, port)


def witness_ask(home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None) -> int:
    with opened(home) as services:
        outcomes = services.register.witnesses.round()
    words = {
        "cosigned": say("已联署", "cosigned"),
        "away": say("无应答", "away"),
        "refused": say("拒绝", "refused"),
        "overtaken": say("已被更新的检查点取代", "overtaken by a newer checkpoint"),
        "contradicted": say("与其所见矛盾", "contradicts this log"),
    }
    output.table(
        (say("见证方", "witness"), say("地址", "address"), say("结果", "result"), say("说明", "detail")),
        [(each.witness.keys[0].name, each.witness.url, words[each.state], each.detail) for each in outcomes],
        csv_headers=("witness", "url", "state", "detail"),
    )
    return 0 if outcomes and all(each.state in ("cosigned", "overtaken") for each in outcomes) else NOT_VERIFIED
