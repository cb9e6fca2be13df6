"""The witness as a server of its own: one ASGI application, `POST /add-checkpoint` (C2SP tlog-witness) and `GET /keys`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
import uvicorn

from infra.journal.witness import BODY_LIMIT, SIZE_TYPE, Refused
from infra.witness import Witness, WitnessHomeError

log = structlog.get_logger("yunei.witness")

Message = MutableMapping[str, Any]
Answer = tuple[int, str, bytes]
TEXT = "text/plain; charset=utf-8"


class WitnessApp:
    """`witness` decides and remembers; this speaks HTTP."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope, receive)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Message, receive: Callable[[], Awaitable[Message]]) -> Answer:
        method, path = scope["method"], scope["path"]
        if path == "/keys" and method in ("GET", "HEAD"):
            return 200, TEXT, "".join(f"{vkey}\n" for vkey in self._witness.vkeys).encode()
        if path != "/add-checkpoint":
            return 404, TEXT, b"POST /add-checkpoint or GET /keys\n"
        if method != "POST":
            return 405, TEXT, b"POST\n"
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return 400, TEXT, b"the request broke off\n"
            body += message.get("body", b"")
            if len(body) > BODY_LIMIT:
                return 413, TEXT, b"a checkpoint is small\n"
            if not message.get("more_body"):
                break
        return await asyncio.to_thread(self._judged, body)

    def _judged(self, body: bytes) -> Answer:
        try:
            lines = self._witness.add_checkpoint(body)
        except Refused as refused:
            log.warning("refused", status=refused.status, reason=refused.reason, size=refused.size)
            if refused.size is not None:
                return refused.status, SIZE_TYPE, f"{refused.size}\n".encode()
            return refused.status, TEXT, f"{refused.reason}\n".encode()
        except (sqlite3.Error, OSError, WitnessHomeError) as error:
            log.error("state_failed", error=type(error).__name__)
            return 503, TEXT, b"nothing was cosigned: the state cannot be kept\n"
        return 200, TEXT, lines.encode()


def serve(witness: Witness, host: str, port: int) -> None:
    """Until told to stop. Says where it listens, once it does."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                address = self.servers[0].sockets[0].getsockname()
                sys.stdout.write(f"见证方已就绪 · the witness is ready: http://{address[0]}:{address[1]}\n")
                sys.stdout.flush()

    config = uvicorn.Config(
        WitnessApp(witness), host=host, port=port, access_log=False, log_config=None, server_header=False, lifespan="off", interface="asgi3"
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run()
