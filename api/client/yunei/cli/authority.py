"""yunei freeze …, yunei policy …, yunei program …"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from yunei.authority import Freeze, Program, Scope
from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.render import printable
from yunei.words import say

_REASON = "理由，写入日志", "reason; goes into the log"
_SHAPE = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
SCOPES = {"everything": "全部", "operator": "运营单位", "licence": "协议", "dataset": "数据集"}
STATES = {
    "submitted": "待审",
    "approved": "已批准",
    "rejected": "未通过",
    "superseded": "已被取代",
    "withdrawn": "已撤回",
    "invalidated": "已失效",
}


def freeze_set(
    scope: Annotated[
        Scope, typer.Argument(metavar="SCOPE", help=say("everything、operator、licence 或 dataset", "everything, operator, licence or dataset"))
    ],
    subject: Annotated[str, typer.Argument(metavar="[SUBJECT]", help=say("编号或数据集名；everything 时不写", "its id or name"))] = "",
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))] = ...,  # type: ignore[assignment]  # Typer's way of asking for it
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.freeze(scope, subject, reason=reason))


def freeze_list(
    standing: Annotated[bool, typer.Option("--standing", help=say("只列未解除的", "only freezes in force"))] = False, shape: _SHAPE = "table"
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.freezes(standing=standing)
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("编号", "id"),
            say("范围", "scope"),
            say("对象", "subject"),
            say("状态", "state"),
            say("何人", "by"),
            say("何时", "at"),
            say("解除提议", "thaw proposed"),
            say("理由", "reason"),
        ),
        [
            (
                each.id,
                each.scope if shape == "csv" else say(SCOPES.get(each.scope, each.scope), each.scope),
                each.subject,
                each.state,
                each.set_by,
                each.set_at,
                "" if each.proposal is None else f"{each.proposal} ({each.proposed_by})",
                printable(each.reason),
            )
            for each in found
        ],
        csv_headers=("freeze", "scope", "subject", "state", "by", "at", "proposal", "reason"),
    )


def freeze_thaw(
    freeze: Annotated[str, typer.Argument(metavar="FREEZE", help=say("应急处置编号", "id of the freeze"))],
    reason: Annotated[str | None, typer.Option("--reason", help=say("提议解除的理由", "reason for lifting it, when proposing"))] = None,
    proposal: Annotated[
        int | None, typer.Option("--proposal", metavar="N", help=say("确认他人的提议：日志序号", "confirm the other's"))
    ] = None,
    shape: _SHAPE = "table",
) -> None:
    """With --reason: propose. With --proposal: confirm what another supervisor proposed."""
    session.shape = shape
    with session.client() as client:
        _told(client.thaw(freeze, reason=reason, proposal=proposal))


def _told(freeze: Freeze) -> None:
    if session.shape == "json":
        output.as_json(freeze.data)
        return
    output.facts(
        [
            (say("编号", "id"), freeze.id),
            (say("范围", "scope"), f"{say(SCOPES.get(freeze.scope, freeze.scope), freeze.scope)} {freeze.subject}".strip()),
            (say("状态", "state"), say("生效中" if freeze.state == "set" else "已解除", freeze.state)),
            (say("解除提议", "thaw proposed"), freeze.proposal and f"{freeze.proposal} ({freeze.proposed_by})"),
        ]
    )
    if freeze.state == "set" and freeze.proposal is not None:
        output.note(
            say(
                f"由另一名监管员确认：yunei freeze thaw {freeze.id} --proposal {freeze.proposal}",
                f"another supervisor confirms with: yunei freeze thaw {freeze.id} --proposal {freeze.proposal}",
            )
        )


# ── policy ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEXTS = {"rules": "rules", "cases": "cases", "floor": "floor", "floor-cases": "floor_cases", "model": "model"}


def policy_show(
    version: Annotated[
        str | None, typer.Option("--version", metavar="DOCUMENT", help=say("某一版本；默认现行", "a version; the present one by default"))
    ] = None,
    text: Annotated[
        Literal["rules", "cases", "floor", "floor-cases", "model"] | None, typer.Option("--text", help=say("只显示这份文本", "print this text"))
    ] = None,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.policy(version)
    if text is not None:
        output.line(str(getattr(found, _TEXTS[text])).rstrip("\n"))
        return
    if shape == "json":
        output.as_json(found.data)
        return
    if shape == "table":
        output.facts([(say("策略", "policy"), found.policy), (say("文件", "document"), found.document or say("随程序发布", "as shipped"))])
        output.line()
    output.table(
        (say("规则", "rule"), say("底线", "floor"), say("内容", "what it says"), say("依据", "basis")),
        [
            (rule["id"], say("是", "yes") if rule["floor"] else "", printable(rule[f"title_{say.language}"]), printable(rule["basis"]))
            for rule in found.table
        ],
        csv_headers=("rule", "floor", "title", "basis"),
    )


def policy_versions(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.policy_versions()
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("提议", "proposal"),
            say("生效", "since"),
            say("提议人", "by"),
            say("确认人", "confirmed by"),
            say("文件", "document"),
            say("理由", "why"),
        ),
        [
            (
                each.entry,
                "" if each.since is None else each.since,
                each.proposed_by,
                each.changed_by or "",
                each.document,
                printable(each.reason),
            )
            for each in found
        ],
        csv_headers=("proposal", "since", "proposed_by", "changed_by", "document", "reason"),
    )


def policy_propose(
    rules: Annotated[Path, typer.Argument(metavar="RULES.cedar", exists=True, dir_okay=False, help=say("规则", "the rules"))],
    cases: Annotated[Path, typer.Argument(metavar="CASES.toml", exists=True, dir_okay=False, help=say("案例", "their cases"))],
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
) -> None:
    with session.client() as client:
        found = client.propose_policy(rules.read_text(encoding="utf-8"), cases.read_text(encoding="utf-8"), reason=reason)
    output.facts([(say("提议", "proposal"), found.entry), (say("策略", "policy"), found.policy), (say("文件", "document"), found.document)])
    output.note(
        say(f"由另一名监管员确认：yunei policy confirm {found.entry}", f"another supervisor confirms with: yunei policy confirm {found.entry}")
    )


def policy_confirm(
    proposal: Annotated[int, typer.Argument(metavar="PROPOSAL", help=say("提议的日志序号", "entry of the proposal"))],
) -> None:
    with session.client() as client:
        found = client.confirm_policy(proposal)
    output.line(say(f"策略 {found.policy} 已生效（第 {found.since} 条）", f"policy {found.policy} is in force since entry {found.since}"))


# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_DIGEST = Annotated[str, typer.Argument(metavar="DIGEST", help=say("算法摘要", "digest of the program"))]


def program_submit(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", exists=True, help=say("程序包：文件夹或 zip", "a folder, or a zip"))],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _program(client.submit_program(package))


def program_list(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.programs()
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("名称", "name"),
            say("版本", "version"),
            say("提交者", "author"),
            say("状态", "state"),
            say("审查", "reviews"),
            say("摘要", "digest"),
        ),
        [
            (each.name, each.version, each.author, _state(each.state), " ".join(f"{who}:{what}" for who, what in each.reviews), each.digest)
            for each in found
        ],
        csv_headers=("name", "version", "author", "state", "reviews", "digest"),
    )


def _state(state: str) -> str:
    return state if session.shape == "csv" else say(STATES.get(state, state), state)


def program_show(
    digest: _DIGEST,
    source: Annotated[bool, typer.Option("--source", help=say("显示全部源代码", "print every source"))] = False,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.program(digest)
    if shape == "json":
        output.as_json(found)
        return
    _program(Program.read(found["program"], say.language))
    report: Mapping[str, Any] = found["report"]
    output.facts(
        [
            (say("引用", "imports"), " ".join(report["imports"])),
            (say("行数", "lines"), report["lines"]),
            (say("库集合", "library set"), found["libraries"]["digest"]),
        ]
    )
    output.line()
    output.table(
        (say("文件", "file"), say("行", "lines"), say("函数", "functions"), say("先看这里", "look here first")),
        [
            (each["path"], each["lines"], " ".join(each["functions"]), " ".join(f"{printable(name)}:{line}" for name, line in each["marked"]))
            for each in report["files"]
        ],
        right=(1,),
    )
    for path, text in sorted(found["files"].items()) if source else ():
        output.line(f"\n── {path}")
        output.line("\n".join(printable(line) for line in str(text).splitlines()))


def program_review(
    digest: _DIGEST,
    verdict: Annotated[Literal["approve", "reject"], typer.Argument(metavar="VERDICT", help=say("approve 或 reject", "approve or reject"))],
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _program(client.review_program(digest, verdict, reason=reason))


def program_withdraw(
    digest: _DIGEST,
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _program(client.withdraw_program(digest, reason=reason))


def program_invalidate(
    digest: _DIGEST,
    reason: Annotated[str, typer.Option("--reason", help=say(*_REASON))],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _program(client.invalidate_program(digest, reason=reason))


def _program(program: Program) -> None:
    if session.shape == "json":
        output.as_json(program.data)
        return
    output.facts(
        [
            (say("算法", "program"), f"{program.name} {program.version}"),
            (say("提交者", "author"), program.author),
            (say("状态", "state"), _state(program.state)),
            (say("审查", "reviews"), " ".join(f"{who}:{what}" for who, what in program.reviews) or None),
            (say("摘要", "digest"), program.digest),
        ]
    )
