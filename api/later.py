"""Endpoints that are worked out when somebody first asks for them.

What an endpoint takes and answers costs FastAPI some 3 ms to work out, and there are hundreds: together the better part of a second, on the
way of every start. To be found by its path and method a route needs none of it. The rest is worked out at the first request, or little by
little once the server is ready (`worked_out`), or all at once for the documentation; a route that cannot be is a test's to find
(`tests/unit/api/test_later.py`).
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.routing import BaseRoute, compile_path, get_name

RESTS = 4  # as many times as long as a step took, so that a fifth of the time goes into steps
_turn = threading.RLock()


class Later(APIRoute):
    """A route that knows its path, name and methods at once, and the rest of itself as soon as any of it is looked at, by whatever thread."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: set[str] | list[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        **given: Any,
    ) -> None:
        self._given = given
        self.path = path
        self.endpoint = endpoint
        self.name = name or get_name(endpoint)
        self.methods = {method.upper() for method in methods or ("GET",)}
        self.include_in_schema = include_in_schema
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    @property
    def known(self) -> bool:
        """Whether all of it has been worked out."""
        return "app" in vars(self)

    def work_out(self) -> None:
        """All of it, once. Whoever looks on sees nothing of it, or everything."""
        with _turn:
            if self.known:
                return
            whole = object.__new__(type(self))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)  # as FastAPI does: it is of how it asks for a body
                APIRoute.__init__(
                    whole, self.path, self.endpoint, methods=self.methods, name=self.name, include_in_schema=self.include_in_schema,
                    **self._given,
                )  # fmt: skip
                for field in _fields(whole):
                    field.validate(None)  # builds its checks
            vars(self).update(vars(whole))

    def __getattr__(self, name: str) -> Any:
        if "_given" in vars(self) and not self.known and not name.startswith("__"):
            self.work_out()
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def _fields(route: APIRoute) -> Iterator[Any]:
    """What a route takes and answers."""
    yield from (each for each in (route.body_field, route.response_field, *route.response_fields.values()) if each is not None)
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        yield from (*one.body_params, *one.query_params, *one.path_params, *one.header_params, *one.cookie_params)
        waiting += one.dependencies


def pages(prefix: str = "") -> APIRouter:
    """A router of pages, of which the documentation of the interface says nothing."""
    return APIRouter(prefix=prefix, include_in_schema=False, route_class=Later)


def worked_out(routes: Iterable[BaseRoute], *models: type[BaseModel]) -> Iterator[str]:
    """Works out what nobody has asked for yet, one at each step: these routes, then all kinds of these models, whose checks are built late
    (`defer_build`). Its path or name."""
    for route in routes:
        if isinstance(route, Later) and not route.known:
            route.work_out()
            yield route.path
    for model in kinds(*models):
        if model.model_rebuild():
            yield model.__name__


def little_by_little(steps: Iterator[object], rested: Callable[[float], bool]) -> None:
    """Takes these steps and rests after each, longer after a long one, so that nobody else has to wait for more than a step. `rested`: waits
    for so many seconds, and says whether to go on. A fixed rest would be nearly all of it: most steps take less than a millisecond."""
    began = time.perf_counter()
    for _ in steps:
        if not rested((time.perf_counter() - began) * RESTS):
            return
        began = time.perf_counter()


def kinds(*models: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """These and all that are made from them, as far as they are imported."""
    for model in models:
        yield model
        yield from kinds(*model.__subclasses__())
