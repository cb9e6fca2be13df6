"""The verbs that come with the server's packages: serve, dataset add, licence grant …, key issue …, audit.

They work on the home folder itself, whether or not a server runs on it: the register takes turns among processes. Whoever can run them
owns the keys; the acts are logged as done by "system".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_common import HOME as _HOME
from api.cli_common import NOT_VERIFIED
from api.cli_common import as_settings as _settings
from api.cli_common import opened as _services
from api.cli_common import told as _told
from yunei.cli import output
from yunei.problem import from_response
from yunei.words import say

if TYPE_CHECKING:
    from jobs.acts import Lineage
    from policies.catalogue import Catalogue, Dataset

_REASON = "原因，写入日志", "why; goes into the log"


def register(app: typer.Typer) -> None:
    """Add the server's verbs to the client's command tree."""
    from api import cluster_cli, custody_cli, people_cli, policy_cli
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
    dataset = group("dataset", "已登记的公共数据", "the datasets that are registered")
    dataset.command("add", help=say("登记数据集并加密入库", "register a dataset and ingest it, encrypted"))(_told(dataset_add))
    licence = group("licence", "授权运营协议", "the licences that jobs run under")
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
    from api import logs, server

    logs.configure()
    return server.serve(_settings(home, host=host, port=port))


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


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def dataset_add(
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE.toml", exists=True, dir_okay=False, help=say("目录文件", "catalogue file"))],
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help=say("Parquet 或 CSV 文件", "Parquet or CSV files"))
    ],
    home: Annotated[Path | None, typer.Option("--home", help=say(*_HOME))] = None,
    encoding: Annotated[str, typer.Option("--encoding", help=say("CSV 的编码", "encoding of CSV files"))] = "utf-8",
) -> None:
    from jobs.acts import register_dataset
    from sandbox.raw.ingest import ingest

    dataset = _declared(catalogue)
    with _services(home) as services:
        current = services.register.catalogue()
        known = services.vault.versions(dataset.name)
        version = max(*known, current[dataset.name].version if dataset.name in current else 0, 0) + 1
        with output.counting(say(f"校验并加密 {dataset.name}", f"checking and encrypting {dataset.name}")) as progress:
            report = ingest(
                dataset,
                sources,
                services.vault,
                version=version,
                catalogue_public=current,
                random=services.random,
                progress=None if progress is None else (lambda done, total: progress(done, total or done)),
                shard_rows=services.settings.shard_rows,
                csv_encoding=encoding,
            )
        register_dataset(services.register, report.snapshot, lineage=_lineage(dataset, sources, current))
    output.line(
        say(
            f"已登记 {dataset.name} 第 {version} 版：{report.rows:,} 行，{report.shards} 个加密分片",
            f"registered {dataset.name} version {version}: {report.rows:,} rows in {report.shards} encrypted shards",
        )
    )
    notes = [
        (say("缺少隐私单元而丢弃的行", "rows dropped for having no unit"), report.dropped_null_units or None),
        (say("引用的对象不存在而丢弃的行", "rows dropped for referring to nothing"), report.dropped_missing_units or None),
        (say("超过每单元行数而截去的行", "rows cut beyond the most a unit may have"), report.cut_rows or None),
        *((say(f"列 {name} 截到范围内", f"column {name} clamped"), count) for name, count in sorted(report.clamped.items())),
        *((say(f"列 {name} 的 NaN 记为空值", f"column {name} NaN to null"), count) for name, count in sorted(report.nan_to_null.items())),
        (say("未声明而未入库的列", "columns not declared, not stored"), ", ".join(report.ignored_columns) or None),
    ]
    output.facts(notes)


def _declared(path: Path) -> Dataset:
    """The dataset a catalogue file declares: TOML, or DCAT or CSVW in JSON-LD."""
    import json

    from api.problems import SERVER_FILE
    from policies.catalogue import dataset_from_toml, from_json_ld

    if path.suffix not in (".json", ".jsonld"):
        return dataset_from_toml(_text(path))
    try:
        found = from_json_ld(json.loads(_text(path)))
    except ValueError:
        raise SERVER_FILE(path=path, why="JSON") from None
    if len(found) != 1:
        raise SERVER_FILE(path=path, why=f"JSON-LD（1 ≠ {len(found)}）")
    return found[0]


def _lineage(dataset: Dataset, sources: list[Path], current: Catalogue) -> Lineage:
    """The files as they lie there, and the tables that ingest looked into."""
    from hashlib import file_digest

    from jobs.acts import Lineage, Source

    files = []
    for path in sources:
        with path.open("rb") as file:
            files.append(Source(path.name, file_digest(file, "sha256").hexdigest(), path.stat().st_size))
    looked = [column.domain_from.partition(".")[0] for column in dataset.columns if column.domain_from]
    looked += [dataset.unit.via.table] if dataset.unit is not None and dataset.unit.via is not None else []
    parents = [(current[name].dataset.name, current[name].version) for name in dict.fromkeys(looked) if name in current]
    return Lineage(tuple(files), tuple(parents))


def _text(path: Path) -> str:
    from api.problems import SERVER_FILE

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SERVER_FILE(path=path, why="UTF-8") from None


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
