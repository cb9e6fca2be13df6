"""A bureau behind its application, in this process: no workers, a clock that moves when told. For tests of who may come in."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from api import logs
from api.app import create_app
from api.services import Services
from jobs import acts
from policies.catalogue import Title
from policies.roles import ROLES
from tests.bureau import settings_in

START = datetime(2025, 6, 1, 8, 0, tzinfo=UTC)


class Hands:
    """A clock set by hand."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def move(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass(frozen=True)
class House:
    """`keys`: one per role, by its name, and `operator-2`."""

    services: Services
    clock: Hands
    keys: dict[str, str]
    http: TestClient

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx2.Response:
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        answer: httpx2.Response = self.http.request(method, path, headers=headers, follow_redirects=False, **options)
        return answer

    def code(self, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, str]:
        """Status and problem code."""
        answer = self.ask(method, path, key, **options)
        return answer.status_code, answer.json().get("code", "") if answer.content and answer.status_code >= 400 else ""


@cache
def _template() -> tuple[Path, dict[str, str]]:
    """A home with a principal and a key for each role, made once."""
    folder = Path(tempfile.mkdtemp(prefix="yunei-doors-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    services = Services.open(settings_in(folder / "home"), clock=Hands(START))
    keys = {}
    for name in (*ROLES, "operator-2"):
        role = name.partition("-")[0]
        keys[name] = acts.issue_key(services.register, name, role, title=Title(zh=name, en=name))  # type: ignore[arg-type]
    services.close()
    return folder / "home", keys


@contextmanager
def house(
    home: Path, peer: str = "203.0.113.7", start: datetime = START, base_url: str = "http://testserver", **changes: Any
) -> Iterator[House]:
    """`peer` is where requests come from, `start` what the clock says first."""
    logs.configure(quiet=True)
    clock = Hands(start)
    folder, keys = _template()
    shutil.copytree(folder, home)
    services = Services.open(settings_in(home, **changes), clock=clock, random=os.urandom)
    with TestClient(create_app(services), base_url=base_url, client=(peer, 1234), raise_server_exceptions=False) as http:
        yield House(services, clock, dict(keys), http)
    services.close()
