"""Data products: made by operators, registered by the bureau, found and fetched by builders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api.auth import Guarded, Visit, door
from api.product_views import columns_view, entitlement_view, product_view
from api.routes.common import Serving, found, problems, roles
from api.schemas import Proposed
from api.schemas.products import (
    DeprecationGiven,
    EntitlementEnd,
    EntitlementGiven,
    EntitlementList,
    Envelope,
    ProductDraft,
    ProductList,
    ProductPreview,
    ProductSaid,
    ProductView,
    RecallGiven,
    RegistrationGiven,
    ReleasesGiven,
)
from api.services import Services
from infra.database import reading
from jobs import acts
from jobs.events import rfc3339
from jobs.products import seen, shelf
from jobs.products.manifest import manifest, metadata
from jobs.products.seen import Product, Version
from policies.licence import Identifier
from policies.product import SHOWN, Description

router = APIRouter(prefix="/v1/products", tags=["products"], route_class=Guarded)

Number = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="版本；默认为最新 · which version; the newest by default")]


def _seen(services: Services, id: str, visit: Visit) -> Product:
    """A product this caller may see: its own operator's, for builders those on the shelf."""
    with reading(services.register.engine) as connection:
        product = seen.product(connection, id)
    there = product is not None and (product.state in SHOWN if visit.principal.role == "builder" else visit.only in (None, product.operator))
    return found(product if there else None, "product")


def _version(product: Product, number: int | None) -> Version:
    """That version; the newest that stands, or the newest of all when none does."""
    wanted = product.version(number)
    return found(wanted or (product.versions[-1] if number is None and product.versions else None), "product")


def _view(services: Services, product: Product, visit: Visit) -> ProductView:
    now = services.clock()
    with reading(services.register.engine) as connection:
        return product_view(connection, services.copies, product, now, entitled=_entitled(connection, product, visit, rfc3339(now)))


def _entitled(connection: Any, product: Product, visit: Visit, at: str) -> bool | None:
    if visit.principal.role != "builder":
        return None
    held = seen.entitlement(connection, product.id, visit.principal.id)
    return held is not None and held.holds_at(at)


@router.get(
    "",
    summary="数据产品目录，可检索 · The catalogue of products, to be searched",
    description="运营单位看到自己的产品；数商看到上架过的产品；中文按相邻两字匹配，最相关的在前。 · "
    "An operator sees its own; builders see what was published. Chinese by pairs of characters. Best first.",
    responses=problems(401, 403, 422),
    openapi_extra=roles("product_list"),
)
def products(
    services: Serving,
    visit: Annotated[Visit, door("product_list")],
    q: Annotated[str, Query(max_length=200, description="检索词；默认为全部 · search words; all by default")] = "",
    limit: Annotated[int | None, Query(ge=1, le=200, description="最多几条；默认为全部 · at most this many; else all")] = None,
    after: Annotated[Identifier | None, Query(description="上一页的 `next` · `next` of the page before")] = None,
) -> ProductList:
    states = SHOWN if visit.principal.role == "builder" else None
    now = services.clock()
    with reading(services.register.engine) as connection:
        more = None if limit is None else limit + 1
        if q.strip():
            there = shelf.search(seen.all_products(connection, operator=visit.only, states=states), q)
            start = next((place + 1 for place, each in enumerate(there) if each.id == after), 0)
            there = there[start : None if more is None else start + more]
        else:
            there = seen.all_products(connection, operator=visit.only, states=states, after=after, limit=more)
        return ProductList(
            products=[
                product_view(connection, services.copies, each, now, entitled=_entitled(connection, each, visit, rfc3339(now)), whole=False)
                for each in there[:limit]
            ],
            next=None if limit is None or len(there) <= limit else there[limit - 1].id,
        )


@router.post(
    "",
    status_code=201,
    summary="起草产品 · Draft a product",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def draft(body: ProductDraft, services: Serving, visit: Annotated[Visit, door("product_make")]) -> ProductView:
    acts.draft_product(services.register, Description.model_validate(body.model_dump()), by=visit.principal.id)
    return _view(services, _seen(services, body.id, visit), visit)


@router.get(
    "/{id}",
    summary="一个产品：版本、列、来源与获取日期、质量、价格 · One product: versions, columns, sources, quality, price",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_list"),
)
def product(id: str, services: Serving, visit: Annotated[Visit, door("product_list")]) -> ProductView:
    return _view(services, _seen(services, id, visit), visit)


@router.put(
    "/{id}/description",
    summary="修改草稿的说明；登记的是最后一次所写 · Say something else of a draft; what was said last is what is registered",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def describe(id: str, body: ProductSaid, services: Serving, visit: Annotated[Visit, door("product_make")]) -> ProductView:
    _seen(services, id, visit)
    acts.describe_product(services.register, Description.model_validate({**body.model_dump(), "id": id}), by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.post(
    "/{id}/versions",
    status_code=201,
    summary="以发布结果加入一个版本；列须相同 · Add a version made of releases, of the same columns",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def add_version(id: str, body: ReleasesGiven, services: Serving, visit: Annotated[Visit, door("product_make")]) -> ProductView:
    _seen(services, id, visit)
    acts.add_version(services.register, services.staging, services.copies, id, body.releases, by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.post(
    "/{id}/propose",
    summary="提议登记（第一人）；来源含重要数据时须两人 · Propose its registration: the first of two, where a source is important",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("product_register"),
)
def propose(id: str, services: Serving, visit: Annotated[Visit, door("product_register")]) -> Proposed:
    _seen(services, id, visit)
    return Proposed(proposal=acts.propose_registration(services.register, id, by=visit.principal.id))


@router.post(
    "/{id}/register",
    summary="登记并赋码 · Register it, and give it its code",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_register"),
)
def register(id: str, body: RegistrationGiven, services: Serving, visit: Annotated[Visit, door("product_register")]) -> ProductView:
    _seen(services, id, visit)
    acts.register_product(services.register, id, proposal=body.proposal, by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.post(
    "/{id}/publish",
    summary="上架 · Publish",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("product_publish"),
)
def publish(id: str, services: Serving, visit: Annotated[Visit, door("product_publish")]) -> ProductView:
    _seen(services, id, visit)
    acts.publish_product(services.register, id, by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.post(
    "/{id}/deprecate",
    summary="不再更新；已有资格者仍可取用 · Deprecate: those entitled go on fetching it",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_deprecate"),
)
def deprecate(id: str, body: DeprecationGiven, services: Serving, visit: Annotated[Visit, door("product_deprecate")]) -> ProductView:
    _seen(services, id, visit)
    acts.deprecate_product(services.register, id, reason=body.reason, successor=body.successor, by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.post(
    "/{id}/recall",
    summary="召回产品或一个版本，立即停止交付 · Recall it, or one version: no delivery from now on",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_recall"),
)
def recall(id: str, body: RecallGiven, services: Serving, visit: Annotated[Visit, door("product_recall")]) -> ProductView:
    _seen(services, id, visit)
    acts.recall_product(services.register, id, reason=body.reason, version=body.version, by=visit.principal.id)
    return _view(services, _seen(services, id, visit), visit)


@router.get(
    "/{id}/entitlements",
    summary="取用资格 · Who is entitled",
    responses=problems(401, 403, 404),
    openapi_extra=roles("product_entitle"),
)
def entitlements(id: str, services: Serving, visit: Annotated[Visit, door("product_entitle")]) -> EntitlementList:
    return _entitlements(services, _seen(services, id, visit).id)


def _entitlements(services: Services, id: str) -> EntitlementList:
    with reading(services.register.engine) as connection:
        return EntitlementList(entitlements=[entitlement_view(each) for each in seen.entitlements_of(connection, product=id)])


@router.post(
    "/{id}/entitlements",
    summary="授予数商取用资格，或改其条件 · Entitle a builder, or change on which terms",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_entitle"),
)
def entitle(id: str, body: EntitlementGiven, services: Serving, visit: Annotated[Visit, door("product_entitle")]) -> EntitlementList:
    _seen(services, id, visit)
    terms = {"until": body.until, "deliveries_a_month": body.deliveries_a_month}
    acts.entitle_builder(services.register, id, body.builder, **terms, by=visit.principal.id)  # type: ignore[arg-type]  # one dict, two types
    return _entitlements(services, id)


@router.post(
    "/{id}/entitlements/end",
    summary="终止取用资格，立即生效 · End an entitlement, at once",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_entitle"),
)
def disentitle(id: str, body: EntitlementEnd, services: Serving, visit: Annotated[Visit, door("product_entitle")]) -> EntitlementList:
    _seen(services, id, visit)
    acts.end_entitlement(services.register, id, body.builder, reason=body.reason, by=visit.principal.id)
    return _entitlements(services, id)


@router.get(
    "/{id}/preview",
    summary="预览：已发布表的前几行 · A first look: some rows of the released table",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("product_list"),
)
def preview(id: str, services: Serving, visit: Annotated[Visit, door("product_list")], version: Number = None) -> ProductPreview:
    wanted = _version(_seen(services, id, visit), version)
    rows = shelf.preview(services.copies, wanted) if wanted.state == "current" else []
    return ProductPreview(version=wanted.number, columns=columns_view(wanted), rows=rows, of=wanted.rows)


@router.get(
    "/{id}/manifest",
    summary="凭证清单：DSSE 封装的 in-toto 声明，可离线核验 · The manifest: an in-toto Statement in DSSE; verifies offline",
    description="对数商，所列文件是已交付给它的；对其他人，是发布时的文件。 · "
    "For a builder it names the files made for it; for others, those that were released.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("product_list"),
)
def manifest_of(id: str, services: Serving, visit: Annotated[Visit, door("product_list")], version: Number = None) -> Envelope:
    product = _seen(services, id, visit)
    wanted = _version(product, version)
    recipient = visit.principal.id if visit.principal.role == "builder" else None
    held = services.copies.held(wanted, recipient)
    return Envelope.model_validate(manifest(services.register, product, wanted, held, recipient))


@router.get(
    "/{id}/metadata",
    response_class=Response,
    summary="元数据：Croissant 或 DCAT/PROV（JSON-LD） · Metadata: Croissant, or DCAT with PROV, in JSON-LD",
    responses={
        200: {"description": "元数据 · the metadata", "content": {"application/ld+json": {"schema": {"type": "object"}}}},
        **problems(401, 403, 404, 422),
    },
    openapi_extra=roles("product_list"),
)
def metadata_of(
    id: str,
    services: Serving,
    visit: Annotated[Visit, door("product_list")],
    format: Annotated[Literal["croissant", "dcat"], Query(description="格式 · format")] = "croissant",
    version: Number = None,
) -> Response:
    product = _seen(services, id, visit)
    wanted = _version(product, version)
    held = services.copies.held(wanted, visit.principal.id if visit.principal.role == "builder" else None)
    return Response(metadata(services.register, product, wanted, held)[format], media_type="application/ld+json")
