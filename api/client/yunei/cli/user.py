"""yunei login, yunei whoami."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say


def login(
    url: Annotated[str | None, typer.Argument(metavar="[URL]", help=say("服务器地址", "address of the server"))] = None,
) -> None:
    """The key is read from the terminal without echo, or from standard input; it is tried before it is stored."""
    from yunei.client import Client
    from yunei.config import Config, store

    config = Config.load()
    address = url or session.url or config.url
    if sys.stdin.isatty():
        key = str(typer.prompt(say(f"{address} 的密钥", f"key for {address}"), hide_input=True, err=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    with Client(address, key, say.language, state=session.state) as client:
        me = client.me()
        store(config.path, url=client.url, key=key)
    output.note(
        say(
            f"已保存到 {config.path}：{me['principal']}（{me.get('role', '')}）",
            f"stored in {config.path}: {me['principal']} ({me.get('role', '')})",
        )
    )


def whoami(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    session.shape = shape
    with session.client() as client:
        me = client.me()
    if shape == "json":
        output.as_json(me)
    elif shape == "csv":
        output.table(list(me), [[" ".join(value) if isinstance(value, list) else value for value in me.values()]])
    else:
        output.facts(
            [
                (say("身份", "principal"), me["principal"]),
                (say("角色", "role"), me.get("role")),
                (say("协议", "licences"), " ".join(me.get("licences", ()))),
                (say("可以做", "may"), " ".join(me.get("acts", ()))),
            ]
        )
