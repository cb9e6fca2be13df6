"""Endpoints that are worked out when they are first asked for: found at once, the same as any other, once by whatever threads."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api import later
from api.app import create_app
from api.auth import Guarded
from api.later import RESTS, Later, kinds, little_by_little, pages, worked_out
from api.schemas import Closed
from policies.model import Model

FRESH = """
import api.server
from api.app import create_app
from api.later import kinds
from api.schemas import Closed
from policies.model import Model
routes = create_app(None).routes
models = [each for each in kinds(Closed, Model) if each.__module__.startswith(("api.schemas", "jobs.events"))]
built = [each.__name__ for each in models if each.__pydantic_complete__]
print(len(routes), len(models), *(route.path for route in routes if route.known), *built)
"""


def a_router(route_class: type[APIRoute] = Later) -> APIRouter:
    router = APIRouter(prefix="/x", tags=["x"], route_class=route_class)

    @router.get("/{number}", summary="double")
    def double(number: int, more: Annotated[int, Depends(lambda: 1)], times: int = 2) -> dict[str, int]:
        return {"is": number * times + more}

    @router.post("/{number}", status_code=201)
    def none(number: int) -> None: ...

    return router


def test_a_server_works_out_no_endpoint_and_no_event_before_it_is_asked() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True, timeout=300)
    routes, models, *known = done.stdout.split()
    assert int(routes) > 250
    assert int(models) > 300
    assert set(known) <= {"Facts"}, "of which one is made at import, for a default"


def test_what_endpoints_are_handed_is_handed_over_without_a_thread() -> None:
    """FastAPI runs a plain function in a thread of its own, and a change of threads takes longer than any of these, while jobs compute most."""
    waiting = [route.dependant for route in create_app(None).routes if isinstance(route, APIRoute)]
    seen = set()
    while waiting:
        for each in waiting.pop().dependencies:
            waiting.append(each)
            assert each.call is not None
            seen.add(each.call)
            call = each.call if inspect.isfunction(each.call) else type(each.call).__call__
            assert inspect.iscoroutinefunction(call), call
    assert len(seen) > 100, "the doors, the services, the language"


def test_every_endpoint_can_be_worked_out() -> None:
    routes = create_app(None).routes
    assert all(isinstance(route, Later) for route in routes)
    list(worked_out(routes))
    assert all(isinstance(route, Later) and route.known for route in routes)
    assert list(worked_out(routes)) == [], "each once"


def test_it_answers_and_is_documented_like_any_other() -> None:
    apps = []
    for kind in (Later, APIRoute):
        app = FastAPI(routes=a_router(kind).routes)
        client = TestClient(app)
        answers = [client.get("/x/3?times=4"), client.get("/x/a"), client.post("/x/1"), client.put("/x/1"), client.get("/y")]
        apps.append(([(each.status_code, each.json()) for each in answers], app.openapi()))
    assert apps[0] == apps[1]
    assert [status for status, _ in apps[0][0]] == [200, 422, 201, 405, 404]


def test_one_request_works_out_one_endpoint() -> None:
    app = FastAPI(routes=a_router().routes)
    first, second = (route for route in app.routes if isinstance(route, Later))
    TestClient(app).get("/x/1")
    assert (first.known, second.known) == (True, False)
    assert second.tags == ["x"], "looking at any of it works it out"
    assert second.known
    with pytest.raises(AttributeError, match="nothing"):
        _ = second.nothing  # type: ignore[attr-defined]


def test_many_threads_work_it_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (route, _) = a_router().routes
    assert isinstance(route, Later)
    begun, made = threading.Barrier(8), []
    whole = APIRoute.__init__

    def counted(self: APIRoute, *arguments: object, **given: object) -> None:
        made.append(self)
        time.sleep(0.02)  # others come meanwhile
        whole(self, *arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(APIRoute, "__init__", counted)
    seen: list[object] = []

    def look() -> None:
        begun.wait()
        seen.append(route.app)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert seen == [route.app] * 8


def test_a_route_without_a_door_answers_nobody() -> None:
    router = APIRouter(route_class=Guarded)

    @router.get("/open")
    def opened() -> dict[str, str]:
        return {}

    client = TestClient(FastAPI(routes=router.routes))
    with pytest.raises(RuntimeError, match="0 doors"):
        client.get("/open")
    with pytest.raises(RuntimeError, match="0 doors"):
        list(worked_out(router.routes))


def test_pages_are_not_documented() -> None:
    router = pages("/page")
    router.get("/")(lambda: "page")
    assert FastAPI(routes=router.routes).openapi()["paths"] == {}


def test_every_kind_of_model_can_be_built() -> None:
    models = set(kinds(Closed, Model))
    assert len(models) > 350
    list(worked_out((), Closed, Model))
    assert [each for each in models if not each.__pydantic_complete__] == []
    assert list(worked_out((), Closed, Model)) == [], "each once"


def test_steps_are_rested_from_as_they_were_long_until_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(later, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    taken: list[float] = []
    rests: list[float] = []

    def steps() -> Iterator[float]:
        for seconds in (0.25, 0.5, 0.0, 1.0):
            now[0] += seconds
            taken.append(seconds)
            yield seconds

    def rested(seconds: float) -> bool:
        rests.append(seconds)
        now[0] += seconds  # which is not to be taken for work
        return len(rests) < 3

    little_by_little(steps(), rested)
    assert taken == [0.25, 0.5, 0.0], "the fourth is not taken any more"
    assert rests == [0.25 * RESTS, 0.5 * RESTS, 0.0]
