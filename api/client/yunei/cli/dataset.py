"""yunei dataset versions, metadata, check, withdraw, destroy, destructions, registration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from yunei.agreements import read_document
from yunei.catalogues import Metadata
from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.words import say

_NAME = "数据集名", "name of the dataset"
_STATES = {"current": "在用", "withdrawn": "已撤回"}
_REGISTRATION = {"applied": "已申请", "accepted": "已受理", "checked": "已审核", "published": "已公示", "coded": "已赋码"}


def versions(
    name: Annotated[str, typer.Argument(metavar="DATASET", help=say(*_NAME))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.dataset_versions(name))


def _told(found: Mapping[str, Any]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    if session.shape == "table":
        output.facts(
            [
                (say("数据集", "dataset"), found["name"]),
                (say("状态", "state"), say(_STATES[found["state"]], found["state"])),
                (say("登记状态", "registration"), say(_REGISTRATION[found["registration"]], found["registration"])),
            ]
        )
        output.line()
    output.table(
        (say("版本", "version"), say("状态", "state"), say("入库时间", "ingested"), say("经办", "by"), say("来源文件", "files"), "SHA-256"),
        [
            (each["version"], each["state"], each["ingested_at"], each["ingested_by"], _files(each.get("lineage")), each["digest"])
            for each in found["versions"]
        ],
        right=(0,),
        csv_headers=("version", "state", "ingested_at", "ingested_by", "files", "digest"),
    )


def _files(lineage: Mapping[str, Any] | None) -> str:
    return "" if lineage is None else " ".join(source["name"] for source in lineage["sources"])


def metadata(
    name: Annotated[str | None, typer.Argument(metavar="[DATASET]", help=say("不写则为整个目录", "the whole catalogue if omitted"))] = None,
    form: Annotated[str, typer.Option("--as", help="dcat csvw toml json")] = "dcat",
    out: Annotated[Path | None, typer.Option("--out", "-o", help=say("写入文件", "write to a file"))] = None,
) -> None:
    if form not in ("dcat", "csvw", "toml", "json") or (name is None and form != "dcat"):
        raise problem("client_bad_request", what=f"--as {form}", verb="dataset metadata")
    with session.client() as client:
        text = client.catalogue() if name is None else client.dataset_metadata(name, cast(Metadata, form))
    if out is None:
        output.line(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        output.note(say(f"已写入 {out}", f"written to {out}"))


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("目录文件", "TOML or JSON-LD"))],
) -> None:
    try:
        document = read_document(file)
    except ValueError as error:
        raise problem("client_bad_request", what=f"{file}: {error}", verb="dataset check") from error
    with session.client() as client:
        found = client.check_catalogue(document)
    for entry in found["datasets"]:
        output.line(json.dumps(entry, ensure_ascii=False))


def withdraw(
    name: Annotated[str, typer.Argument(metavar="DATASET", help=say(*_NAME))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    version: Annotated[int | None, typer.Option("--version", min=1, help=say("只撤回这一版", "this version only"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.withdraw_dataset(name, reason, version=version))


def registration(
    name: Annotated[str, typer.Argument(metavar="DATASET", help=say(*_NAME))],
    to: Annotated[str, typer.Option("--to", help="accepted checked published coded")],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.move_registration(name, to))


def destroy(
    name: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help=say("数据集名；确认时不写", "name of the dataset; omit when confirming"))
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help=say("只销毁这一版", "this version only"))] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm", metavar="N", help=say("确认他人的提议，密钥立即销毁", "confirm another person's proposal; keys are destroyed at once")
        ),
    ] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    if (confirm is None) == (name is None or reason is None):
        raise problem("client_bad_request", what="DATASET --reason | --confirm", verb="dataset destroy")
    with session.client() as client:
        if confirm is not None:
            found = client.confirm_destruction(confirm)
        else:
            assert name is not None
            assert reason is not None
            found = client.propose_destruction(name, reason, version=version)
            output.note(
                say(
                    f"须由另一名监管员确认：yunei dataset destroy --confirm {found['entry']}",
                    f"another supervisor has to confirm: yunei dataset destroy --confirm {found['entry']}",
                )
            )
    _gone([found])


def destructions(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _gone(client.destructions()["destructions"])


def _gone(found: list[Mapping[str, Any]]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.table(
        (
            say("提议", "proposal"), say("数据集", "dataset"), say("版本", "version"), say("原因", "reason"),
            say("提议人", "proposed by"), say("确认人", "confirmed by"), say("执行序号", "entry"),
        ),
        [
            (
                each["entry"], each["dataset"], each["version"] or say("全部", "all"), each["reason"],
                each["proposed_by"], each["confirmed_by"] or "—", "—" if each["since"] is None else each["since"],
            )
            for each in found
        ],
        right=(0,),
        csv_headers=("proposal", "dataset", "version", "reason", "proposed_by", "confirmed_by", "entry"),
    )  # fmt: skip
