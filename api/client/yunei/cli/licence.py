"""yunei licence apply, consent, decline, approve, amend, document, history, verify."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from yunei.agreements import Paper, read_document, verify_licence
from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.models import Licence
from yunei.problem import problem
from yunei.transparency import Key
from yunei.words import say

PAPERS = ("note", "html", "md", "odrl", "toml", "json")
_ID = "协议编号", "id of the licence"


def _document(file: Path) -> dict[str, Any]:
    try:
        return read_document(file)
    except ValueError as error:
        raise problem("client_bad_request", what=f"{file}: {error}", verb="licence") from error


def _told(found: Licence) -> None:
    if session.shape == "json":
        output.as_json(found.data)
        return
    output.facts(
        [
            (say("协议", "licence"), f"{found.id}  {found.title}"),
            (say("运营单位", "operator"), found.operator),
            (say("状态", "state"), found.state),
            (say("版本", "version"), found.data.get("version")),
        ]
    )


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("协议文件（TOML）", "licence file (TOML)"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.apply_licence(_document(file)))


def consent(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say(*_ID))],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=say("有条件共享的数据集", "the conditionally shared dataset"))],
    reference: Annotated[str, typer.Option("--reference", help=say("审核同意文件号", "number of the consent document"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.consent(licence, dataset, reference))


def decline(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say(*_ID))],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.decline_licence(licence, reason))


_PROPOSAL = "另一人提出同一事项的日志序号", "log entry in which another person proposed the same act"
_PROPOSE = "只提出，由另一人办理", "only propose; another person carries it out"


def approve(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say(*_ID))],
    decision: Annotated[str, typer.Option("--decision", help=say("“三重一大”决策文件号", "number of the decision document"))],
    decided_on: Annotated[str | None, typer.Option("--decided-on", metavar="YYYY-MM-DD", help=say("决策日期", "date of the decision"))] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--decision-file", exists=True, dir_okay=False, help=say("决策文件，取其 SHA-256", "the decision file; its SHA-256 is recorded")
        ),
    ] = None,
    approvals: Annotated[
        list[str] | None,
        typer.Option("--approval", metavar="DATASET=NUMBER", help=say("重要数据的第二次审批", "second approval for important data")),
    ] = None,
    proposal: Annotated[int | None, typer.Option("--proposal", min=0, help=say(*_PROPOSAL))] = None,
    propose: Annotated[bool, typer.Option("--propose", help=say(*_PROPOSE))] = False,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    told: dict[str, Any] = {"number": decision, "decided_on": decided_on}
    if file is not None:
        told["digest"] = hashlib.sha256(file.read_bytes()).hexdigest()
    numbers = dict(each.partition("=")[::2] for each in approvals or ())
    with session.client() as client:
        if propose:
            _proposed(client.propose_application(licence, told, numbers))
        else:
            _told(client.grant_application(licence, told, numbers, proposal=proposal))


def amend(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("变更后的协议全文", "full text of the licence as amended"))
    ],
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    proposal: Annotated[int | None, typer.Option("--proposal", min=0, help=say(*_PROPOSAL))] = None,
    propose: Annotated[bool, typer.Option("--propose", help=say(*_PROPOSE))] = False,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    whole = _document(file)
    with session.client() as client:
        if propose:
            _proposed(client.propose_licence(whole))
        else:
            _told(client.amend_licence(whole, reason, proposal=proposal))


def _proposed(index: int) -> None:
    if session.shape == "json":
        output.as_json({"proposal": index})
    else:
        output.line(
            say(
                f"已提出，日志序号 {index}；请另一人办理：--proposal {index}",
                f"proposed in entry {index}; another person then gives --proposal {index}",
            )
        )


def history(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say(*_ID))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.licence_history(licence)
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("日志序号", "log index"), say("时间", "at"), say("事项", "act"), say("办理人", "by"), say("原因或依据", "why")),
        [
            (
                event["index"],
                event["at"],
                event["kind"],
                event["event"].get("by"),
                event["event"].get("reason", event["event"].get("reference", "")),
            )
            for event in found["events"]
        ],
        right=(0,),
        csv_headers=("index", "at", "kind", "by", "why"),
    )


def document(
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help=say(*_ID))],
    form: Annotated[
        str,
        typer.Option(
            "--as", help=say("note（签名正本）、html、md、odrl、toml、json", "note (the signed original), html, md, odrl, toml, json")
        ),
    ] = "md",
    version: Annotated[
        int | None, typer.Option("--version", min=0, help=say("版本；默认为现行版本", "version; the present one by default"))
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=say("写入文件", "write to a file"))] = None,
) -> None:
    if form not in PAPERS:
        raise problem("client_bad_request", what=f"--as {form}", verb="licence document")
    with session.client() as client:
        text = client.licence_document(licence, cast(Paper, form), version=version)
    if out is None:
        output.line(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        output.note(say(f"已写入 {out}", f"written to {out}"))


def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("签名正本（--as note）", "signed original (--as note)"))
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="VKEY",
            help=say("数据局的协议公钥；不给出时向服务器询问", "the bureau's licence key; by default the server is asked"),
        ),
    ] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    if key:
        keys = tuple(Key.parse(each) for each in key)
    else:
        with session.client() as client:
            keys = client.licence_keys()
    try:
        note = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise problem("verify_note", why="UTF-8") from error
    sealed = verify_licence(note, keys)
    if shape == "json":
        output.as_json(
            {
                "licence": sealed.document,
                "version": sealed.version,
                "sha256": sealed.digest,
                "signed_by": [str(signer) for signer in sealed.signers],
            }
        )
        return
    titles = sealed.document.get("title")
    output.facts(
        [
            (say("协议", "licence"), f"{sealed.document.get('id')}  {titles.get(say.language, '') if isinstance(titles, dict) else ''}"),
            (say("运营单位", "operator"), sealed.document.get("operator")),
            (say("版本", "version"), sealed.version),
            (say("期限", "term"), f"{sealed.document.get('valid_from')} … {sealed.document.get('valid_until')}"),
            ("SHA-256", sealed.digest),
            (say("签名者", "signed by"), "\n".join(signer.name for signer in sealed.signers)),
        ]
    )
    output.line(say("签名成立。", "The signature holds."))
