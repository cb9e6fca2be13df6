"""Endpoints that are worked out when somebody first asks for them.

What an endpoint takes and answers costs FastAPI some 3 ms to work out, and there are hundreds: together the better part of a second, on the
way of every start. To be found by its path and method a route needs none of it. The rest is worked out at the first request, or little by
little once the server is ready (`worked_out`), or all at once for the documentation; a route that cannot be is a test's to find
(`tests/unit/api/test_later.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, compile_path, get_name

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
            APIRoute.__init__(
                whole, self.path, self.endpoint, methods=self.methods, name=self.name, include_in_schema=self.include_in_schema, **self._given
            )
            vars(self).update(vars(whole))

    def __getattr__(self, name: str) -> Any:
        if "_given" in vars(self) and not self.known and not name.startswith("__"):
            self.work_out()
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def pages(prefix: str = "") -> APIRouter:
    """A router of pages, of which the documentation of the interface says nothing."""
    return APIRouter(prefix=prefix, include_in_schema=False, route_class=Later)


def worked_out(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Works out those that nobody has asked for yet, one at each step; its path."""
    for route in routes:
        if isinstance(route, Later) and not route.known:
            route.work_out()
            yield route.path
