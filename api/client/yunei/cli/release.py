"""yunei release …"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.answer import format_of
from yunei.cli import output
from yunei.cli.billing import yuan
from yunei.cli.session import Shape, session
from yunei.evidence import Evidence, verify_offline
from yunei.models import Format, Release
from yunei.problem import problem
from yunei.transparency import Key, Receipt
from yunei.words import say

SCREEN_ROWS = 50
_DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help=say("最多显示几个", "show at most this many"))] = 20,
    licence: Annotated[str | None, typer.Option("--licence", help=say("只要这份协议", "only for this licence"))] = None,
    operator: Annotated[str | None, typer.Option("--operator", help=say("只要这个运营单位", "only for this operator"))] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help=say("只要这个场景", "only for this scenario"))] = None,
    since: Annotated[datetime | None, typer.Option("--since", formats=_DAYS, help=say("发布时间，自", "published from"))] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=_DAYS, help=say("发布时间，至（不含）", "published before"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    times = {"since": since and since.astimezone(), "until": until and until.astimezone()}  # as the clock on the wall says
    with session.client() as client:
        found = list(client.releases(limit, licence=licence, operator=operator, scenario=scenario, **times))
    if shape == "json":
        output.as_json([release.data for release in found])
        return
    keys = ("release", "published_at", "rows", "price_rho" if shape == "csv" else "price", "log_index", "query")
    headers = (
        say("发布", "release"),
        say("发布时间", "published"),
        say("行数", "rows"),
        say("隐私支出", "price"),
        say("日志序号", "log index"),
        say("查询", "query"),
    )
    rows = [
        (
            release.id,
            release.data["published_at"] if shape == "csv" else f"{release.published_at:%Y-%m-%d %H:%M:%S}Z",
            release.rows,
            release.price.rho if shape == "csv" else release.price,
            release.log_index,
            release.query if shape == "csv" else " ".join(release.query.split())[:60],
        )
        for release in found
    ]
    output.table(headers, rows, right=(2, 4), csv_headers=keys)


def show(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help=say("发布编号", "id of the release"))],
    rows: Annotated[int, typer.Option("--rows", min=0, help=say("最多显示几行", "how many rows to show"))] = SCREEN_ROWS,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        answer = client.answer(release)
        if shape == "table":
            facts(answer.release)
            output.line()
        show_answer(answer, rows)


def source_words(source: Mapping[str, Any]) -> str:
    """Dataset and version, whose it is, and when it was acquired: what a product made of the release must name."""
    body, acquired = source["source_body"][say.language], source["acquired_on"]
    return f"{source['dataset']} v{source['version']}: {body}, {say('获取于', 'acquired')} {acquired} ({source['registration_no']})"


def facts(release: Release) -> None:
    output.facts(
        [
            (say("发布", "release"), release.id),
            (say("协议", "licence"), release.licence),
            (say("应用场景", "scenario"), release.scenario),
            (say("查询", "query"), release.query.strip()),
            *((say("数据来源", "source"), source_words(source)) for source in release.data.get("sources", ())),
            (say("发布时间", "published"), f"{release.published_at:%Y-%m-%d %H:%M:%S}Z"),
            (say("隐私支出", "price"), f"{release.price}  ρ = {release.price.rho}"),
            (say("费用（元）", "fee (yuan)"), None if release.fee is None else yuan(release.fee)),
            (say("日志序号", "log index"), release.log_index),
        ]
    )


def show_answer(answer: Any, rows: int = SCREEN_ROWS) -> None:
    """An answer in the session's shape. CSV is the server's own encoding, byte for byte."""
    if session.shape == "json":
        output.as_json({"release": answer.release.data, "rows": answer.rows()})
    elif session.shape == "csv":
        sys.stdout.write(answer.encoded("csv").decode())
    else:
        output.show_grid(answer.grid(rows), answer.notes())


def fetch(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help=say("发布编号", "id of the release"))],
    to: Annotated[Path | None, typer.Option("--output", "-o", help=say("保存到哪里；- 表示标准输出", "where to; - is standard output"))] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", help=say("文件格式，默认按文件名，否则 parquet", "file format; by default from the file name, else parquet")),
    ] = None,
    receipt: Annotated[
        bool, typer.Option("--receipt/--no-receipt", help=say("同时保存回执（.tlog-proof）", "save the receipt beside it (.tlog-proof)"))
    ] = True,
) -> None:
    if to is not None and str(to) == "-":
        with session.client() as client:
            sys.stdout.buffer.write(client.table(release, format or "csv"))
        return
    chosen: Format = format or (format_of(to) if to is not None else "parquet")
    target = to or Path(f"{_safe(release)}.{chosen}")
    if target.is_dir():
        target = target / f"{_safe(release)}.{chosen}"
    try:
        with session.client() as client:
            client.fetch(release, chosen, target)
            output.line(str(target))
            if receipt:
                proof = target.with_name(f"{target.name}.tlog-proof")
                proof.write_text(client.receipt(release), encoding="utf-8")
                output.line(str(proof))
    except OSError as error:
        raise problem("client_bad_request", what=f"{target}: {error.strerror}", verb="release fetch") from error


def _safe(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_." else "_" for character in name).lstrip(".") or "release"


def verify(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help=say("发布编号；离线核对时为 .arrow 文件", "id of the release; offline: its .arrow file"))
    ],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help=say("已下载的文件，一并核对", "a downloaded file to check too"))] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help=say("回执文件；默认向服务器取", "receipt file; by default fetched from the server"))
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VKEY", help=say("日志公钥；默认用记住的", "the log's key; by default the remembered one"))
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help=say("只凭文件、回执与公钥核对，不连接服务器", "verify from file, receipt and key alone, without a server")
        ),
    ] = False,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    reading = receipt or file
    try:
        if offline:
            reading = Path(release)
            arrow = reading.read_bytes()
            reading = receipt or reading.with_name(f"{reading.name}.tlog-proof")
            evidence = _offline(arrow, reading.read_text(encoding="utf-8"), key)
        else:
            text = receipt.read_text(encoding="utf-8") if receipt is not None else None
            reading = file
            with session.client() as client:
                evidence = client.verify(release, receipt=text, path=file, key=key)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "UTF-8?"
        raise problem("client_bad_request", what=f"{reading}: {why}", verb="release verify") from error
    _tell(evidence, offline)


def _offline(arrow: bytes, receipt: str, key: str | None) -> Evidence:
    """Against the key given, or the one remembered for the log that the receipt names."""
    from yunei.cli.log import remembered_key

    note = Receipt.parse(receipt).note
    return verify_offline(receipt, arrow, Key.parse(key) if key is not None else remembered_key(note, "release verify"))


def _tell(evidence: Evidence, offline: bool) -> None:
    checkpoint = evidence.checkpoint
    pairs: list[tuple[str, str, object]] = [
        ("release", say("发布", "release"), evidence.release),
        ("log", say("日志", "log"), checkpoint.origin),
        ("index", say("日志序号", "log index"), evidence.index),
        ("size", say("日志长度", "log size"), checkpoint.size),
        ("sha256", say("内容 SHA-256", "SHA-256 of the table"), evidence.sha256),
        ("key", say("日志公钥", "log key"), evidence.key),
    ]
    if session.shape == "json":
        shown = {name: value if isinstance(value, int) else str(value) for name, _, value in pairs}
        output.as_json({"verified": True, "offline": offline, **shown})
        return
    if session.shape == "csv":
        output.table([name for name, _, _ in pairs], [[value for _, _, value in pairs]])
        return
    output.line(say("✓ 回执、日志与内容相符", "✓ receipt, log and bytes agree"))
    output.facts([(name, value) for _, name, value in pairs])
