"""What every request passes through: an opaque id, a limit on the body, headers that forbid browsers everything, and one way to fail.

Pure ASGI, so that streaming and long polls cost nothing here. Log lines carry the route's template, never a path, a query or a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable, Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import INTERNAL, REQUEST_TOO_LARGE, answer, language_of
from policies.problem import Language, Problem

log = structlog.get_logger("yunei.http")

CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS: dict[str, str] = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=(), geolocation=(), camera=(), microphone=()",
    "Cache-Control": "no-store",
}
DRAIN_BYTES = 32 * 2**20  # what is read and thrown away of a body that was refused, so that the client gets to read why
DRAIN_S = 5.0


Saw = Callable[[str, str | None, int, float], None]  # method, route template, status, seconds


class BodyTooLarge(HTTPException):
    """Raised inside `receive` once more than the limit has come in; passes through FastAPI's reading of the body untouched."""

    def __init__(self) -> None:
        super().__init__(413)


class Shell:
    """The outermost layer. `random` makes request ids; `limit` is the body limit in bytes; `saw` is told of each answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        default_language: Language,
        random: Callable[[int], bytes],
        saw: Saw | None = None,
        wider: Mapping[str, int] | None = None,
    ) -> None:
        """`wider`: paths that take larger bodies."""
        self._app = app
        self._limit = limit
        self._wider = dict(wider or {})
        self._language = default_language
        self._random = random
        self._saw = saw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        instance = self._random(8).hex()
        language = language_of(headers.get("accept-language", ""), self._language)
        scope.setdefault("state", {}).update(instance=instance, language=language)
        started = False
        status = 0
        began = time.monotonic()

        async def dressed(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                response = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    response.setdefault(name, value)
                response["X-Request-Id"] = instance
                response.add_vary_header("Accept-Language")
            await send(message)

        limit = self._wider.get(scope["path"], self._limit)
        if _declared(headers) > limit:
            await self._refuse(scope, receive, dressed, language, instance, limit)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > limit:
                    raise BodyTooLarge
            return message

        try:
            await self._app(scope, bounded, dressed)
        except BodyTooLarge:
            if not started:
                await self._refuse(scope, receive, dressed, language, instance, limit)
        except Exception as error:  # the last resort: whatever it was, its words stay here
            log.error("unexpected", request=instance, error=type(error).__name__, at=_where(error))
            if not started:
                await answer(INTERNAL(id=instance), language, instance=instance)(scope, receive, dressed)
        finally:
            route = getattr(scope.get("route"), "path", None)
            log.info("request", request=instance, method=scope["method"], route=route or "-", status=status)
            if self._saw is not None:
                self._saw(scope["method"], route, status, time.monotonic() - began)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, language: Language, instance: str, limit: int) -> None:
        """Answer 413 at once, then throw away a bounded rest: a client that is still sending would otherwise see a reset, not the answer."""
        problem: Problem = REQUEST_TOO_LARGE(limit=limit)
        response = answer(problem, language, instance=instance, headers=[("Connection", "close")])
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if Headers(scope=scope).get("expect", "").lower() != "100-continue":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    left = DRAIN_BYTES
                    while left > 0:
                        message = await receive()
                        if message["type"] != "http.request" or not message.get("more_body"):
                            break
                        left -= len(message.get("body", b""))
        await send({"type": "http.response.body", "body": b""})


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdigit() else 0


def _where(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find the fault, nothing of its words."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "-"
