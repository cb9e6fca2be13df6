"""yunei job check-batch"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import YuneiProblem, problem
from yunei.render import printable
from yunei.words import say


def check_batch(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help=say('每行一个 JSON：{"sql": …} 及作业上限', 'one JSON object a line: {"sql": …} and bounds of a job')
        ),
    ],
    licence: Annotated[str, typer.Option("--licence", envvar="YUNEI_LICENCE", metavar="ID", help=say("协议编号", "licence"))],
    scenario: Annotated[str, typer.Option("--scenario", envvar="YUNEI_SCENARIO", metavar="ID", help=say("应用场景", "scenario"))],
    epsilon: Annotated[str | None, typer.Option("--epsilon", metavar="NUM", help=say("总预算 ε", "total budget as ε"))] = None,
    rho: Annotated[str | None, typer.Option("--rho", metavar="NUM", help=say("总预算 ρ（与 ε 二选一）", "or as ρ (zCDP)"))] = None,
    accuracy: Annotated[
        str | None, typer.Option("--accuracy", metavar="ERR", help=say("每个查询所要的误差", "or the error wanted for each query"))
    ] = None,
    delta: Annotated[str | None, typer.Option("--delta", metavar="NUM", help=say("总 δ，默认 1e-8", "total δ; 1e-8 by default"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    asked = read_queries(file)
    with session.client() as client:
        found = client.check_batch(asked, licence=licence, scenario=scenario, epsilon=epsilon, rho=rho, accuracy=accuracy, delta=delta)
    if shape == "json":
        output.as_json(found.data)
        return
    labels = [say("序号", "no."), "rho", "epsilon", say("能否提交", "can be submitted"), say("查询", "query")]
    rows = []
    for number, (entry, query) in enumerate(zip(found.queries, asked, strict=True), 1):
        price = None if entry.quote is None else entry.quote.price
        said = say("能", "yes") if entry.problem is None else entry.problem.code
        rows.append([number, price and str(price.rho), price and str(price.epsilon), said, printable(" ".join(str(query["sql"]).split())[:60])])
    output.table(labels, rows)
    if shape == "table":
        output.line()
        output.facts([(say("合计", "together"), f"{found.price}  ρ = {found.price.rho}")])


def read_queries(file: Path) -> list[dict[str, Any]]:
    """The queries of a file, one JSON object a line; empty lines aside. Raises `client_bad_request`."""
    found: list[dict[str, Any]] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(f"{file}: {error.strerror if isinstance(error, OSError) else 'UTF-8?'}") from error
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            item = json.loads(text)
        except ValueError:
            item = None
        if not isinstance(item, dict) or not isinstance(item.get("sql"), str):
            raise _unreadable(f"{file}: " + say(f"第 {number} 行应为含 sql 的 JSON 对象", f"line {number} must be a JSON object with sql"))
        found.append(item)
    return found


def _unreadable(what: str) -> YuneiProblem:
    return problem("client_bad_request", what=what, verb="job check-batch")
