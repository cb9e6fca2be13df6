"""Products delivered: asked for once, written down with its fee, then fetched in as many requests as it takes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import Guarded, Visit, door
from api.files import FileAnswer
from api.later import Later
from api.product_views import delivery_view
from api.routes.common import Serving, found, problems, roles
from api.schemas.products import DeliveryAsked, DeliveryList, DeliveryView
from api.services import Services, services_of
from infra.database import reading
from jobs.events import rfc3339
from jobs.products import deliveries, seen
from jobs.products.deliveries import Delivery
from jobs.products.manifest import file_name
from jobs.products.store import Copy
from sandbox.finish.streams import FORM_TYPES, Form

router = APIRouter(tags=["products"], route_class=Guarded)
public = APIRouter(tags=["products"], route_class=Later)

_FILE = {
    media: {"schema": {"type": "string", "format": "binary"}} for media in sorted({kind.partition(";")[0] for kind in FORM_TYPES.values()})
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "文件 · the file", "content": _FILE},
    206: {"description": "其中几段 · parts of it", "content": _FILE},
    304: {"description": "未变 · not modified"},
}


@router.post(
    "/v1/products/{id}/deliveries",
    status_code=201,
    summary="申请交付：入册、计费一次，得到短期有效的链接 · Request delivery: one log entry, one fee, and a short-lived link",
    responses=problems(400, 401, 403, 404, 406, 409, 410, 413, 422),
    openapi_extra=roles("product_fetch"),
)
def deliver(id: str, body: DeliveryAsked, services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> DeliveryView:
    made, copy = deliveries.open_delivery(services.register, services.copies, id, body.version, visit.principal.id, body.format)
    return linked(services, made, copy)


def linked(services: Services, made: Delivery, copy: Copy) -> DeliveryView:
    ticket, ends = services.tickets.issue(made.entry)
    url = f"/v1/files/{ticket}/{file_name(made.product, made.version, made.form)}"
    return delivery_view(made, bytes=str(copy.bytes), url=url, expires_at=ends)


@router.get(
    "/v1/deliveries",
    summary="交付记录，新的在前 · Deliveries, newest first",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("delivery_list"),
)
def list_deliveries(
    services: Serving,
    visit: Annotated[Visit, door("delivery_list")],
    product: Annotated[str | None, Query(max_length=64, description="只要这个产品的 · only for this product")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="最多几条 · at most this many")] = 100,
) -> DeliveryList:
    with reading(services.register.engine) as connection:
        if visit.principal.role != "operator":
            made = deliveries.deliveries_of(connection, product=product, recipient=visit.only, limit=limit)
        else:
            own = {each.id for each in seen.all_products(connection, operator=visit.only)}
            if product is not None:
                own &= {product}
            made = sorted(
                (one for each in own for one in deliveries.deliveries_of(connection, product=each, limit=limit)),
                key=lambda one: -one.entry,
            )
    return DeliveryList(deliveries=[delivery_view(each) for each in made[:limit]])


@router.api_route(
    "/v1/products/{id}/table",
    methods=["GET"],
    response_class=Response,
    summary="凭密钥直接取用；一小时内的重复请求属同一次交付 · Fetch with a key; repeated requests within one hour are the same delivery",
    description="ETag 即内容的 SHA-256；支持单段与多段 Range、If-Range、If-Match、If-None-Match 和 HEAD。 · "
    "The ETag is the SHA-256 of the bytes. Ranges, one or several, If-Range, If-Match and If-None-Match are understood; HEAD too.",
    responses={**_ANSWERS, **problems(401, 403, 404, 406, 409, 410, 412, 416, 422)},
    openapi_extra=roles("product_fetch"),
)
def table(
    id: str,
    request: Request,
    services: Serving,
    visit: Annotated[Visit, door("product_fetch")],
    format: Annotated[Form, Query(description="格式；excel 为带 BOM 的 CSV · excel is CSV with a BOM")] = "parquet",
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="版本；默认为最新 · the newest by default")] = None,
) -> Response:
    builder = visit.principal.id
    if request.method == "HEAD":  # a look at it is no delivery
        with reading(services.register.engine) as connection:
            _, wanted, _ = deliveries.may_have(connection, id, version, builder, rfc3339(services.clock()))
        copy, number = services.copies.bytes_for(wanted, builder, format), wanted.number
    else:
        again_s = services.settings.delivery_again_s
        made, copy = deliveries.open_delivery(services.register, services.copies, id, version, builder, format, again_s=again_s)
        number = made.version
    return answer(request, copy, file_name(id, number, format))


router.add_api_route("/v1/products/{id}/table", table, methods=["HEAD"], include_in_schema=False, response_class=Response)


def answer(request: Request, copy: Copy, name: str) -> FileAnswer:
    kind = FORM_TYPES[copy.form]
    return FileAnswer(request.scope, copy.path, etag=f'"{copy.sha256}"', length=copy.bytes, media_type=kind, name=name)


@public.get(
    "/v1/files/{ticket}/{name}",
    response_class=Response,
    summary="凭链接取用已交付的文件 · Fetch a delivered file by its link",
    description="不需要密钥；链接短期有效，且只通向这一次交付。召回、应急处置、资格终止时立即失效。 · "
    "No key is needed. A link is good for a while and leads to one delivery; recall, freeze or the end of an entitlement stop it at once.",
    responses={**_ANSWERS, **problems(403, 404, 410, 412, 416)},
)
async def file(ticket: str, name: str, request: Request) -> Response:
    services = services_of(request)  # in the event loop, as all of it that asks no database: one thread less to wait for
    entry = services.tickets.read(ticket)
    known = services.gate.recent(entry)
    copy, named = await run_in_threadpool(services.gate.open, entry) if known is None else known
    found(named if named == name else None, "product")
    return answer(request, copy, named)


public.add_api_route("/v1/files/{ticket}/{name}", file, methods=["HEAD"], include_in_schema=False, response_class=Response)
