"""Releases: what is known of a table that left, its bytes in four formats, its receipt."""

from __future__ import annotations

import base64
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime

from api.auth import Guarded, Visit, door
from api.problems import REQUEST_FORMAT, REQUEST_RANGE, not_found
from api.routes.common import Serving, found, problems, roles
from api.schemas import ReleaseList, ReleaseView
from api.services import Services
from api.views import release_view
from jobs import deliveries, ledger, lookup
from jobs.lookup import ReleaseSeen, Wanted
from jobs.papers import RESULTS_WITHDRAWN, withdrawn
from jobs.statements import FeeSeen, fees_of_releases
from policies.catalogue import Identifier
from policies.roles import reach
from sandbox.finish.formats import FORMATS, MEDIA_TYPES, Format

router = APIRouter(prefix="/v1/releases", tags=["releases"], route_class=Guarded)

_FILES = {
    media.partition(";")[0]: {"schema": {"type": "object"} if "json" in media else {"type": "string", "format": "binary"}}
    for media in MEDIA_TYPES.values()
}


_PAPERS = {"json": "application/json", "svg": "image/svg+xml"}


def _seen(services: Services, id: str, visit: Visit) -> ReleaseSeen:
    return found(lookup.release(services.register, id, services.clock(), operator=visit.only), "release")


@router.get(
    "",
    summary="发布结果列表，新的在前 · Releases, newest first",
    description="运营单位看到答复过自己作业的结果；数据局看到全部；数商取用的是由其制成的产品。列表中不含账户余额。 · "
    "An operator sees what answered its jobs, the bureau all; builders have products made of them. What is left of budgets is not in the list.",
    responses=problems(401, 403, 422),
    openapi_extra=roles("release_show"),
)
def releases(
    services: Serving,
    visit: Annotated[Visit, door("release_show")],
    licence: Annotated[Identifier | None, Query(description="只要这份协议的 · only for this licence")] = None,
    operator: Annotated[Identifier | None, Query(description="只要为这个运营单位作出的 · made for this operator alone")] = None,
    scenario: Annotated[Identifier | None, Query(description="只要这个场景的 · for this scenario alone")] = None,
    since: Annotated[AwareDatetime | None, Query(description="发布时间，自（含） · published at or after")] = None,
    until: Annotated[AwareDatetime | None, Query(description="发布时间，至（不含） · published before")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="最多几条 · at most this many")] = 50,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="上一页的 `next` · `next` of the page before")] = None,
) -> ReleaseList:
    wanted = Wanted(visit.only, operator, licence, scenario, since, until)
    seen = lookup.releases_of(services.register, services.clock(), wanted, before=before, limit=limit + 1)
    page = seen[:limit]
    fees = _fees(services, [each.id for each in page], visit)
    return ReleaseList(
        releases=[release_view(each, (), fees.get(each.id)) for each in page], next=page[-1].index if len(seen) > limit else None
    )


@router.get(
    "/{id}",
    summary="发布结果的说明：列、误差、支出、剩余、存证位置 · A release: columns, error, price, what is left, place in the log",
    responses=problems(401, 403, 404),
    openapi_extra=roles("release_show"),
)
def release(id: str, services: Serving, visit: Annotated[Visit, door("release_show")]) -> ReleaseView:
    seen = _seen(services, id, visit)
    own = visit.principal.role == "operator"
    balances = ledger.balances(services.register, seen.record["accounts"]) if own else ()
    return release_view(seen, balances, _fees(services, [seen.id], visit).get(seen.id))


def _fees(services: Services, ids: list[str], visit: Visit) -> dict[str, FeeSeen]:
    """What they cost, for those who may see fees: who was given an answer again did not pay for it."""
    far = reach(visit.principal.role, "fee_list")
    fees = fees_of_releases(services.register, ids) if far is not None else {}
    return {id: fee for id, fee in fees.items() if far == "all" or fee.operator == visit.principal.id}


@router.api_route(
    "/{id}/table",
    methods=["GET"],
    response_class=Response,
    summary="结果表：arrow、parquet、csv、json · The table as arrow, parquet, csv or json",
    description="ETag 即内容的 SHA-256；支持 If-None-Match、Range、If-Range 和 HEAD。 · "
    "The ETag is the SHA-256 of the bytes. If-None-Match, Range and If-Range are understood; HEAD too.",
    responses={
        200: {"description": "结果表 · the table", "content": _FILES},
        206: {"description": "其中一段 · a part of it", "content": _FILES},
        304: {"description": "未变 · not modified"},
        **problems(401, 403, 404, 406, 416, 422),
    },
    openapi_extra=roles("release_fetch"),
)
def table(
    id: str,
    request: Request,
    services: Serving,
    visit: Annotated[Visit, door("release_fetch")],
    format: Annotated[
        str | None, Query(max_length=16, description="arrow、parquet、csv 或 json；优先于 Accept · arrow, parquet, csv or json; beats Accept")
    ] = None,
    accept: Annotated[str, Header(max_length=1000)] = "*/*",
    if_none_match: Annotated[str, Header(max_length=4000)] = "",
    range: Annotated[str, Header(max_length=200)] = "",
    if_range: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    seen = _seen(services, id, visit)
    if visit.principal.role == "operator" and withdrawn(services.register, id, visit.only):
        raise RESULTS_WITHDRAWN()
    form = _format(format, accept)
    deliveries.may_take(services.register, seen, visit.principal.id, visit.principal.role)
    name = f"table.{form}"
    etag = f'"{seen.record["digests"][name]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{seen.id}.{form}"',
    }
    if _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    staged = found(services.staging.load(seen.job), "release")
    data = staged.read(name)
    part = _part(range, len(data)) if range and if_range in ("", etag) else None
    if part is None:
        return Response(data, headers=headers, media_type=MEDIA_TYPES[form])
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
    return Response(data[part.start : part.stop], status_code=206, headers=headers, media_type=MEDIA_TYPES[form])


router.add_api_route("/{id}/table", table, methods=["HEAD"], include_in_schema=False, response_class=Response)


@router.get(
    "/{id}/papers/{name}",
    response_class=Response,
    summary="随结果发布的材料，如合成数据的质量报告与图 · What was released beside the table, such as the quality of a synthetic one",
    description="名称见发布结果的 `papers`；ETag 即内容的 SHA-256。 · "
    "The release's `papers` name them; the ETag is the SHA-256 of the bytes. Pictures are SVG without script.",
    responses={
        200: {"description": "材料 · the paper", "content": {"application/json": {}, "image/svg+xml": {}}},
        304: {"description": "未变 · not modified"},
        **problems(401, 403, 404, 422),
    },
    openapi_extra=roles("release_fetch"),
)
def paper(
    id: str,
    name: str,
    services: Serving,
    visit: Annotated[Visit, door("release_fetch")],
    if_none_match: Annotated[str, Header(max_length=4000)] = "",
) -> Response:
    seen = _seen(services, id, visit)
    if visit.principal.role == "operator" and withdrawn(services.register, id, visit.only):
        raise RESULTS_WITHDRAWN()
    if name not in seen.record.get("papers", {}):
        raise not_found("paper")
    etag = f'"{seen.record["digests"][name]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    if _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    staged = found(services.staging.load(seen.job), "release")
    return Response(staged.read(name), headers=headers, media_type=_PAPERS[name.rpartition(".")[2]])


@router.get(
    "/{id}/receipt",
    response_class=Response,
    summary="回执：入册证明与签名检查点，可离线核验 · Receipt: inclusion proof and signed checkpoint; verifies offline",
    description="格式为 c2sp.org/tlog-proof；其中 `extra` 就是日志条目本身，核验不需要其他材料。 · "
    "A c2sp.org/tlog-proof; its `extra` is the log's entry itself, so that nothing else is needed to verify it.",
    responses={
        200: {"description": "回执 · the receipt", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 403, 404),
    },
    openapi_extra=roles("release_show"),
)
def receipt(id: str, services: Serving, visit: Annotated[Visit, door("release_show")]) -> Response:
    seen = _seen(services, id, visit)
    header, rest = services.register.receipt(seen.index).split("\n", 1)
    entry = base64.b64encode(services.register.entry(seen.index)).decode()
    return Response(f"{header}\nextra {entry}\n{rest}", media_type="text/plain; charset=utf-8")


def _format(asked: str | None, accept: str) -> Format:
    """`asked` by name, else the media type Accept weighs highest; csv when anything will do."""
    if asked is not None:
        for form in FORMATS:
            if form == asked:
                return form
        raise REQUEST_FORMAT(asked=asked)
    by_media: dict[str, Format] = {media.partition(";")[0]: form for form, media in MEDIA_TYPES.items()} | {
        "*/*": "csv",
        "text/*": "csv",
        "application/*": "json",
    }
    best: tuple[float, Format] | None = None
    for item in accept.split(","):
        media, _, rest = item.strip().partition(";")
        named = by_media.get(media.strip().lower())
        weight = re.search(r"(?:^|;)\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)", rest)
        value = float(weight.group(1)) if weight else 1.0
        if named is not None and value > 0 and (best is None or value > best[0]):
            best = (value, named)
    if best is None:
        raise REQUEST_FORMAT(asked=accept[:100])
    return best[1]


def _matches(if_none_match: str, etag: str) -> bool:
    """If-None-Match compares weakly (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in (item.strip().removeprefix("W/") for item in if_none_match.split(","))


def _part(header: str, length: int) -> slice | None:
    """One byte range (RFC 9110, 14.1.2); None when the header is malformed or names several: then everything is sent."""
    found_range = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*", header)
    if found_range is None or found_range.groups() == ("", ""):
        return None
    first, last = found_range.groups()
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(length, int(last) + 1) if last else length
        if last and int(last) < int(first):
            return None
    if start >= length or start >= stop:
        raise REQUEST_RANGE(length=length)
    return slice(start, stop)
