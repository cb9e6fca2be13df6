"""A bureau behind its application, in this process: no workers, a clock that moves when told. For tests of who may come in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


class Hands:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = START

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
        answer: httpx2.Response = self.http.request(method, path, headers=headers, **options)
        return answer

    def code(self, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, str]:
        """Status and problem code."""
        answer = self.ask(method, path, key, **options)
        return answer.status_code, answer.json().get("code", "") if answer.content and answer.status_code >= 400 else ""


@contextmanager
def house(home: Path, peer: str = "203.0.113.7", **changes: Any) -> Iterator[House]:
    """`peer` is where requests come from."""
    logs.configure(quiet=True)
    clock = Hands()
    services = Services.open(settings_in(home, **changes), clock=clock, random=os.urandom)
    keys = {}
    for name in (*ROLES, "operator-2"):
        role = name.partition("-")[0]
        keys[name] = acts.issue_key(services.register, name, role, title=Title(zh=name, en=name))  # type: ignore[arg-type]
    with TestClient(create_app(services), client=(peer, 1234), raise_server_exceptions=False) as http:
        yield House(services, clock, keys, http)
    services.close()
