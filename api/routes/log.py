"""The log: checkpoint, tiles and key for anyone, entries and events for the bureau. Layout: C2SP tlog-tiles."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.auth import Guarded, Visit, door
from api.later import Later
from api.problems import not_found
from api.routes.common import Serving, problems, roles
from api.schemas import EventEntry, EventList, LogKey
from api.services import Services
from api.views import event_view

router = APIRouter(prefix="/v1/log", tags=["log"], route_class=Later)  # what is public here is hashes and signatures
bureau = APIRouter(prefix="/v1/log", tags=["log"], route_class=Guarded)

_NUMBER = r"(?:x\d{3}/)*\d{3}(?:\.p/(?:[1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]))?"
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_FOR_EVER = "public, max-age=31536000, immutable"


@router.get(
    "/key",
    summary="日志公钥 · The log's public key",
    responses=problems(),
)
def key(services: Serving) -> LogKey:
    return LogKey(origin=services.settings.log_origin, vkey=services.register.vkey)


@router.get(
    "/checkpoint",
    response_class=Response,
    summary="最新签名检查点 · The newest signed checkpoint",
    responses={200: {"description": "signed note", "content": _TEXT}, **problems()},
)
def checkpoint(services: Serving) -> Response:
    return Response(services.register.checkpoint(), media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get(
    "/witnessed",
    response_class=Response,
    summary="最新的见证方联署检查点 · The newest checkpoint that a witness cosigned",
    responses={200: {"description": "signed note", "content": _TEXT}, **problems(404)},
)
def witnessed(services: Serving) -> Response:
    note = services.register.files.witnessed()
    if note is None:
        raise not_found("tile")
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get(
    "/keys/{number}",
    response_class=Response,
    summary="公钥更换的回执 · The receipt of a change of the log's key",
    description="回执由前一公钥签名，载明后一公钥。A c2sp.org/tlog-proof signed by the key before; its `extra` announces the key after.",
    responses={200: {"description": "tlog-proof", "content": _TEXT}, **problems(404, 422)},
)
def keys(number: Annotated[int, Path(ge=0, le=9999)], services: Serving) -> Response:
    receipt = services.register.files.succession(number)
    if receipt is None:
        raise not_found("tile")
    return Response(receipt, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@bureau.get(
    "/tile/entries/{number:path}",
    response_class=Response,
    summary="日志条目 · Entries of the log",
    responses={200: {"description": "entry bundle", "content": _BINARY}, **problems(401, 403, 404)},
    openapi_extra=roles("events_read"),
)
def entries(number: str, services: Serving, visit: Annotated[Visit, door("events_read")]) -> Response:
    return _tile(services, "entries", number)


@router.get(
    "/tile/{level}/{number:path}",
    response_class=Response,
    summary="哈希瓦片 · Hash tiles",
    responses={200: {"description": "up to 256 hashes of 32 bytes", "content": _BINARY}, **problems(404)},
)
def tile(level: str, number: str, services: Serving) -> Response:
    if not re.fullmatch(r"\d|[1-5]\d|6[0-3]", level):
        raise not_found("tile")
    return _tile(services, level, number)


def _tile(services: Services, level: str, number: str) -> Response:
    """A tile's file; its name is checked before it becomes a path."""
    if not re.fullmatch(_NUMBER, number):
        raise not_found("tile")
    try:
        data = (services.register.files.folder / "tile" / level / number).read_bytes()
    except OSError:
        raise not_found("tile") from None
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": _FOR_EVER})


@bureau.get(
    "/events",
    summary="登记事件，由旧到新；给出 before 则由新到旧 · Events, oldest first; newest first with before",
    responses=problems(401, 403, 422),
    openapi_extra=roles("events_read"),
)
def events(
    services: Serving,
    visit: Annotated[Visit, door("events_read")],
    after: Annotated[
        int,
        Query(
            ge=-1, le=2**53, description="已看到的最后一条的序号；-1 表示从头开始 · index of the last event already seen; -1: from the start"
        ),
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    kind: Annotated[list[str] | None, Query(max_length=64, description="只要这些种类 · only these kinds")] = None,
    before: Annotated[
        int | None, Query(ge=0, le=2**53, description="由新到旧，从这一条之前开始 · newest first, from before this index on")
    ] = None,
) -> EventList:
    recorded = services.register.events(after, limit, tuple(kind or ()), before=before)
    return EventList(events=[event_view(event) for event in recorded], next=recorded[-1].index if len(recorded) == limit else None)


@bureau.get(
    "/events/{index}",
    summary="一条登记事件及其存证回执，可离线核验 · One event and its receipt, which verifies offline",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("events_read"),
)
def event(index: Annotated[int, Path(ge=0, le=2**53)], services: Serving, visit: Annotated[Visit, door("events_read")]) -> EventEntry:
    found = services.register.events(index - 1, 1)
    if not found or found[0].index != index:
        raise not_found("event")
    entry = services.register.entry(index)
    view = event_view(found[0])
    leaf = hashlib.sha256(b"\x00" + entry).hexdigest()
    return EventEntry(event=view, entry=base64.b64encode(entry).decode(), leaf_hash=leaf, receipt=services.register.receipt(index))
