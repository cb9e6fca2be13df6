"""yunei review …, duty …, standing …, job preflight: exact tables and the people who let them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from yunei.cli import output
from yunei.cli.job import read_request
from yunei.cli.session import Shape, session
from yunei.words import say

Verdict = Literal["release", "return", "reject"]
State = Literal["open", "referred", "release", "return", "reject", "withdrawn"]
_SHAPE = typer.Option("--format", help=say("输出格式", "output"))
_REVIEW = typer.Argument(metavar="REVIEW", help=say("审核编号", "id of the review"))
_REASON = typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))
Output = Annotated[Shape, _SHAPE]
Id = Annotated[str, _REVIEW]
Reason = Annotated[str, _REASON]
_STATES = {
    "open": ("待审", "open"),
    "referred": ("待第三人", "referred"),
    "release": ("同意发布", "release"),
    "return": ("退回", "return"),
    "reject": ("不予发布", "reject"),
    "withdrawn": ("已撤回", "withdrawn"),
    "proposed": ("待确认", "proposed"),
    "in_force": ("有效", "in force"),
    "ended": ("已终止", "ended"),
}


def _state(name: str) -> str:
    return say(*_STATES.get(name, (name, name)))


# --- before -------------------------------------------------------------------------------------------------------------------------


def preflight(
    request: Annotated[
        Path, typer.Argument(metavar="FILE", help=say('请求文件（TOML 或 JSON，kind = "exact"）', "the request: TOML or JSON, kind exact"))
    ],
    licence: Annotated[str | None, typer.Option("--licence", envvar="YUNEI_LICENCE", metavar="ID", help=say("协议编号", "licence"))] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", envvar="YUNEI_SCENARIO", metavar="ID", help=say("应用场景", "scenario"))] = None,
    shape: Output = "table",
) -> None:
    named = {name: value for name, value in (("licence", licence), ("scenario", scenario)) if value}
    body = {"kind": "exact", **read_request(request), **named}
    with _client(shape) as client:
        found = client.reviews.preflight(body)
    if shape == "json":
        output.as_json(found)
        return
    output.line(
        say(
            f"规则包 {found['pack']['name']} 第 {found['pack']['version']} 版；表有 {found['cells']} 行",
            f"pack {found['pack']['name']} version {found['pack']['version']}; the table has {found['cells']} rows",
        )
    )
    if not found["found"]:
        output.line(say("按现在的写法，没有会被规则直接拒绝之处", "as written, nothing would be refused by the rules outright"))
    for rule in found["found"]:
        told = rule[say.language]
        output.line(f"✗ {rule['rule']}: {told['title']}  {told['remedy']}")
    output.line(say("提交后由规则核对数值，只有审核员看到：", "after submission the rules check the numbers; only reviewers see the outcome:"))
    output.line("  " + ", ".join(rule["rule"] for rule in found["later"]))
    if found["found"]:
        raise typer.Exit(1)


# --- requests -----------------------------------------------------------------------------------------------------------------------


def request(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB…", help=say("封存待审的作业，同一协议", "held jobs of one licence"))],
    title: Annotated[str, typer.Option("--title", help=say("名称", "title"))],
    purpose: Annotated[str, typer.Option("--purpose", help=say("用途", "purpose"))],
    note: Annotated[str, typer.Option("--note", help=say("补充说明", "further explanation"))] = "",
) -> None:
    with _client("table") as client:
        made = client.reviews.request(jobs, title=title, purpose=purpose, note=note)
    output.note(say(f"已提请审核，{made['due_at'][:16]}Z 前办理：", f"review requested; due by {made['due_at'][:16]}Z:"))
    output.line(made["id"])


def withdraw(review: Id) -> None:
    with _client("table") as client:
        client.reviews.withdraw(review)
    output.line(say("已撤回，作业仍为封存待审", "withdrawn; the jobs remain held for review"))


def list_(
    state: Annotated[State | None, typer.Option("--state", help=say("只看此状态", "only in this state"))] = None,
    late: Annotated[bool, typer.Option("--overdue", help=say("只看逾期未决的", "only overdue, undecided reviews"))] = False,
    shape: Output = "table",
) -> None:
    with _client(shape) as client:
        found = client.reviews.overdue() if late else client.reviews.find(state=state)
    if shape == "json":
        output.as_json(list(found))
        return
    heads = (
        say("审核", "review"),
        say("运营单位", "operator"),
        say("协议", "licence"),
        say("状态", "state"),
        say("期限", "due"),
        say("逾期", "late"),
        say("作业", "jobs"),
    )
    rows = [
        (
            each["id"],
            each["operator"],
            each["licence"],
            _state(each["state"]),
            each["due_at"][:16] + "Z",
            each["late"] or "",
            " ".join(each["jobs"]),
        )
        for each in found
    ]
    output.table(heads, rows, csv_headers=("review", "operator", "licence", "state", "due_at", "late", "jobs"))


def show(review: Id, shape: Output = "table") -> None:
    with _client(shape) as client:
        found = client.reviews.show(review)
    _told(found, shape)


def _told(found: Mapping[str, Any], shape: Shape) -> None:
    if shape == "json":
        output.as_json(found)
        return
    output.facts(
        [
            (say("审核", "review"), found["id"]),
            (say("状态", "state"), _state(found["state"])),
            (say("名称", "title"), found["manifest"].get("title")),
            (say("用途", "purpose"), found["manifest"].get("purpose")),
            (say("说明", "note"), found["manifest"].get("note")),
            (say("运营单位", "operator"), found["operator"]),
            (say("协议", "licence"), found["licence"]),
            (say("作业", "jobs"), " ".join(found["jobs"])),
            (say("期限", "due"), found["due_at"][:16] + "Z"),
            *((say("理由", "reason"), f"{each[say.language]} – {each['remedy_' + say.language]}") for each in found["reasons"]),
            *(
                (say("票", "vote"), f"{each['reviewer']}  {_state(each['verdict']) if each['verdict'] else say('已封存', 'sealed')}")
                for each in found["votes"]
            ),
        ]
    )


# --- reviewers ----------------------------------------------------------------------------------------------------------------------


def look(job: Annotated[str, typer.Argument(metavar="JOB", help=say("作业编号", "id of the job"))], shape: Output = "table") -> None:
    with _client(shape) as client:
        found = client.reviews.workbench(job)
    if shape == "json":
        output.as_json(found)
        return
    pack = found["pack"]
    output.facts(
        [
            (say("作业", "job"), f"{found['job']}  ({found['operator']}, {found['licence']})"),
            (say("查询", "query"), found["query"]),
            *((say("说明", "said"), f"{name}: {text}") for name, text in found["facts"].items()),
            (say("规则包", "pack"), f"{pack['name']} {pack['version']}"),
            (say("规则结论", "rules say"), found["verdict"]),
            (say("必须先改", "refused by"), ", ".join(found["refused_by"])),
            (say("以往发布", "released before"), found["earlier_count"]),
        ]
    )
    output.line()
    table, leaves = found["table"], {tuple(row["levels"]): row["shown"] for row in found["leaves"]["rows"]}
    heads = [one["name"] for one in table["dimensions"]] + [say("单元数", "units")]
    for measure in table["measures"]:
        heads += [measure["name"], say(f"{measure['name']}（发布）", f"{measure['name']} (leaves)")]
    rows: list[list[object]] = []
    for cell in table["cells"]:
        row: list[object] = [*cell["levels"], cell["units"]]
        shown = leaves.get(tuple(cell["levels"]), [])
        for place, value in enumerate(cell["values"]):
            row += [value["value"], shown[place]["value"] if place < len(shown) and shown[place]["value"] is not None else "×"]
        rows.append([*row, " ".join(cell["risky"])])
    output.table([*heads, say("触及规则", "rules")], rows, csv_headers=[*heads, "rules"])


def vote(
    review: Id,
    verdict: Annotated[Verdict, typer.Argument(help=say("release 同意、return 退回、reject 不予发布", "release, return or reject"))],
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help=say("理由代码，可重复；告知作者", "reason code, repeatable; told to the author")),
    ] = None,
    words: Annotated[str, typer.Option("--words", help=say("文字理由，只供数据主管部门查阅", "explanation; seen only by the bureau"))] = "",
) -> None:
    with _client("table") as client:
        found = client.reviews.vote(review, verdict, codes=code or (), words=words)
    output.line(say(f"已投票并封存；审核状态：{_state(found['state'])}", f"your vote is cast and sealed; the review is {found['state']}"))


# --- duty ---------------------------------------------------------------------------------------------------------------------------


def duty_list(shape: Output = "table") -> None:
    with _client(shape) as client:
        found = client.reviews.duties()
    if shape == "json":
        output.as_json(found)
        return
    heads = (
        say("值班", "duty"),
        say("审核员", "reviewer"),
        say("自", "since"),
        say("至", "until"),
        say("提前结束", "ended"),
        say("当前", "now"),
    )
    rows = [
        (each["id"], each["reviewer"], each["since"], each["until"], each["ended_at"], "✓" if each["now"] else "") for each in found["duties"]
    ]
    output.table(heads, rows, csv_headers=("duty", "reviewer", "since", "until", "ended_at", "now"))
    for each in found["conflicts"]:
        output.note(say(f"回避：{each['reviewer']} 对 {each['operator']}", f"conflict: {each['reviewer']} with {each['operator']}"))


def duty_set(
    reviewer: Annotated[str, typer.Argument(metavar="REVIEWER", help=say("审核员", "the reviewer"))],
    since: Annotated[str, typer.Option("--since", metavar="DAY", help=say("起日（含）", "first day"))],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help=say("止日（含）", "last day, included"))],
) -> None:
    with _client("table") as client:
        made = client.reviews.set_duty(reviewer, since, until)
    output.line(made["id"])


def duty_end(duty: Annotated[str, typer.Argument(metavar="DUTY", help=say("值班编号", "id of the duty"))], reason: Reason) -> None:
    with _client("table") as client:
        client.reviews.end_duty(duty, reason)
    output.line(say("已提前结束", "ended"))


def duty_conflict(
    reviewer: Annotated[str, typer.Argument(metavar="REVIEWER", help=say("审核员", "the reviewer"))],
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help=say("运营单位", "the operator"))],
    reason: Reason,
    lift: Annotated[bool, typer.Option("--lift", help=say("解除回避（监管员）", "lift the conflict (supervisors)"))] = False,
) -> None:
    with _client("table") as client:
        (client.reviews.lift_conflict if lift else client.reviews.declare_conflict)(reviewer, operator, reason)
    output.line(say("已解除" if lift else "已申报回避", "lifted" if lift else "declared"))


# --- standing approvals -------------------------------------------------------------------------------------------------------------


def standing_list(shape: Output = "table") -> None:
    with _client(shape) as client:
        found = client.reviews.standings()
    if shape == "json":
        output.as_json(list(found))
        return
    heads = (say("常态批准", "standing"), say("协议", "licence"), say("作业", "job"), say("至", "until"), say("状态", "state"))
    rows = [(each["id"], each["licence"], each["job"], each["until"], _state(each["state"])) for each in found]
    output.table(heads, rows, csv_headers=("standing", "licence", "job", "until", "state"))


def standing_propose(
    job: Annotated[str, typer.Argument(metavar="JOB", help=say("经审核发布的作业", "a job released after review"))],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help=say("截止日（含）", "last day, included"))],
) -> None:
    with _client("table") as client:
        made = client.reviews.propose_standing(job, until)
    output.note(say("请另一名值班审核员确认：", "ask another reviewer on duty to confirm it:"))
    output.line(f"yunei standing confirm {made['id']}")


def standing_confirm(standing: Annotated[str, typer.Argument(metavar="STANDING", help=say("常态批准编号", "its id"))]) -> None:
    with _client("table") as client:
        client.reviews.confirm_standing(standing)
    output.line(say("已生效", "in force"))


def standing_end(standing: Annotated[str, typer.Argument(metavar="STANDING", help=say("常态批准编号", "its id"))], reason: Reason) -> None:
    with _client("table") as client:
        client.reviews.end_standing(standing, reason)
    output.line(say("已终止，立即生效", "ended, effective at once"))


def _client(shape: Shape) -> Any:
    session.shape = shape
    return session.client()
