"""Delta Sharing: a builder's products as tables of one share, read by its clients with a profile file that holds a key.

Each query is one delivery, in the log with its fee; the requests for the file it names are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.base import Closed, example
from api.services import Services
from infra.database import reading
from jobs.acts.products import PRODUCT_VERSION
from jobs.events import rfc3339
from jobs.products import deliveries, seen
from jobs.products.manifest import file_name
from jobs.products.seen import Product, Version
from policies.product import SERVED
from policies.product.delta import SCHEMA, SHARE, Shared, SharedFile, Spelling, file_line, head_lines

router = APIRouter(prefix="/v1/sharing", tags=["products"], route_class=Guarded)

LINES = "application/x-ndjson; charset=utf-8"
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"description": "JSON 行 · lines of JSON", "content": {LINES: {"schema": {"type": "string"}}}}}
Capabilities = Annotated[str, Header(max_length=1000, description="responseformat=parquet 或 delta · parquet or delta")]


class ShareView(Closed):
    name: str


class ShareList(Closed):
    model_config = ConfigDict(json_schema_extra=example(items=[{"name": SHARE}]))

    items: list[ShareView]


class ShareOne(Closed):
    model_config = ConfigDict(json_schema_extra=example(share={"name": SHARE}))

    share: ShareView


class SchemaView(Closed):
    name: str
    share: str


class SchemaList(Closed):
    model_config = ConfigDict(json_schema_extra=example(items=[{"name": SCHEMA, "share": SHARE}]))

    items: list[SchemaView]


class TableView(Closed):
    """A product. `schema` is written so in the protocol."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    schema_: str = Field(alias="schema")
    share: str
    id: str


class TableList(Closed):
    items: list[TableView]


class TableQuery(BaseModel):
    """Of what the protocol knows: `version` or `timestamp` of an earlier version. Hints may be given and are not followed: a version is one
    file. What else a client sends is passed over, as the protocol asks."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=example(limitHint=1000))

    predicateHints: list[str] | None = Field(default=None, max_length=1000)
    jsonPredicateHints: str | None = Field(default=None, max_length=100_000)
    limitHint: int | None = Field(default=None, ge=0)
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    timestamp: AwareDatetime | None = None


def _tables(services: Services, visit: Visit) -> list[Product]:
    """What this builder is entitled to and may have now."""
    with reading(services.register.engine) as connection:
        now = rfc3339(services.clock())
        mine = {each.product for each in seen.entitlements_of(connection, builder=visit.principal.id) if each.holds_at(now)}
        return [each for each in seen.all_products(connection, states=SERVED) if each.id in mine and each.version() is not None]


def _share(name: str, schema: str = SCHEMA) -> None:
    there = name.casefold() == SHARE and schema.casefold() == SCHEMA
    found(True if there else None, "product")


@router.get(
    "/shares", summary="Delta Sharing：共享 · Delta Sharing: shares", responses=problems(401, 403), openapi_extra=roles("product_fetch")
)
def shares(services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> ShareList:
    return ShareList(items=[ShareView(name=SHARE)])


@router.get(
    "/shares/{share}",
    summary="Delta Sharing：一个共享 · Delta Sharing: one share",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_fetch"),
)
def share(share: str, services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> ShareOne:
    _share(share)
    return ShareOne(share=ShareView(name=SHARE))


@router.get(
    "/shares/{share}/schemas",
    summary="Delta Sharing：模式 · Delta Sharing: schemas",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_fetch"),
)
def schemas(share: str, services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> SchemaList:
    _share(share)
    return SchemaList(items=[SchemaView(name=SCHEMA, share=SHARE)])


@router.get(
    "/shares/{share}/schemas/{schema}/tables",
    summary="Delta Sharing：可取用的产品 · Delta Sharing: products one is entitled to",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_fetch"),
)
def tables(share: str, schema: str, services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> TableList:
    _share(share, schema)
    return TableList(
        items=[
            TableView(name=each.id, schema_=SCHEMA, share=SHARE, id=_shared(each, each.versions[-1]).id) for each in _tables(services, visit)
        ]
    )


@router.get(
    "/shares/{share}/all-tables",
    summary="Delta Sharing：全部产品 · Delta Sharing: all products",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_fetch"),
)
def all_tables(share: str, services: Serving, visit: Annotated[Visit, door("product_fetch")]) -> TableList:
    return tables(share, SCHEMA, services, visit)


def _wanted(services: Services, visit: Visit, table: str, version: int | None = None, at: datetime | None = None) -> tuple[Product, Version]:
    """That version; the newest that was there at `at`; else the newest that stands."""
    name, builder, now = table.casefold(), visit.principal.id, rfc3339(services.clock())
    with reading(services.register.engine) as connection:
        if at is not None and version is None:
            product, _, _ = deliveries.may_have(connection, name, None, builder, now)
            earlier = [each.number for each in product.versions if each.added_at <= rfc3339(at) and each.state == "current"]
            if not earlier:
                raise PRODUCT_VERSION(product=name, version=rfc3339(at))
            version = earlier[-1]
        product, wanted, _ = deliveries.may_have(connection, name, version, builder, now)
    return product, wanted


@router.get(
    "/shares/{share}/schemas/{schema}/tables/{table}/version",
    response_class=Response,
    summary="Delta Sharing：版本号，在应答头中 · Delta Sharing: the version, in a header",
    responses={200: {"description": "delta-table-version"}, **problems(401, 403, 404, 410, 422)},
    openapi_extra=roles("product_fetch"),
)
def version(
    share: str,
    schema: str,
    table: str,
    services: Serving,
    visit: Annotated[Visit, door("product_fetch")],
    since: Annotated[AwareDatetime | None, Query(alias="startingTimestamp", description="此时或之后的第一版 · the first at or after")] = None,
) -> Response:
    _share(share, schema)
    product, wanted = _wanted(services, visit, table)
    if since is not None:
        later = [each for each in product.versions if each.added_at >= rfc3339(since) and each.state == "current"]
        if not later:
            raise PRODUCT_VERSION(product=product.id, version=rfc3339(since))
        wanted = later[0]
    return Response(headers={"delta-table-version": str(wanted.number)})


@router.get(
    "/shares/{share}/schemas/{schema}/tables/{table}/metadata",
    response_class=Response,
    summary="Delta Sharing：列与说明 · Delta Sharing: columns and description",
    responses={**_ANSWER, **problems(401, 403, 404, 410, 422)},
    openapi_extra=roles("product_fetch"),
)
def metadata(
    share: str,
    schema: str,
    table: str,
    services: Serving,
    visit: Annotated[Visit, door("product_fetch")],
    delta_sharing_capabilities: Capabilities = "",
) -> Response:
    _share(share, schema)
    product, wanted = _wanted(services, visit, table)
    spelling = _spelling(delta_sharing_capabilities)
    return _lines(head_lines(_shared(product, wanted), spelling), wanted, spelling)


@router.post(
    "/shares/{share}/schemas/{schema}/tables/{table}/query",
    response_class=Response,
    summary="Delta Sharing：查询，即一次交付 · Delta Sharing: a query, which is one delivery",
    responses={**_ANSWER, **problems(400, 401, 403, 404, 406, 409, 410, 413, 422)},
    openapi_extra=roles("product_fetch"),
)
def query(
    share: str,
    schema: str,
    table: str,
    body: TableQuery,
    request: Request,
    services: Serving,
    visit: Annotated[Visit, door("product_fetch")],
    delta_sharing_capabilities: Capabilities = "",
) -> Response:
    _share(share, schema)
    product, wanted = _wanted(services, visit, table, body.version, body.timestamp)
    made, copy = deliveries.open_delivery(services.register, services.copies, product.id, wanted.number, visit.principal.id, "parquet")
    ticket, ends = services.tickets.issue(made.entry)
    base = services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    url = f"{base}/v1/files/{ticket}/{file_name(product.id, wanted.number, 'parquet')}"
    shared, spelling = _shared(product, wanted), _spelling(delta_sharing_capabilities)
    if spelling == "delta":
        url += "?sp=r"  # delta-kernel takes an address for a signed one by this parameter of Azure's, and for a path of its own store else
    file = SharedFile(url, copy.sha256, copy.bytes, int(ends.timestamp() * 1000))
    return _lines([*head_lines(shared, spelling, copy.bytes), file_line(shared, file, spelling)], wanted, spelling)


def _spelling(capabilities: str) -> Spelling:
    """`delta` only for those who take nothing else."""
    formats = [
        form.strip().casefold()
        for part in capabilities.split(";")
        if part.strip().casefold().startswith("responseformat=")
        for form in part.partition("=")[2].split(",")
    ]
    return "delta" if formats == ["delta"] else "parquet"


def _shared(product: Product, version: Version) -> Shared:
    description = product.description
    columns = tuple((column["name"], column["type"]) for column in version.document["table"]["columns"])
    added_ms = int(datetime.fromisoformat(version.added_at).timestamp() * 1000)
    return Shared(product.id, description.title.zh, description.about.zh, version.number, columns, version.rows, added_ms)


def _lines(lines: Iterable[dict[str, Any]], version: Version, spelling: Spelling) -> Response:
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    headers = {"delta-table-version": str(version.number), "delta-sharing-capabilities": f"responseformat={spelling}"}
    return Response(text, headers=headers, media_type=LINES)
