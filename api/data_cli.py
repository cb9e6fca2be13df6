"""The verbs of whoever brings data: dataset profile, and dataset add, from files or from a database, whole or as more of what is there.

They read raw data, so they run where it lies, on the home folder itself, and have no counterpart over HTTP.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_common import HOME, Group, opened, text_of, told
from yunei.cli import output
from yunei.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.extract import Origin, Tls
    from jobs.acts import Lineage
    from policies.catalogue import Catalogue, Dataset
    from sandbox.raw.ingest import IngestReport, Query


def register(group: Group) -> None:
    dataset = group("dataset", "已登记的公共数据", "registered public data")
    dataset.command("add", help=say("登记数据集并加密入库", "register a dataset and ingest it, encrypted"))(told(dataset_add))
    dataset.command("profile", help=say("概览原始文件并起草目录", "look at raw files and draft their catalogue entry"))(told(dataset_profile))


def dataset_add(
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE.toml", exists=True, dir_okay=False, help=say("目录文件", "catalogue file"))],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", exists=True, dir_okay=False, help=say("Parquet 或 CSV 文件", "Parquet or CSV files")),
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
    encoding: Annotated[str, typer.Option("--encoding", help=say("CSV 的编码", "encoding of CSV files"))] = "utf-8",
    append: Annotated[
        bool, typer.Option("--append", help=say("只读新增的行，接在现有版本之后", "read new rows only, and add them to the present version"))
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help=say("从头读取，不接续上次中断之处", "read from the start, whatever an interrupted run left"))
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help=say("postgresql://用户@主机/库 或 mysql://…，不含口令", "postgresql://user@host/db or mysql://…, no password"),
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option("--query", metavar="FILE.sql", exists=True, dir_okay=False, help=say("一条 SELECT 语句", "one SELECT")),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            exists=True,
            dir_okay=False,
            help=say("口令文件，仅属主可读；不给出时询问", "a file only its owner reads; else you are asked"),
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-ca",
            exists=True,
            dir_okay=False,
            help=say("核验服务器证书的 CA；默认用系统的", "CA to check the server by; else the system's"),
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--tls-cert", exists=True, dir_okay=False, help=say("本端证书", "our certificate"))
    ] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", exists=True, dir_okay=False, help=say("本端私钥", "our private key"))] = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help=say("不加密：仅限另有防护的线路", "in the clear: for a line that is guarded otherwise"))
    ] = False,
) -> None:
    from api.problems import SERVER_SOURCES
    from infra.extract import Tls
    from jobs.acts import register_dataset
    from sandbox.raw.append import APPEND_FIRST
    from sandbox.raw.ingest import Query, ingest

    dataset = _declared(catalogue)
    if bool(sources) == (database is not None) or (database is None) != (query is None) or (certificate is None) != (key is None):
        raise SERVER_SOURCES()
    given: list[Path | Query] = list(sources or ())
    if database is not None and query is not None:
        tls = Tls("off" if no_tls else "verify", ca, certificate, key)
        given = [Query(_origin(database, tls, password_file), text_of(query))]
    with opened(home) as services:
        current = services.register.catalogue()
        if append and dataset.name not in current:
            raise APPEND_FIRST(dataset=dataset.name)
        known = services.vault.versions(dataset.name)
        version = max(*known, current[dataset.name].version if dataset.name in current else 0, 0) + 1
        with output.counting(say(f"校验并加密 {dataset.name}", f"checking and encrypting {dataset.name}")) as progress:
            report = ingest(
                dataset,
                given,
                services.vault,
                version=version,
                catalogue_public=current,
                random=services.random,
                progress=None if progress is None else (lambda done, total: progress(done, total or done)),
                shard_rows=services.settings.shard_rows,
                csv_encoding=encoding,
                after=current[dataset.name] if append else None,
                resume=not restart,
            )
        register_dataset(services.register, report.snapshot, lineage=_lineage(dataset, given, current))
    output.line(
        say(
            f"已登记 {dataset.name} 第 {version} 版：{report.rows:,} 行，{report.shards} 个加密分片",
            f"registered {dataset.name} version {version}: {report.rows:,} rows in {report.shards} encrypted shards",
        )
    )
    output.facts(_notes(report, append=append))


def dataset_profile(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help=say("Parquet 或 CSV 文件", "Parquet or CSV files"))
    ],
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="COLUMN", help=say("隐私单元所在列", "the column that says whose a row is"))
    ] = None,
    name: Annotated[str, typer.Option("--name", help=say("草稿中的数据集名", "name of the dataset in the draft"))] = "dataset",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DRAFT.toml", help=say("写入目录草稿（仅属主可读）", "write a draft here, for its owner alone")),
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help=say("CSV 的编码", "encoding of CSV files"))] = "utf-8",
) -> None:
    import os

    from infra.clock import system_clock
    from sandbox.raw.profile import draft, profile

    found = profile(sources, unit, encoding)
    output.line(
        say(
            "以下出自原始数据，未加噪声：只供域内使用，不得外传。",
            "What follows is raw and unnoised: for use inside alone, never to be passed on.",
        )
    )
    output.line(say(f"共 {found.rows:,} 行", f"{found.rows:,} rows"))
    output.table(
        (say("列", "column"), say("类型", "type"), say("空值", "nulls"), say("最小", "least"), say("最大", "most"), say("不同值", "values")),
        [
            (
                column.name,
                column.type,
                f"{column.nulls:,}",
                *(column.ends.get(column.type, ("", ""))),
                f"{len(column.values):,}" if column.values is not None else "> 1,000",
            )
            for column in found.columns
        ],
        right=(2, 5),
        csv_headers=("column", "type", "nulls", "least", "most", "values"),
    )
    spreads = [
        (say("每单元行数", "rows per unit"), found.rows_per_unit),
        (say("每单元每键行数", "rows per unit and key"), found.rows_per_group),
    ]
    spreads += [(say(f"每单元 {key} 的键数", f"keys of {key} per unit"), spread) for key, spread in found.keys_per_unit.items()]
    if found.rows_per_unit is not None:
        output.line(say(f"单元 {found.units:,} 个", f"{found.units:,} units"))
        output.table(
            (say("分布", "spread"), "50 %", "90 %", "99 %", "100 %"),
            [(said, str(it.median), str(it.p90), str(it.p99), str(it.most)) for said, it in spreads if it is not None],
            right=(1, 2, 3, 4),
            csv_headers=("spread", "p50", "p90", "p99", "most"),
        )
    if out is not None:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(draft(found, name, system_clock().date()))
        output.line(say(f"目录草稿已写入 {out}", f"a draft of the catalogue entry is in {out}"))


def _notes(report: IngestReport, *, append: bool) -> list[tuple[str, object]]:
    return [
        (say("其中本次新增的行", "of which were added now"), report.added if append else None),
        (say("接续上次中断前已读的行", "rows that an interrupted run had read"), report.resumed or None),
        (say("缺少隐私单元而丢弃的行", "rows dropped for having no unit"), report.dropped_null_units or None),
        (say("引用的对象不存在而丢弃的行", "rows dropped for referring to nothing"), report.dropped_missing_units or None),
        (say("超过每单元行数而截去的行", "rows cut beyond the most a unit may have"), report.cut_rows or None),
        *((say(f"列 {name} 截到范围内", f"column {name} clamped"), count) for name, count in sorted(report.clamped.items())),
        *((say(f"列 {name} 的 NaN 记为空值", f"column {name} NaN to null"), count) for name, count in sorted(report.nan_to_null.items())),
        (say("未声明而未入库的列", "columns not declared, not stored"), ", ".join(report.ignored_columns) or None),
    ]


def _origin(url: str, tls: Tls, password_file: Path | None) -> Origin:
    """The database, with its password from a file that nobody else can read, or from whoever sits here."""
    import stat

    from api.problems import SERVER_DATABASE_ADDRESS, SERVER_PASSWORD_EXPOSED
    from infra.extract import OriginMalformed, origin_of

    if password_file is None:
        password = typer.prompt(say("数据库口令", "Password of the database"), hide_input=True, default="", show_default=False)
    elif stat.S_IMODE(password_file.stat().st_mode) & 0o077:
        raise SERVER_PASSWORD_EXPOSED(path=password_file)
    else:
        password = text_of(password_file).rstrip("\r\n")
    try:
        return origin_of(url, tls, password)
    except OriginMalformed as malformed:
        why = str(malformed)
    raise SERVER_DATABASE_ADDRESS(why=why)


def _declared(path: Path) -> Dataset:
    """The dataset a catalogue file declares: TOML, or DCAT or CSVW in JSON-LD."""
    import json

    from api.problems import SERVER_FILE
    from policies.catalogue import dataset_from_toml, from_json_ld

    if path.suffix not in (".json", ".jsonld"):
        return dataset_from_toml(text_of(path))
    try:
        found = from_json_ld(json.loads(text_of(path)))
    except ValueError:
        raise SERVER_FILE(path=path, why="JSON") from None
    if len(found) != 1:
        raise SERVER_FILE(path=path, why=f"JSON-LD（1 ≠ {len(found)}）")
    return found[0]


def _lineage(dataset: Dataset, given: Sequence[Path | Query], current: Catalogue) -> Lineage:
    """The files as they lie there, or the database and the query that was asked of it; and the tables that ingest looked into."""
    from hashlib import file_digest, sha256

    from jobs.acts import Lineage, Source

    files = []
    for source in given:
        if isinstance(source, Path):
            with source.open("rb") as file:
                files.append(Source(source.name, file_digest(file, "sha256").hexdigest(), source.stat().st_size))
        else:
            asked = source.text.encode()
            files.append(Source(source.origin.label, sha256(asked).hexdigest(), len(asked)))
    looked = [column.domain_from.partition(".")[0] for column in dataset.columns if column.domain_from]
    looked += [dataset.unit.via.table] if dataset.unit is not None and dataset.unit.via is not None else []
    parents = [(current[name].dataset.name, current[name].version) for name in dict.fromkeys(looked) if name in current]
    return Lineage(tuple(files), tuple(parents))
