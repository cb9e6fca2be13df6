"""yunei alert …, yunei alert-rules …"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.render import printable
from yunei.words import say

_SHAPE = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
_ALERT = Annotated[str, typer.Argument(metavar="ALERT", help=say("告警编号", "the alert's id"))]
_WORDS = Annotated[str, typer.Option("--words", help=say("说明，写入日志", "explanation; goes into the log"))]
_FILE = Annotated[Path, typer.Argument(metavar="RULES.toml", exists=True, dir_okay=False, help=say("监测规则", "the rules"))]


def listed(
    state: Annotated[list[str] | None, typer.Option("--state", help="open, acknowledged, closed")] = None,
    severity: Annotated[str | None, typer.Option("--severity", help="info, warning, serious")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help=say("规则编号", "a rule's id"))] = None,
    about: Annotated[str | None, typer.Option("--about", help=say("涉及的单位、作业、账户等", "an operator, job, account …"))] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = list(client.alerts(states=state or (), severity=severity, rule=rule, about=about, most=most))
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (say("编号", "id"), say("级别", "severity"), say("状态", "state"), say("规则", "rule"), say("涉及", "about"), say("发出", "raised")),
        [
            (each.id, each.severity, each.state, each.rule, printable(", ".join(thing["id"] for thing in each.things[:3])), each.raised_at)
            for each in found
        ],
        csv_headers=("alert", "severity", "state", "rule", "about", "raised_at"),
    )


def show(alert: _ALERT, shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.alert(alert)
    if shape == "json":
        output.as_json(found.data)
        return
    output.facts(
        [
            (say("告警", "alert"), found.title),
            (say("级别", "severity"), found.severity),
            (say("状态", "state"), found.state if found.outcome is None else f"{found.state}: {found.outcome}"),
            (say("规则所见", "what the rule sees"), found.sees),
            (say("可办事项", "what may be done"), found.then),
            (say("涉及", "about"), printable(", ".join(f"{thing['kind']} {thing['id']}" for thing in found.things))),
            (say("依据（日志条目）", "evidence, entries of the log"), ", ".join(str(entry) for entry in found.entries) or "—"),
            *((printable(fact[say.language]), printable(fact["value"])) for fact in found.facts),
            (say("确认", "acknowledged"), printable(f"{found.acknowledged_by}: {found.words}") if found.acknowledged_by else "—"),
        ]
    )


def acknowledge(alert: _ALERT, words: _WORDS) -> None:
    with session.client() as client:
        found = client.acknowledge_alert(alert, words=words)
    output.line(say(f"告警 {found.id} 已确认", f"alert {found.id} is acknowledged"))


def close(
    alert: _ALERT,
    words: _WORDS,
    false_alarm: Annotated[bool, typer.Option("--false-alarm", help=say("属误报", "it was a false alarm"))] = False,
) -> None:
    with session.client() as client:
        found = client.close_alert(alert, outcome="false_alarm" if false_alarm else "handled", words=words)
    output.line(say(f"告警 {found.id} 已办结", f"alert {found.id} is closed"))


def rules(
    proposal: Annotated[int | None, typer.Option("--proposal", metavar="N", help=say("显示一项提议的文本", "print a proposal's text"))] = None,
    text: Annotated[bool, typer.Option("--text", help=say("只显示文本", "print the text alone"))] = False,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.alert_rules()
    if proposal is not None or text:
        chosen = found.in_force["text"] if proposal is None else next((each.text for each in found.versions if each.entry == proposal), None)
        if chosen is None:
            raise typer.BadParameter(say("没有这一提议", "there is no such proposal"))
        output.line("\n".join(printable(line) for line in chosen.splitlines()))
        return
    if shape == "json":
        output.as_json(found.in_force)
        return
    if shape == "table":
        named = f"{found.in_force['name']} {found.in_force['version']}"
        output.facts([(say("监测规则", "alert rules"), named), (say("摘要", "digest"), found.in_force["rules"])])
        output.line()
    output.table(
        (
            say("规则", "rule"), say("级别", "severity"), say("参数", "numbers"), say("模拟月误报", "false alarms, simulated month"),
            say("发出", "raised"), say("误报", "false alarms"),
        ),
        [
            (
                each["id"],
                each["severity"],
                " ".join(f"{name}={value}" for name, value in each["numbers"].items()),
                "—" if each["simulated_a_month"] is None else each["simulated_a_month"],
                each["raised"],
                each["false_alarms"],
            )
            for each in found.in_force["each"]
        ],
        csv_headers=("rule", "severity", "numbers", "simulated_a_month", "raised", "false_alarms"),
    )  # fmt: skip


def check(rules: _FILE) -> None:
    with session.client() as client:
        found = client.check_alert_rules(rules.read_text(encoding="utf-8"))
    named = f"{found['name']} {found['version']}"
    output.line(
        say(
            f"通过：{named}，{found['count']} 条规则；摘要 {found['rules']}",
            f"passed: {named}, {found['count']} rules; digest {found['rules']}",
        )
    )


def propose(rules: _FILE, reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))]) -> None:
    with session.client() as client:
        found = client.propose_alert_rules(rules.read_text(encoding="utf-8"), reason=reason)
    output.facts([(say("提议", "proposal"), found.entry), (say("监测规则", "alert rules"), f"{found.name} {found.version}")])
    steps = f"yunei alert-rules show --proposal {found.entry}; yunei alert-rules confirm {found.entry}"
    output.note(say(f"由另一名监管员查看并确认：{steps}", f"another supervisor should read and confirm it: {steps}"))


def confirm(proposal: Annotated[int, typer.Argument(metavar="PROPOSAL", help=say("提议的日志序号", "entry of the proposal"))]) -> None:
    with session.client() as client:
        found = client.confirm_alert_rules(proposal)
    named = f"{found.name} {found.version}"
    output.line(say(f"监测规则 {named} 已生效（第 {found.since} 条）", f"alert rules {named} are in force since entry {found.since}"))


def history(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.alert_rules().versions
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("提议", "proposal"),
            say("规则", "rules"),
            say("提议人", "by"),
            say("确认人", "confirmed by"),
            say("生效", "since"),
            say("理由", "why"),
        ),
        [
            (each.entry, f"{each.name} {each.version}", each.proposed_by, each.changed_by or "", each.since or "", printable(each.reason))
            for each in found
        ],
        csv_headers=("proposal", "rules", "proposed_by", "changed_by", "since", "reason"),
    )
