from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import uvicorn

from api import logs
from api.app import create_app
from api.services import ClosablePool, Services
from infra.workers import Workers
from tests.bureau import Bureau, Home, opened


class Borrowed:
    """The session's Ray workers, which a server must not close."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workers, name)

    def close(self) -> None:
        """They are the session's."""


@dataclass(frozen=True)
class Live(Bureau):
    """A bureau behind real HTTP."""

    url: str
    http: httpx2.Client


@contextmanager
def listening(services: Services) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(services), host="127.0.0.1", port=0, log_config=None, access_log=False, server_header=False, proxy_headers=False
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    services.stopping()
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def live(bureau_home: Home, workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Real HTTP, real Ray, real files; one for all tests of a module."""
    home: Path = tmp_path_factory.mktemp("live") / "home"
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(home)
    quiet = {"refusals_window_s": 3600}  # what is counted meanwhile is told after the tests, which look at the log's size
    services = opened(home, workers=cast(ClosablePool, Borrowed(workers)), **quiet)
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Live(services, keys, url, http)
    services.close()
