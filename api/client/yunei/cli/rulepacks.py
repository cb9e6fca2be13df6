"""yunei rule-pack …"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.render import printable
from yunei.words import say

_SHAPE = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
_FILE = Annotated[Path, typer.Argument(metavar="PACK.toml", exists=True, dir_okay=False, help=say("规则包", "the pack"))]


Pack = TypeVar("Pack")


def show(
    shipped: Annotated[str | None, typer.Option("--shipped", metavar="NAME", help=say("随程序发布的一份", "one of the shipped packs"))] = None,
    proposal: Annotated[int | None, typer.Option("--proposal", metavar="N", help=say("显示一项提议的文本", "print a proposal's text"))] = None,
    text: Annotated[bool, typer.Option("--text", help=say("只显示文本", "print the text alone"))] = False,
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.rule_packs()
    if proposal is not None:
        _print(_one(each for each in found.versions if each.entry == proposal).text)
        return
    pack = found.in_force if shipped is None else _one(each for each in found.shipped if each.name == shipped)
    if text:
        _print(pack.text)
        return
    if shape == "json":
        output.as_json(pack.data)
        return
    if shape == "table":
        output.facts(
            [
                (say("规则包", "rule pack"), f"{pack.name} {pack.version}"),
                (say("摘要", "digest"), pack.pack),
                (say("文件", "document"), pack.document or say("随程序发布", "as shipped")),
            ]
        )
        output.line()
    output.table(
        (say("规则", "rule"), say("级别", "severity"), say("内容", "what it is"), say("数值出处", "source")),
        [(rule["id"], rule["severity"], printable(rule[f"title_{say.language}"]), printable(rule["source"])) for rule in pack.rules],
        csv_headers=("rule", "severity", "title", "source"),
    )


def _print(text: str) -> None:
    output.line("\n".join(printable(line) for line in text.splitlines()))


def _one(found: Iterable[Pack]) -> Pack:
    one = next(iter(found), None)
    if one is None:
        raise typer.BadParameter(say("没有这一份规则包", "there is no such pack"))
    return one


def check(pack: _FILE) -> None:
    with session.client() as client:
        found = client.check_rule_pack(pack.read_text(encoding="utf-8"))
    named = f"{found['name']} {found['version']}"
    output.line(
        say(f"通过：{named}，{found['rules']} 条规则；摘要 {found['pack']}", f"passed: {named}, {found['rules']} rules; digest {found['pack']}")
    )


def propose(pack: _FILE, reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))]) -> None:
    with session.client() as client:
        found = client.propose_rule_pack(pack.read_text(encoding="utf-8"), reason=reason)
    output.facts(
        [
            (say("提议", "proposal"), found.entry),
            (say("规则包", "rule pack"), f"{found.name} {found.version}"),
            (say("摘要", "digest"), found.pack),
        ]
    )
    output.note(
        say(
            f"由另一名监管员查看并确认：yunei rule-pack show --proposal {found.entry}；yunei rule-pack confirm {found.entry}",
            f"another supervisor reads and confirms it: yunei rule-pack show --proposal {found.entry}; yunei rule-pack confirm {found.entry}",
        )
    )


def confirm(proposal: Annotated[int, typer.Argument(metavar="PROPOSAL", help=say("提议的日志序号", "entry of the proposal"))]) -> None:
    with session.client() as client:
        found = client.confirm_rule_pack(proposal)
    named = f"{found.name} {found.version}"
    output.line(say(f"规则包 {named} 已生效（第 {found.since} 条）", f"rule pack {named} is in force since entry {found.since}"))


def history(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.rule_packs().versions
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("提议", "proposal"),
            say("生效", "since"),
            say("提议人", "by"),
            say("确认人", "confirmed by"),
            say("规则包", "rule pack"),
            say("摘要", "digest"),
            say("理由", "why"),
        ),
        [
            (
                each.entry,
                "" if each.since is None else each.since,
                each.proposed_by,
                each.changed_by or "",
                f"{each.name} {each.version}",
                each.pack,
                printable(each.reason),
            )
            for each in found
        ],
        csv_headers=("proposal", "since", "proposed_by", "changed_by", "pack", "digest", "reason"),
    )
