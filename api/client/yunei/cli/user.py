"""yunei login, yunei logout, yunei whoami."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say


def login(
    url: Annotated[str | None, typer.Argument(metavar="[URL]", help=say("服务器地址", "address of the server"))] = None,
    browser: Annotated[
        bool,
        typer.Option(
            "--browser", help=say("用浏览器在身份提供方登录，不用密钥", "sign in at the identity provider in a browser, without a key")
        ),
    ] = False,
    certificate: Annotated[Path | None, typer.Option("--certificate", help=say("客户端证书（PEM）", "client certificate, PEM"))] = None,
    certificate_key: Annotated[
        Path | None, typer.Option("--certificate-key", help=say("其私钥；证书文件中已有则不需要", "its key, unless it is in the same file"))
    ] = None,
    authorities: Annotated[
        Path | None, typer.Option("--authorities", help=say("服务器证书的签发机构（PEM）", "who signs the server's certificate, PEM"))
    ] = None,
) -> None:
    """The key is read from the terminal without echo, or from standard input; it is tried before it is stored."""
    from yunei.client import Client
    from yunei.config import Config, store
    from yunei.tls import Tls

    config = Config.load()
    address = url or session.url or config.url
    given = Tls(certificate, certificate_key, authorities)
    tls = given if given.values() else config.tls
    if browser:
        with Client(address, None, say.language, state=session.state, anonymous=True, tls=tls) as client:
            key = str(client.sign_in(_show)["secret"])
    elif sys.stdin.isatty():
        key = str(typer.prompt(say(f"{address} 的密钥", f"key for {address}"), hide_input=True, err=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    with Client(address, key, say.language, state=session.state, tls=tls) as client:
        me = client.me()
        store(config.path, url=client.url, key=key, tls=tls)
    output.note(
        say(
            f"已保存到 {config.path}：{me['principal']}（{me.get('role', '')}）",
            f"stored in {config.path}: {me['principal']} ({me.get('role', '')})",
        )
    )


def _show(address: str) -> None:
    import webbrowser

    output.note(say(f"请在浏览器中打开：\n{address}", f"open in a browser:\n{address}"))
    webbrowser.open(address)


def logout() -> None:
    """A session is ended on the server; a key is only forgotten here, and goes on to work elsewhere."""
    from yunei.config import Config, store

    config = Config.load()
    was_session = (config.key or "").startswith("ys_")
    try:
        if was_session:
            with session.client() as client:
                client.people.sign_out()
    finally:
        store(config.path, url=config.url, key=None, tls=config.tls)
    output.note(
        say("已退出，会话已结束", "signed out; the session is over")
        if was_session
        else say("已从本机删除密钥；如需使其失效：yunei key revoke", "the key is gone from this machine; to end it: yunei key revoke")
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
