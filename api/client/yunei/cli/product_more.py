"""yunei product schedule …, yunei webhook …"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.words import say

Output = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]
Product = Annotated[str, typer.Argument(metavar="PRODUCT", help=say("产品编号", "id of the product"))]
Way = Literal["auto", "tree", "anew"]
Webhook = Annotated[str, typer.Argument(metavar="WEBHOOK", help=say("订阅编号", "id of the webhook"))]


def _schedules(found: list[Mapping[str, Any]]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("编号", "id"), say("状态", "state"), say("原因", "reason"), say("已做", "runs"), say("至多", "at most")),
        [(each["id"], each["state"], each["reason"] or "", len(each["runs"]), _most(each)) for each in found],
        right=(3, 4),
        csv_headers=("schedule", "state", "reason", "runs", "releases_at_most"),
    )


def _most(schedule: Mapping[str, Any]) -> int:
    """How many runs there may be; of a running total, with those of the schedule it goes on with."""
    running = schedule.get("running")
    return int(schedule["releases_at_most"] if running is None else running["periods"])


def schedule(
    product: Product,
    sql: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("查询（SQL 文件）", "the query (SQL file)"))],
    licence: Annotated[str, typer.Option("--licence", help=say("协议", "the licence"))],
    scenario: Annotated[str, typer.Option("--scenario", help=say("应用场景", "the scenario"))],
    at_most: Annotated[int | None, typer.Option("--at-most", min=1, help=say("至多做几次", "at most how many releases"))] = None,
    running: Annotated[
        datetime | None,
        typer.Option(
            "--running",
            metavar="DAY",
            formats=["%Y-%m-%d"],
            help=say("逐期累计，自该日起的一期", "running totals, from the period that begins on this day"),
        ),
    ] = None,
    periods: Annotated[int | None, typer.Option("--periods", min=1, help=say("累计几期", "number of periods"))] = None,
    way: Annotated[
        Way, typer.Option("--way", help=say("二叉树、逐次重算，或取支出较少者", "binary tree, recomputed each time, or the cheaper"))
    ] = "auto",
    check: Annotated[bool, typer.Option("--check", help=say("只试算，不设定", "only estimate the cost, set nothing up"))] = False,
    epsilon: Annotated[str | None, typer.Option("--epsilon", help=say("每次的 ε", "epsilon, each time"))] = None,
    rho: Annotated[str | None, typer.Option("--rho", help=say("每次的 ρ", "rho, each time"))] = None,
    delta: Annotated[str | None, typer.Option("--delta", help=say("每次的 δ", "delta, each time"))] = None,
    shape: Output = "table",
) -> None:
    from yunei.client import request_body

    session.shape = shape
    if (at_most is None) == (running is None) or (running is None) != (periods is None) or (check and running is None):
        raise problem("client_bad_request", what="--at-most | --running --periods", verb="product schedule")
    try:
        text = sql.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise problem("client_bad_request", what=f"{sql}: UTF-8?", verb="product schedule") from error
    job = request_body(text, licence=licence, scenario=scenario, epsilon=epsilon, rho=rho, delta=delta)
    with session.client() as client:
        if running is None or periods is None:
            _schedules(client.set_schedule(product, job, at_most or 1))
        elif check:
            _costs(client.check_running(product, job, running.date(), periods, way))
        else:
            _schedules(client.set_running(product, job, running.date(), periods, way))


def _costs(found: Mapping[str, Any]) -> None:
    """Each way, one row a column that is added up."""
    if session.shape == "json":
        output.as_json(found)
        return
    said = {
        "tree": say("二叉树", "tree"),
        "anew": say("逐次重算", "recomputed"),
        "anew_at_equal_error": say("逐次重算，误差同二叉树", "recomputed, as accurate as the tree"),
    }
    rows = []
    for name, words in said.items():
        each = found[name]
        for error in each["half_widths"]:
            widths = (f"{error['largest']:.6g}", f"{error['mean']:.6g}")
            rows.append((words, each["price"]["rho"], each["charges"], each["charged"]["rho"], error["column"], *widths))
    output.table(
        (
            say("方式", "way"), say("每次 ρ", "rho, each"), say("首期扣减次数", "charges of a period"), say("首期共计 ρ", "rho of that period"),
            say("列", "column"), say("最大误差 ±", "largest ±"), say("平均误差 ±", "mean ±"),
        ),
        rows,
        right=(2, 5, 6),
        csv_headers=("way", "rho_each", "charges", "rho", "column", "largest", "mean"),
    )  # fmt: skip
    chosen = {"tree": said["tree"], "anew": said["anew"]}
    output.note(
        say(
            f"支出较少：{chosen[found['cheaper']]}；将采用：{chosen[found['chosen']]}。",
            f"Cheaper: {found['cheaper']}; it would be: {found['chosen']}.",
        )
    )


def go_on(
    product: Product,
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help=say("已停止的逐期累计的编号", "id of the stopped running total"))],
    periods: Annotated[
        int, typer.Option("--periods", min=1, help=say("共计几期，已完成的在内", "number of periods in all, including those done"))
    ],
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _schedules(client.continue_schedule(product, schedule, periods))


def schedules(product: Product, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _schedules(client.schedules(product))


def unschedule(
    product: Product,
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help=say("定期制作的编号", "id of the schedule"))],
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _schedules(client.stop_schedule(product, schedule))


def _hooks(found: list[Mapping[str, Any]]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("编号", "id"), say("状态", "state"), say("对象", "subject"), say("主题", "topics"), say("地址", "address")),
        [(each["id"], each["state"], each["subject"] or "", " ".join(each["topics"]), each["url"]) for each in found],
        csv_headers=("webhook", "state", "subject", "topics", "url"),
    )


def _opened(found: Mapping[str, Any]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.facts([(say("订阅", "webhook"), found["webhook"]["id"]), (say("签名密钥", "secret"), found["secret"])])
    output.note(say("密钥只显示这一次。", "The secret is shown only once."))


def webhooks(shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _hooks(client.webhooks())


def webhook_open(
    url: Annotated[str, typer.Argument(metavar="URL", help=say("https 公网地址", "a public https address"))],
    topics: Annotated[
        list[str], typer.Option("--topic", "-t", help=say("如 product.recalled，可重复", "such as product.recalled; may be repeated"))
    ],
    product: Annotated[str | None, typer.Option("--product", help=say("只要这个产品的", "only for this product"))] = None,
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _opened(client.open_webhook(url, topics, product=product))


def webhook_rotate(webhook: Webhook, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _opened(client.rotate_webhook(webhook))


def webhook_test(webhook: Webhook) -> None:
    with session.client() as client:
        output.line(client.try_webhook(webhook))


def webhook_close(webhook: Webhook, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _hooks([client.close_webhook(webhook)])


def webhook_log(webhook: Webhook, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.webhook_messages(webhook)
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("消息", "message"), say("主题", "type"), say("状态", "state"), say("尝试", "attempts"), say("最近结果", "last")),
        [(each["id"], each["type"], each["state"], len(each["attempts"]), _last(each["attempts"])) for each in found],
        right=(3,),
        csv_headers=("message", "type", "state", "attempts", "last"),
    )


def _last(attempts: list[Mapping[str, Any]]) -> str:
    return str(attempts[-1]["status"] or attempts[-1]["error"]) if attempts else ""
