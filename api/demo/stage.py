"""The stage of the demo: a folder of its own, a server of its own on loopback, and the real command line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from yunei import cli
from yunei.words import say

HOME = Path("build/demo")
START_S = 60


class Stage:
    """`run` executes one command line as an operator or the bureau would type it; `tell` speaks to the audience."""

    def __init__(self, home: Path = HOME) -> None:
        self.console = Console(highlight=False)
        self.folder = home.resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.home = self.folder / "home"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # the real command line reads its settings from the environment, as it would for anyone
        os.environ.update(
            YUNEI_HOME=str(self.home),
            YUNEI_URL=self.url,
            YUNEI_PORT=str(self.port),
            YUNEI_STATE=str(self.folder / "known-logs.json"),
            YUNEI_RAY_LINGER_S="10",
        )
        os.environ.pop("YUNEI_KEY", None)

    def chapter(self, number: int, zh: str, en: str) -> None:
        self.console.print()
        self.console.rule(Text(f"{number}  {say(zh, en)}", "bold"), align="left")

    def tell(self, zh: str, en: str) -> None:
        self.console.print(Text(say(zh, en), "default"))

    def aside(self, zh: str, en: str) -> None:
        self.console.print(Text(say(zh, en), "dim"))

    def run(self, *words: str, key: str | None = None, expect: int = 0) -> None:
        """One command line; its own output follows. The key stays out of sight. Raises SystemExit when it does not end as expected."""
        self.console.print(Text("$ yunei " + " ".join(shown(word) for word in words), "cyan"))
        self.console.file.flush()
        if self._call(words, key) != expect:
            raise SystemExit(say("演示未能继续：上面的命令没有按预期结束", "the demo cannot go on: that command did not end as expected"))

    def quietly(self, *words: str) -> str:
        """One command line whose output the story does not show; returned instead."""
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            code = self._call(words, None)
        if code != 0:
            raise SystemExit(heard.getvalue())
        return heard.getvalue()

    def issue_key(self, principal: str, role: str) -> str:
        """A key as the bureau hands it out. It is shown once, so the story keeps it and shows only that it was made."""
        self.console.print(Text(f"$ yunei key issue {principal} --role {role}", "cyan"))
        found = re.search(r"yk_[a-z2-7]+_[a-z2-7]+", self.quietly("key", "issue", principal, "--role", role))
        if found is None:
            raise SystemExit(say("没有得到密钥", "no key was issued"))
        return found.group()

    def _call(self, words: tuple[str, ...], key: str | None) -> int:
        if key is not None:
            os.environ["YUNEI_KEY"] = key
        try:
            return cli.main([*words, "--lang", say.language])
        finally:
            os.environ.pop("YUNEI_KEY", None)

    @contextlib.contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        """The server as a process of its own, from the first moment, so that Ray warms up while the bureau registers its data."""
        log = (self.folder / "server.log").open("wb")
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("yunei")), "serve"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

    def until_ready(self, process: subprocess.Popen[bytes]) -> None:
        import httpx2

        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up and process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/v1/ready").status_code == 200:
                    return
            time.sleep(0.1)
        raise SystemExit((self.folder / "server.log").read_text(encoding="utf-8")[-4000:])


def shown(word: str) -> str:
    """An argument as it would be typed, paths by their last two parts."""
    if "/" in word and Path(word).is_absolute():
        word = "/".join(Path(word).parts[-2:])
    return f'"{word}"' if re.search(r"[\s*()]", word) else word
