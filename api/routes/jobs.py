"""Jobs: ask the price, try on invented rows, submit, wait, cancel. One body for the first three."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import Guarded, Visit, door
from api.problems import REQUEST_KEY_INVALID, REQUEST_KEY_REUSED, SERVER_STARTING, SERVER_STOPPING, not_found
from api.routes.common import Serving, Speaking, problems, roles
from api.schemas import WAIT_LIMIT_S, BatchQuote, BatchRequest, DummyAnswer, JobList, JobView, Quote
from api.schemas.jobs import AnyJob
from api.services import Services
from api.views import batch_view, columns_view, job_view, quote_view
from jobs import batch, hops, lookup, quote
from jobs.acts.reviews import cancel_held
from jobs.kinds.sql import SqlRequest
from jobs.lane import sealed
from jobs.lookup import JobSeen
from jobs.order import Order, idempotency_digest
from jobs.projections import DoesNotFit
from jobs.queue import Stopping
from sandbox.finish.formats import encode

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Guarded)

_ELSEWHERE_S = 2.0  # how long to trust that this server is told of a job's end: another server on the same register may carry it


def _order(body: AnyJob, visit: Visit, idempotency: str | None = None) -> Order:
    return Order(visit.asker, body.licence, body.scenario, body.request(), idempotency)


@router.post(
    "/check",
    summary="报价：价格、预期误差与全部不予受理的理由，免费 · Quote: price, expected error and every refusal, free",
    description="不读数据，不扣预算，不留记录。 · Nothing is read, spent or logged.",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
    openapi_extra=roles("job_check"),
)
def check(body: AnyJob, services: Serving, visit: Annotated[Visit, door("job_check")]) -> Quote:
    return quote_view(quote.check(services.office, _order(body, visit)))


@router.post(
    "/check-batch",
    summary="批量报价：一个总预算分给多个查询，免费 · Batch quote: divide one total budget over many queries, free",
    description="把一个总的隐私损失分给至多 100 个查询，使相对误差平方和最小；逐个给出份额与报价。"
    "不读数据，不扣预算，不留记录；提交时各自计费。 · "
    "One privacy loss is divided over up to 100 queries so that the sum of squared relative errors is least; "
    "each gets its share and its quote. Nothing is read, spent, reserved or logged: submit each with the privacy given here.",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("job_check"),
)
def check_batch(body: BatchRequest, services: Serving, visit: Annotated[Visit, door("job_check")], language: Speaking) -> BatchQuote:
    orders = [Order(visit.asker, body.licence, body.scenario, SqlRequest(item.sql, item.ask(body.privacy))) for item in body.queries]
    entries, whole = batch.check(services.office, orders, body.privacy)
    return batch_view(entries, whole, body.privacy.delta, language)


@router.post(
    "/dummy",
    summary="试跑：虚构数据，免费 · Dummy run on invented rows, free",
    description="数据由目录虚构：列和类型与真实结果一致，数值没有意义。 · "
    "Rows are made from the catalogue alone. Right columns and types, values that mean nothing.",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
    openapi_extra=roles("job_dummy"),
)
def dummy(body: AnyJob, services: Serving, visit: Annotated[Visit, door("job_dummy")]) -> DummyAnswer:
    answer = quote.dummy(services.office, _order(body, visit))
    return DummyAnswer(columns=columns_view(answer), rows=json.loads(encode(answer.table, "json"))["rows"])


@router.post(
    "",
    status_code=202,
    summary="提交作业 · Submit a job",
    description="先在全部相关账户上预留隐私预算，再回答 202。以前发布过的同一问题直接以原结果回答，免费。 · "
    "The price is reserved on every account before 202 is answered. The same question released before is answered with the stored "
    "release, free. With an Idempotency-Key a repeated request is the same job.",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
    openapi_extra=roles("job_submit"),
)
async def submit(
    request: Request,
    response: Response,
    body: AnyJob,
    services: Serving,
    visit: Annotated[Visit, door("job_submit")],
    language: Speaking,
    idempotency_key: Annotated[
        str | None, Header(description="1 至 128 个可见 ASCII 字符，例如 UUID · 1 to 128 visible ASCII characters, for example a UUID")
    ] = None,
) -> JobView:
    digest = None
    if idempotency_key is not None:
        if not re.fullmatch(r"[\x21-\x7e]{1,128}", idempotency_key):
            raise REQUEST_KEY_INVALID()
        digest = idempotency_digest(visit.principal.id, idempotency_key)
    order = _order(body, visit, digest)
    seen = await run_in_threadpool(_same_request, services, order, visit) if digest else None
    if seen is None:
        if not services.ready.is_set():
            raise SERVER_STARTING()
        try:
            seen = await asyncio.wrap_future(services.submit_and(order, lambda job: _visible(services, job, visit)))
        except Stopping:
            raise SERVER_STOPPING() from None
        except DoesNotFit:  # the same Idempotency-Key came twice at once, and the other was first
            seen = await run_in_threadpool(_same_request, services, order, visit)
            if seen is None:
                raise
    response.headers["Location"] = f"/v1/jobs/{seen.id}"
    return job_view(seen, language)


def _same_request(services: Services, order: Order, visit: Visit) -> JobSeen | None:
    """The job that this Idempotency-Key made before, if any."""
    known = lookup.by_idempotency(services.register, order.idempotency) if order.idempotency else None
    if known is None:
        return None
    job, sealed = known
    if not order.same_as(sealed):
        raise REQUEST_KEY_REUSED()
    return _visible(services, job, visit)


def _visible(services: Services, job: str, visit: Visit) -> JobSeen:
    seen = lookup.job(services.register, job, services.clock())
    if seen is None or visit.only not in (None, seen.operator):
        raise not_found("job")
    return seen


@router.get(
    "",
    summary="作业列表，新的在前 · Jobs, newest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("job_list"),
)
def jobs(
    services: Serving,
    visit: Annotated[Visit, door("job_list")],
    language: Speaking,
    limit: Annotated[int, Query(ge=1, le=200, description="最多几条 · at most this many")] = 50,
    before: Annotated[str | None, Query(max_length=64, description="上一页的 `next` · `next` of the page before")] = None,
) -> JobList:
    seen = lookup.jobs_of(services.register, visit.only, services.clock(), before=before, limit=limit + 1)
    more = len(seen) > limit
    return JobList(jobs=[job_view(job, language) for job in seen[:limit]], next=seen[limit - 1].id if more else None)


@router.get(
    "/{id}",
    summary="查看作业，可等待其结束 · A job; may wait for its end",
    description="带 wait_s 时，作业一结束即回答，至迟等这么多秒。公开时点之前，作业一律显示为运行中。 · "
    "With wait_s the answer comes as soon as the job is over, at the latest after that many seconds. Before its public slot a job "
    "is running, without progress: how long it takes says nothing about the data.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("job_list"),
)
async def job(
    id: str,
    services: Serving,
    visit: Annotated[Visit, door("job_list")],
    language: Speaking,
    wait_s: Annotated[
        float,
        Query(ge=0, le=WAIT_LIMIT_S, allow_inf_nan=False, description="等待结束的秒数，至多 60 · seconds to wait for the end, at most 60"),
    ] = 0.0,
) -> JobView:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    with services.watch.on(id) as event:
        while True:
            event.clear()  # before looking: an end that comes after is not missed
            seen = await run_in_threadpool(_visible, services, id, visit)
            left = deadline - loop.time()
            if seen.state != "running" or left <= 0 or services.watch.stopping:
                return job_view(seen, language)
            pause = _ELSEWHERE_S if seen.over_at is None else (seen.over_at - services.clock()).total_seconds()
            await services.watch.wait(event, min(left, max(0.0, pause)))


@router.post(
    "/{id}/cancel",
    status_code=202,
    summary="取消作业；读取数据后取消不退预算 · Cancel a job; after reading the charge stays",
    responses=problems(401, 403, 404),
    openapi_extra=roles("job_cancel"),
)
def cancel(id: str, services: Serving, visit: Annotated[Visit, door("job_cancel")], language: Speaking) -> JobView:
    state = _visible(services, id, visit).state
    if state == "running":
        hops.cancel(services.office, id, visit.principal.id)
    elif state in ("held", "returned"):
        cancel_held(services.register, id, by=visit.principal.id)
        sealed.discard(services.office, id)
    return job_view(_visible(services, id, visit), language)
