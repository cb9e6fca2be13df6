"""yunei mail …: where notifications go by mail, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.render import printable
from yunei.words import say

_SHAPE = Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))]


def _told(found: Mapping[str, Any]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    states = {"open": say("已确认", "confirmed"), "unconfirmed": say("待确认", "awaiting confirmation")}
    output.facts(
        [
            (say("邮箱", "address"), printable(found["address"])),
            (say("状态", "state"), states.get(found["state"], found["state"])),
            (say("事项", "topics"), " ".join(found["topics"])),
        ]
    )


def show(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.mailbox())


def put(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=say("邮箱地址", "the address"))],
    topic: Annotated[
        list[str],
        typer.Option("--topic", metavar="TOPIC", help=say("事项，可多次，如 report.issued", "topic, such as report.issued; repeatable")),
    ],
    shape: _SHAPE = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.set_mailbox(address, topic)
    _told(found)
    if found["state"] != "open":
        output.note(say("确认码已发往该邮箱：yunei mail confirm 确认码", "a code was sent to that address: yunei mail confirm CODE"))


def confirm(code: Annotated[str, typer.Argument(metavar="CODE", help=say("邮件中的确认码", "the code in the mail"))]) -> None:
    with session.client() as client:
        _told(client.confirm_mailbox(code))


def code() -> None:
    with session.client() as client:
        output.line(client.send_mailbox_code())


def trial() -> None:
    with session.client() as client:
        output.line(client.try_mailbox())


def close() -> None:
    with session.client() as client:
        client.close_mailbox()
    output.line(say("不再发送邮件", "mail notifications are stopped"))


def messages(shape: _SHAPE = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.mailbox_messages()
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("邮件", "mail"), say("事项", "of"), say("状态", "state"), say("尝试", "attempts"), say("最近", "last")),
        [(each["id"], each["type"], each["state"], len(each["attempts"]), _last(each["attempts"])) for each in found],
        csv_headers=("mail", "type", "state", "attempts", "last"),
    )


def _last(attempts: list[Mapping[str, Any]]) -> str:
    return f"{attempts[-1]['at']} {attempts[-1]['status'] or attempts[-1]['error']}" if attempts else ""
