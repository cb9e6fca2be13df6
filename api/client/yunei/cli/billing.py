"""yunei fee …, yunei statement …, yunei period …: what was charged, what is owed, who shares in it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say

if TYPE_CHECKING:
    from yunei.billing import Fee, FeeQuote, Statement

_Shape = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
_Licence = Annotated[str | None, typer.Option("--licence", help=say("只要这份协议", "only for this licence"))]
_Period = Annotated[str, typer.Argument(metavar="PERIOD", help=say("2026-11、2026-Q4 或 2026", "2026-11, 2026-Q4 or 2026"))]
ROLES = {"source": ("来源部门", "source body"), "treasury": ("财政", "treasury"), "platform": ("平台", "platform")}
CAUSES = {"release": ("发布", "release"), "delivery": ("交付", "delivery"), "term": ("按月", "by the month")}


def yuan(amount: Decimal) -> str:
    """
    >>> yuan(Decimal("12345.5"))
    '12,345.50'
    """
    return f"{amount:,.2f}"


def quoted(fee: FeeQuote | None) -> str | None:
    """One line: what a job would cost."""
    if fee is None:
        return None
    if fee.free:
        return say("无偿（公益或公共治理场景）", "free (public-welfare or public-governance scenario)")
    more = say(f"，另按结果计：{'、'.join(fee.open)}", f", plus fees that depend on the result: {', '.join(fee.open)}") if fee.open else ""
    return say(f"{yuan(fee.yuan)} 元{more}", f"CNY {yuan(fee.yuan)}{more}")


def list_(
    licence: _Licence = None,
    period: Annotated[str | None, typer.Option("--period", help=say("结算周期", "settlement period"))] = None,
    release: Annotated[str | None, typer.Option("--release", help=say("只要这次发布", "only for this release"))] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help=say("最多显示几条", "show at most this many"))] = 20,
    shape: _Shape = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = list(client.fees(limit, licence=licence, period=period, release=release))
    if shape == "json":
        output.as_json([fee.data for fee in found])
        return
    headers = (
        say("日志序号", "log index"),
        say("过账时间", "posted"),
        say("协议", "licence"),
        say("周期", "period"),
        say("事由", "for"),
        say("场景", "scenario"),
        say("费用（元）", "yuan"),
        say("明细", "lines"),
    )
    rows = [
        (
            fee.index,
            fee.data["posted_at"] if shape == "csv" else f"{fee.posted_at:%Y-%m-%d %H:%M:%S}Z",
            fee.licence,
            fee.period,
            fee.cause + (f" {fee.release}" if fee.release else "") if shape == "csv" else _cause(fee),
            fee.scenario or "",
            fee.yuan if shape == "csv" else say("无偿", "free") if fee.free else yuan(fee.yuan),
            " ".join(f"{line.item}={line.quantity}" for line in fee.lines),
        )
        for fee in found
    ]
    keys = ("log_index", "posted_at", "licence", "period", "cause", "scenario", "yuan", "lines")
    output.table(headers, rows, right=(0, 6), csv_headers=keys)


def _cause(fee: Fee) -> str:
    return " ".join(each for each in (say(*CAUSES.get(fee.cause, (fee.cause, fee.cause))), fee.release) if each)


def show(period: _Period, licence: _Licence = None, shape: _Shape = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.statements(period, licence=licence)
    if shape == "json":
        output.as_json([statement.data for statement in found])
        return
    if shape == "csv":
        keys = ("licence", "operator", "period", "closed_at", "line", "name", "quantity", "free_quantity", "yuan")
        output.table(keys, [row for statement in found for row in _flat(statement)])
        return
    for number, statement in enumerate(found):
        if number:
            output.line()
        _statement(statement)
    if len(found) > 1:
        total = yuan(sum((statement.payable for statement in found), Decimal(0)))
        output.line()
        output.facts([(say("应付合计（元）", "payable in total (yuan)"), total)])
    if not found:
        output.note(say("这一周期没有收费的协议。", "No licence charges in this period."))


def _flat(statement: Statement) -> Iterator[tuple[object, ...]]:
    """A statement as rows of one shape: items, scenarios, bodies, totals."""
    own = (statement.licence, statement.operator, statement.period, statement.data["closed_at"] or "")
    for item in statement.data["items"]:
        yield (*own, "item", item["item"], item["quantity"], item["free_quantity"], item["yuan"])
    for scenario in statement.data["scenarios"]:
        yield (*own, "scenario", scenario["scenario"] or "", scenario["fees"], scenario["free"], scenario["yuan"])
    for body in statement.bodies:
        yield (*own, "body", body.title, "", "", body.payable)
    for name in ("posted", "brought", "allowed", "payable", "carried"):
        yield (*own, "total", name, "", "", "" if statement.data[name] is None else statement.data[name])


def _statement(statement: Statement) -> None:
    data = statement.data
    usage = data["usage"]
    used = say(
        f"发布 {usage['releases']}、交付 {usage['deliveries']}、行 {usage['rows']}、字节 {usage['bytes']}、"
        f"计算 {usage['compute_s']} 秒、ρ {usage['rho']}",
        f"{usage['releases']} releases, {usage['deliveries']} deliveries, {usage['rows']} rows, {usage['bytes']} bytes, "
        f"{usage['compute_s']} s of compute, ρ {usage['rho']}",
    )
    state = say("已关账", "closed") if statement.closed_at is not None else say("未关账，按现在计算", "open, computed as of now")
    output.facts(
        [
            (say("对账单", "statement"), f"{statement.licence}  {statement.operator}"),
            (say("结算周期", "period"), f"{statement.period}  {state}"),
            (say("用量", "usage"), used),
            (say("本期费用（元）", "posted (yuan)"), yuan(statement.posted)),
            (say("上期结转（元）", "carried in (yuan)"), yuan(statement.brought) if statement.brought else None),
            (say("准许收入（元）", "allowed revenue (yuan)"), None if statement.allowed is None else yuan(statement.allowed)),
            (say("本期应付（元）", "payable (yuan)"), yuan(statement.payable)),
            (say("结转下期（元）", "carried over (yuan)"), yuan(statement.carried) if statement.carried else None),
        ]
    )
    output.line()
    output.table(
        (say("项目", "item"), say("计费数量", "charged for"), say("无偿数量", "free"), say("费用（元）", "yuan")),
        [(_title(item), item["quantity"], item["free_quantity"], yuan(Decimal(item["yuan"]))) for item in data["items"]],
        right=(1, 2, 3),
    )
    output.line()
    output.table(
        (say("分配方", "body"), say("身份", "as"), say("应得（元）", "payable (yuan)"), say("结转（元）", "carried (yuan)")),
        [(body.title, say(*ROLES.get(body.role, (body.role, body.role))), yuan(body.payable), yuan(body.carried)) for body in statement.bodies],
        right=(2, 3),
    )


def _title(item: Any) -> str:
    title = item["title"]
    return f"{item['item']}  {title[say.language]}" if title else str(item["item"])


def bodies(period: _Period, shape: _Shape = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.revenue(period)
    if shape == "json":
        output.as_json([body.data for body in found])
        return
    plain = shape == "csv"
    output.table(
        (
            say("分配方", "body"),
            say("身份", "as"),
            say("费用份额（元）", "posted (yuan)"),
            say("应得（元）", "payable (yuan)"),
            say("结转（元）", "carried (yuan)"),
        ),
        [
            (
                body.title,
                body.role if plain else say(*ROLES.get(body.role, (body.role, body.role))),
                *(amount if plain else yuan(amount) for amount in (body.posted, body.payable, body.carried)),
            )
            for body in found
        ],
        right=(2, 3, 4),
        csv_headers=("body", "role", "posted", "payable", "carried"),
    )


def close(period: _Period, licence: _Licence = None) -> None:
    with session.client() as client:
        closed = client.close_period(period, licence=licence)
    output.line(say(f"已关账 {period}：{'、'.join(closed)}", f"closed {period}: {', '.join(closed)}"))
