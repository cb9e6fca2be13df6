"""Products renewed by schedule: set, looked at, stopped."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.products import RunView, ScheduleAsked, ScheduleList, ScheduleView
from api.services import Services
from infra.database import reading
from jobs import acts
from jobs.events import rfc3339
from jobs.order import Order
from jobs.products import schedules, seen
from jobs.products.schedules import Run, Schedule
from jobs.states import MEANING, State

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
    plain = {name: getattr(schedule, name) for name in ScheduleView.model_fields if name != "runs"}
    return ScheduleView.model_validate({**plain, "runs": [_run(run, now) for run in schedule.runs]})


def _run(run: Run, now: str) -> RunView:
    """What may be seen of its job: nothing of what it released before its public slot."""
    hidden = run.visible_at is not None and run.visible_at > now
    shown = "running" if hidden else MEANING[State(run.state)].shown
    return RunView.model_validate({"job": run.job, "state": shown, "release": None if hidden else run.release, "added": run.added})


@router.post(
    "/{id}/schedules",
    status_code=201,
    summary="数据每有新版本即制作一次，直至次数用完 · A release on each new version of its data, until the plan is used up",
    description="每次都照常审核、计价、扣减预算；同一份数据不做两次；被拒绝即停止。 · "
    "Each job is checked, priced and charged like any other; never two for the same data; a refusal stops it.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("product_make"),
)
def set_schedule(id: str, body: ScheduleAsked, services: Serving, visit: Annotated[Visit, door("product_make")]) -> ScheduleList:
    product = _own(services, id, visit)
    order = Order(visit.asker, body.job.licence, body.job.scenario, body.job.request())
    acts.set_schedule(services.register, order, product, releases_at_most=body.releases_at_most)
    return _list(services, product)


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
