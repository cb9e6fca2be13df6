"""yunei report …: preview, issue, fetch and verify reports made from the register."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.render import printable
from yunei.reports import REPORT_FORMS, ReportForm, ReportKind
from yunei.words import Language, say

_SHAPE = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
_KIND = Annotated[ReportKind, typer.Argument(metavar="KIND", help=say("种类，见 yunei report kinds", "kind, see yunei report kinds"))]
_PERIOD = Annotated[
    str | None,
    typer.Option("--period", metavar="PERIOD", help=say("2026、2026-Q4、2026-11；备案不写", "2026, 2026-Q4, 2026-11; none for a filing")),
]
_SUBJECT = Annotated[
    str | None, typer.Option("--subject", metavar="ID", help=say("运营单位；备案为协议编号", "the operator; of a filing, the licence"))
]
_ID = Annotated[str, typer.Argument(metavar="REPORT", help=say("报告编号", "id of the report"))]
_LANGUAGE = Annotated[Language | None, typer.Option("--language", help=say("文件的语言", "language of the files"))]


def kinds(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.report_kinds()
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("种类", "kind"), say("名称", "title"), say("周期", "periods"), say("依据", "made for")),
        [
            (each["kind"], each["title"][say.language], " ".join(each["periods"]), "; ".join(basis[say.language] for basis in each["basis"]))
            for each in found
        ],
        csv_headers=("kind", "title", "periods", "basis"),
    )


def listed(
    kind: Annotated[ReportKind | None, typer.Option("--kind", help=say("只要这一种", "only this kind"))] = None,
    period: _PERIOD = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help=say("最多显示几份", "show at most this many"))] = 20,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.reports(kind=kind, period=period, limit=limit)
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (
            say("报告", "report"),
            say("种类", "kind"),
            say("周期", "period"),
            say("对象", "subject"),
            say("规模", "size"),
            say("签发", "issued"),
            say("签发人", "by"),
        ),
        [
            (each["id"], each["kind"], each["period"] or "", each["subject"] or "", each["size"], each["issued_at"], each["issued_by"])
            for each in found
        ],
        csv_headers=("report", "kind", "period", "subject", "size", "issued_at", "issued_by"),
    )


def preview(
    kind: _KIND,
    period: _PERIOD = None,
    subject: _SUBJECT = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help=say("登记册规模，默认现在", "size of the register; now by default"))] = None,
    file: Annotated[ReportForm, typer.Option("--file", help=say("文件格式", "which file"))] = "html",
    language: _LANGUAGE = None,
    target: Annotated[Path | None, typer.Option("--output", "-o", help=say("写到这里", "write here"))] = None,
) -> None:
    with session.client() as client:
        body = client.preview_report(kind, period=period, subject=subject, size=size, format=file, language=language or say.language)
    name = "-".join(part for part in (kind, period, subject) if part)
    path = target or Path(f"preview-{name}.{'csv.zip' if file == 'csv' else file}")
    path.write_bytes(body)
    output.line(str(path))


def issue(kind: _KIND, period: _PERIOD = None, subject: _SUBJECT = None, shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.issue_report(kind, period=period, subject=subject))


def orders(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _orders(client.report_orders())


def order(
    kind: _KIND,
    every: Annotated[str, typer.Option("--every", metavar="month|quarter|year", help=say("每月、每季或每年", "how often"))],
    subject: _SUBJECT = None,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _orders([client.order_report(kind, every, subject=subject)])


def end_order(
    order: Annotated[str, typer.Argument(metavar="ORDER", help=say("定期报告的编号", "id of the order"))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _orders([client.end_report_order(order, reason=reason)])


def _orders(found: list[dict[str, Any]]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("编号", "order"), say("种类", "kind"), say("每", "every"), say("对象", "subject"), say("下一期", "next"), say("状态", "state")),
        [(each["id"], each["kind"], each["every"], each["subject"] or "", each["next"], each["state"]) for each in found],
        csv_headers=("order", "kind", "every", "subject", "next", "state"),
    )


def show(report: _ID, shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.report(report))


def _told(found: Mapping[str, Any]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.facts(
        [
            (say("报告", "report"), f"{found['id']}  {found['title'][say.language]}"),
            (say("周期", "period"), found["period"]),
            (say("对象", "subject"), found["subject"]),
            (say("登记册规模", "register size"), found["size"]),
            (say("根哈希", "root hash"), found["root"]),
            (say("签发", "issued"), f"{found['issued_at']}  {found['issued_by']}"),
            (say("日志序号", "log index"), found["log_index"]),
        ]
    )
    output.line()
    output.table(
        (say("文件", "file"), "SHA-256"), [(printable(each["name"]), each["sha256"]) for each in found["files"]], csv_headers=("file", "sha256")
    )


def get(
    report: _ID,
    folder: Annotated[Path, typer.Option("--dir", "-d", help=say("存到这个目录", "into this folder"))] = Path(),
    file: Annotated[ReportForm | None, typer.Option("--file", help=say("只要这种文件", "only this type of file"))] = None,
    language: _LANGUAGE = None,
) -> None:
    with session.client() as client:
        for path in client.fetch_report(report, folder, forms=(file,) if file else REPORT_FORMS, language=language):
            output.line(str(path))


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            exists=True,
            dir_okay=False,
            help=say("报告的文件；签名声明（.intoto.json）写出或在旁", "files of a report; its statement (.intoto.json) among them or beside"),
        ),
    ],
    key: Annotated[
        str | None, typer.Option("--key", metavar="VKEY", help=say("日志公钥；默认用记住的", "the log's key; by default the remembered one"))
    ] = None,
    shape: _SHAPE = "table",
) -> None:
    from yunei.cli.log import remembered_key
    from yunei.reportproof import SUFFIX, note_of, verify_report
    from yunei.transparency import Key

    session.shape = shape
    statements = [path for path in files if path.name.endswith(SUFFIX)] or sorted(files[0].parent.glob(f"*{SUFFIX}"))
    reports = [path for path in files if path not in statements]
    fitting = [path for path in statements if all(each.name.startswith(path.name.removesuffix(SUFFIX)) for each in reports)] or statements
    if len(fitting) != 1:
        raise problem("verify_manifest", language=say.language, what=say("请写出一份签名声明", "name the one statement (.intoto.json)"))
    content = fitting[0].read_bytes()
    trusted = Key.parse(key) if key is not None else remembered_key(note_of(content), "report verify")
    found = verify_report(content, reports, (trusted,))
    if shape == "table":
        for each in found.links:
            told = say(*each.wrong) if each.wrong else ""
            output.line(f"{'✓' if each.wrong is None else '✗'} {say(*each.name)}{': ' if told else ''}{told}")
        output.line()
    found.require()
    pairs: list[tuple[str, str, object]] = [
        ("report", say("报告", "report"), found.report),
        ("kind", say("种类", "kind"), found.kind),
        ("period", say("周期", "period"), found.period),
        ("subject", say("对象", "subject"), found.subject),
        ("size", say("登记册规模", "register size"), found.size),
        ("root", say("根哈希", "root hash"), found.root),
        ("index", say("日志序号", "log index"), found.index),
        ("key", say("日志公钥", "log key"), str(found.key)),
    ]
    output.verified(pairs, shape)
