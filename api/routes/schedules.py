"""Products renewed by schedule: set, looked at, stopped."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.base import LossView
from api.schemas.schedules import (
    Continued,
    ErrorView,
    RunningAsked,
    RunningCheck,
    RunningPlanView,
    RunningQuote,
    RunningView,
    RunView,
    ScheduleAsked,
    ScheduleList,
    ScheduleView,
    WayView,
)
from api.services import Services
from api.views import accounts_view
from infra.database import reading
from jobs import acts
from jobs.events import rfc3339
from jobs.order import Order
from jobs.products import schedules, seen
from jobs.products.quoting import RunningQuoted, quoted
from jobs.products.running import Given
from jobs.products.schedules import Run, Schedule
from jobs.states import MEANING, State
from policies.loss import MAX_PICO_RHO, Loss
from policies.product.running import Running, Way

router = APIRouter(prefix="/v1/products", tags=["products"], route_class=Guarded)


def _own(services: Services, id: str, visit: Visit) -> str:
    with reading(services.register.engine) as connection:
        product = seen.product(connection, id)
    return found(product if product is not None and visit.only in (None, product.operator) else None, "product").id


def _list(services: Services, product: str) -> ScheduleList:
    now = rfc3339(services.clock())
    with reading(services.register.engine) as connection:
        return ScheduleList(schedules=[_view(each, now) for each in schedules.schedules_of(connection, product=product)])


def _view(schedule: Schedule, now: str) -> ScheduleView:
    names = [name for name in ScheduleView.model_fields if name not in ("runs", "running")]
    running, after = schedule.running, schedule.after
    view = None
    if running is not None:
        view = RunningView(**_plan(running), way=running.way, after=after, done=len(schedule.earlier))
    runs = [_run(run, now, None if running is None else period) for period, run in enumerate(schedule.periods, 1)]
    return ScheduleView.model_validate({**{name: getattr(schedule, name) for name in names}, "running": view, "runs": runs})


def _plan(running: Running) -> dict[str, Any]:
    plain = {name: getattr(running, name) for name in ("dataset", "step", "first", "periods")}
    return {**plain, "before": running.begins(running.periods + 1)}


def _run(run: Run, now: str, period: int | None) -> RunView:
    """What may be seen of its job: nothing of what it released before its public slot."""
    hidden = run.visible_at is not None and run.visible_at > now
    shown = "running" if hidden else MEANING[State(run.state)].shown
    seen_ = {"job": run.job, "state": shown, "release": None if hidden else run.release, "added": run.added, "period": period}
    return RunView.model_validate(seen_)


def _loss(pico_rho: int) -> Loss:
    return Loss(min(pico_rho, MAX_PICO_RHO))


def _quote(found: RunningQuoted) -> RunningQuote:
    plan, costs = found.plan, found.plan.costs
    at_delta = Decimal(plan.question.plan.delta)

    def way(way: Way, price: int, charges: int, charged: int, largest: float, mean: float) -> WayView:
        return WayView(
            way=way,
            price=LossView.of(_loss(price), at_delta),
            charges=charges,
            charged=LossView.of(_loss(charged), at_delta),
            in_all=LossView.of(_loss(price * costs.periods), at_delta),
            half_widths=[ErrorView(column=column, largest=width * largest, mean=width * mean) for column, width in plan.half_widths.items()],
        )

    worst, mean = costs.largest_error, costs.mean_error
    return RunningQuote(
        running=RunningPlanView(**_plan(plan.running)),
        chosen=plan.running.way,
        cheaper=costs.cheaper,
        tree=way("tree", costs.pico_rho, costs.charges, costs.tree, worst, mean),
        anew=way("anew", costs.pico_rho, costs.periods, costs.anew, 1.0, 1.0),
        anew_at_equal_error=way("anew", costs.equal_price, costs.periods, costs.equal, worst, worst),
        accounts=accounts_view(found.first.accounts),
    )


@router.post(
    "/{id}/schedules",
    status_code=201,
    summary="每有新版本或每满一期即制作一次，直至次数用完 · A release on each new version of its data, or of each period",
    description="每次都照常审核、计价、扣减预算；同一份数据不做两次；被拒绝即停止。逐期累计的各版本是已发布各期结果之和。 · "
    "Each job is checked, priced and charged like any other; never two for the same data; a refusal stops it. Versions of running totals are "
    "sums of what was released.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def set_schedule(id: str, body: ScheduleAsked, services: Serving, visit: Annotated[Visit, door("product_make")]) -> ScheduleList:
    product = _own(services, id, visit)
    order = Order(visit.asker, body.job.licence, body.job.scenario, body.job.request())
    if body.running is not None:
        acts.set_running(services.register, order, product, _given(body.running))
    else:
        acts.set_schedule(services.register, order, product, releases_at_most=body.releases_at_most or 0)
    return _list(services, product)


@router.post(
    "/{id}/schedules/check",
    summary="试算逐期累计的预算与误差：二叉树与逐次重算 · What running totals would cost, by the tree and anew",
    description="只用公开信息，不读数据、不扣预算、不记日志。 · From public facts alone: nothing is read, spent or logged.",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
    openapi_extra=roles("product_make"),
)
def check_schedule(id: str, body: RunningCheck, services: Serving, visit: Annotated[Visit, door("product_make")]) -> RunningQuote:
    _own(services, id, visit)
    order = Order(visit.asker, body.job.licence, body.job.scenario, body.job.request())
    return _quote(quoted(services.office, order, _given(body.running)))


@router.post(
    "/{id}/schedules/{schedule}/continue",
    status_code=201,
    summary="从已停止的逐期累计继续，已有各期结果继续有效 · Go on with a running total that was stopped",
    description="问题、起始期、方式和每次的预算不变；已发布的各期结果不再重算、不再扣预算。 · "
    "The same question, periods, way and price; what was released is neither asked nor charged again.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def continue_schedule(
    id: str, schedule: str, body: Continued, services: Serving, visit: Annotated[Visit, door("product_make")]
) -> ScheduleList:
    product = _own(services, id, visit)
    acts.continue_running(services.register, schedule, periods=body.periods, by=visit.asker)
    return _list(services, product)


def _given(asked: RunningAsked) -> Given:
    return Given(asked.first, asked.periods, asked.way)


@router.get(
    "/{id}/schedules",
    summary="定期制作 · Schedules",
    responses=problems(401, 403, 404),
    openapi_extra=roles("schedule_manage"),
)
def list_schedules(id: str, services: Serving, visit: Annotated[Visit, door("schedule_manage")]) -> ScheduleList:
    return _list(services, _own(services, id, visit))


@router.post(
    "/{id}/schedules/{schedule}/stop",
    summary="停止定期制作 · Stop a schedule",
    responses=problems(401, 403, 404),
    openapi_extra=roles("schedule_manage"),
)
def stop_schedule(id: str, schedule: str, services: Serving, visit: Annotated[Visit, door("schedule_manage")]) -> ScheduleList:
    product = _own(services, id, visit)
    acts.stop_schedule(services.register, schedule, by=visit.principal.id)
    return _list(services, product)
