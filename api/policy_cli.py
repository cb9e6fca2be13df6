"""Verbs for policy files on one's own machine, without a server: policy check, policy test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli_common import HOME, Group, opened, told
from yunei.cli import output
from yunei.words import say

FAILED = 1


def register(group: Group) -> None:
    policy = group("policy", "授权策略", "the policy that decides")
    policy.command("check", help=say("检查一份策略：模型、用语、案例", "check a policy: schema, words, cases"))(told(check_files))
    policy.command("test", help=say("跑完策略自带的全部案例", "run the policy's own cases"))(told(run_cases))


def check_files(
    rules: Annotated[Path, typer.Argument(metavar="RULES.cedar", exists=True, dir_okay=False, help=say("规则", "the rules"))],
    cases: Annotated[Path, typer.Argument(metavar="CASES.toml", exists=True, dir_okay=False, help=say("案例", "their cases"))],
) -> None:
    from policies.change import checked

    authority = checked(rules.read_text(encoding="utf-8"), cases.read_text(encoding="utf-8"))
    output.line(
        say(
            f"通过：{len(authority.rules)} 条规则（含底线），案例全部成立；策略摘要 {authority.digest}",
            f"holds: {len(authority.rules)} rules with the floor, every case as it should be; policy digest {authority.digest}",
        )
    )


def run_cases(
    home: Annotated[Path | None, typer.Option("--home", help=say(*HOME))] = None,
    shipped_only: Annotated[bool, typer.Option("--shipped", help=say("只测随程序发布的策略", "test the policy as shipped, no home"))] = False,
) -> int:
    """Every case of the floor and of the policy in force, each with what the rules said. Exit code 1 when one does not hold."""
    from policies.authority import Authority, shipped
    from policies.cases import cases_from_toml, faults, try_cases
    from policies.change import in_force

    rules, cases = shipped("authority.cedar"), shipped("authority.toml")
    if not shipped_only:
        from infra.database import reading
        from jobs import rulebook

        with opened(home) as services:
            with reading(services.register.engine) as connection:
                document = rulebook.document_in_force(connection)
            found = rulebook.texts(services.register, document)
            assert found is not None  # written with its proposal
            rules, cases = found
    floor = Authority("", shipped("schema.cedarschema"), shipped("floor.cedar"))
    whole = in_force(rules)
    above = [rule.id for rule in whole.rules.values() if not rule.floor]
    rows, wrong = [], []
    for authority, text, wanted in ((floor, shipped("floor.toml"), list(floor.rules)), (whole, cases, above)):
        tried = try_cases(authority, cases_from_toml(text))
        wrong += faults(tried, wanted)
        rows += [
            ("✓" if one.holds else "✗", one.case.rule, say(one.case.zh, one.case.en), " ".join(one.spoke) or say("准予", "allowed"))
            for one in tried
        ]
    output.table(("", say("规则", "rule"), say("案例", "case"), say("结果", "verdict")), rows, csv_headers=("holds", "rule", "case", "verdict"))
    output.line()
    for fault in wrong:
        output.line(f"✗ {fault.path}: {say(fault.zh, fault.en)}")
    counted = f"{sum(row[0] == '✓' for row in rows)}/{len(rows)}"
    output.line(say(f"{counted} 个案例成立；策略摘要 {whole.digest}", f"{counted} cases hold; policy digest {whole.digest}"))
    return FAILED if wrong else 0
