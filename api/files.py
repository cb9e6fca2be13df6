"""A file over HTTP: ranges, preconditions, HEAD, streamed in pieces, whatever its length.

The ETag is the SHA-256 of all its bytes, strong. What is held in memory per request is two pieces: one being sent, one being read.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.problems import REQUEST_PRECONDITION, REQUEST_RANGE
from api.ranges import Parts, matches, parts_of

PIECE_BYTES = 1 << 20
SMALL_BYTES = 1 << 16  # read at once, in the event loop: it costs less than asking a thread


class FileAnswer(Response):
    """Answers GET and HEAD with the file at `path`, of `length` bytes. Raises REQUEST_PRECONDITION (412) and REQUEST_RANGE (416) when it
    is made."""

    def __init__(
        self, scope: Scope, path: Path, *, etag: str, length: int, media_type: str, name: str, cache: str = "private, no-cache"
    ) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        self._path = path
        self._parts: Parts = [(0, length)]
        self._boundary = ""
        self._kind = media_type
        self._length = length
        self._send_body = scope["method"] != "HEAD"
        told = {
            "etag": etag,
            "accept-ranges": "bytes",
            "cache-control": cache,
            "content-disposition": f'attachment; filename="{name}"',
        }
        status = self._decide(headers, etag, scope["method"])
        if status == 304:
            self._parts = []
        else:
            told |= self._content(status)
        super().__init__(status_code=status, headers=None)
        self.raw_headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in told.items()]

    def _decide(self, headers: dict[str, str], etag: str, method: str) -> int:
        """RFC 9110, 13.2.2, in its order."""
        if "if-match" in headers and not matches(headers["if-match"], etag, weakly=False):
            raise REQUEST_PRECONDITION()
        if "if-none-match" in headers and matches(headers["if-none-match"], etag, weakly=True):
            return 304
        asked = headers.get("range")
        if asked is None or method != "GET" or headers.get("if-range", etag).strip() != etag:
            return 200
        parts = parts_of(asked, self._length)
        if parts is None:
            return 200
        if not parts:
            raise REQUEST_RANGE(length=self._length)
        self._parts = parts
        return 206

    def _content(self, status: int) -> dict[str, str]:
        if len(self._parts) == 1:
            start, stop = self._parts[0]
            told = {"content-type": self._kind, "content-length": str(stop - start)}
            return told | ({"content-range": f"bytes {start}-{stop - 1}/{self._length}"} if status == 206 else {})
        self._boundary = os.urandom(12).hex()  # must not stand in the content: nobody can have foreseen it
        length = sum(len(self._head(part)) + part[1] - part[0] for part in self._parts) + len(self._tail)
        return {"content-type": f"multipart/byteranges; boundary={self._boundary}", "content-length": str(length)}

    def _head(self, part: tuple[int, int]) -> bytes:
        if not self._boundary:
            return b""
        start, stop = part
        text = f"\r\n--{self._boundary}\r\nContent-Type: {self._kind}\r\nContent-Range: bytes {start}-{stop - 1}/{self._length}\r\n\r\n"
        return text.encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode() if self._boundary else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        empty = not self._send_body or all(start == stop for start, stop in self._parts)
        file = -1 if empty else os.open(self._path, os.O_RDONLY)  # before the answer begins: a file that is gone is no short answer
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not empty:
                await self._stream(file, receive, send)
            await send({"type": "http.response.body", "body": b"" if empty else self._tail})
        finally:
            if file >= 0:
                os.close(file)

    async def _stream(self, file: int, receive: Receive, send: Send) -> None:
        gone: asyncio.Task[None] | None = None
        if sum(stop - start for start, stop in self._parts) > PIECE_BYTES:
            gone = asyncio.create_task(_disconnected(receive))  # the server would let us send on to nobody
        try:
            for part in self._parts:
                if self._boundary:
                    await send({"type": "http.response.body", "body": self._head(part), "more_body": True})
                await _send_part(file, part, send, gone)
        finally:
            if gone is not None:
                gone.cancel()


async def _send_part(file: int, part: tuple[int, int], send: Send, gone: asyncio.Task[None] | None) -> None:
    start, stop = part
    if stop - start <= SMALL_BYTES:
        await send({"type": "http.response.body", "body": _read(file, stop - start, start), "more_body": True})
        return
    loop = asyncio.get_running_loop()
    ahead = loop.run_in_executor(None, _read, file, min(PIECE_BYTES, stop - start), start)
    try:
        while start < stop and not (gone is not None and gone.done()):
            piece = await asyncio.shield(ahead)
            start += len(piece)
            if start < stop:
                ahead = loop.run_in_executor(None, _read, file, min(PIECE_BYTES, stop - start), start)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        if not ahead.done():  # the file is closed next: nobody may be reading it any more
            await asyncio.wait([ahead])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _read(file: int, count: int, at: int) -> bytes:
    data = os.pread(file, count, at)
    if len(data) != count:
        raise OSError("a file became shorter while it was sent")
    return data
