"""Tracing a file that was found: whose copy of a product it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, problems, roles
from api.schemas.tracing import TraceAnswer, TracedRecipient, TraceView
from jobs.acts import tracing
from jobs.acts.tracing import Trace
from jobs.watermark.trace import FALSE_ACCUSATION
from policies.product import ProductId

router = APIRouter(tags=["products"], route_class=Guarded)

PATH = "/v1/traces"  # takes larger bodies than other paths: `trace_limit_bytes`
_BODY: dict[str, Any] = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "district,n\\nA,1200\\n"}},
}


@router.post(
    PATH,
    status_code=201,
    summary="追溯：文件是谁的副本 · Trace a file: whose copy it is",
    description="请求体即文件（Parquet、Arrow、CSV、JSON），列与行可不全、次序不限、数值可经取整或两份平均。误指无辜者的概率低于 limit；"
    "追溯及其结论写入日志。不知产品时与全部产品比对。 · "
    "The body is the file: Parquet, Arrow, CSV or JSON, with only some rows or columns, in any order, rounded, or two copies averaged. The "
    "probability of naming anybody innocent is below `limit`. The trace goes into the log. Without a product, all are tried.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra={**roles("product_trace"), "requestBody": _BODY},
)
async def trace(
    request: Request,
    services: Serving,
    visit: Annotated[Visit, door("product_trace")],
    product: Annotated[ProductId | None, Query(description="产品编号 · which product")] = None,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="版本 · which version")] = None,
) -> TraceAnswer:
    data = await request.body()  # after the door: nobody else's is read
    found = await run_in_threadpool(
        tracing.trace, services.register, services.marks, data, by=visit.principal.id, product=product, version=version
    )
    return TraceAnswer(limit=FALSE_ACCUSATION, traces=[_view(each) for each in found])


def _view(found: Trace) -> TraceView:
    traced = found.traced
    recipients = [
        TracedRecipient(recipient=each.recipient, accused=each.accused, score=each.score, log10_chance=each.log10_chance)
        for each in traced.recipients
    ]
    return TraceView(
        product=found.product,
        version=found.version,
        rows=traced.rows,
        found=traced.found,
        cells=traced.cells,
        accused=list(traced.accused),
        recipients=recipients,
        entry=found.entry,
    )
