"""Standing orders for reports: given and ended by a supervisor, kept by the server's clock."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, problems, roles
from api.schemas.reports import PairView, ReportOrderAsked, ReportOrderEnd, ReportOrders, ReportOrderView
from jobs.reports import KINDS
from jobs.reports.orders import ReportOrder, end_order, order_report, orders_of

router = APIRouter(prefix="/v1/report-orders", tags=["reports"], route_class=Guarded)
Id = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


def _view(each: ReportOrder) -> ReportOrderView:
    title = KINDS[each.kind].title
    return ReportOrderView.model_validate(
        {
            "id": each.id, "kind": each.kind, "title": PairView(zh=title.zh, en=title.en), "every": each.every, "subject": each.subject,
            "next": each.next, "state": each.state, "ordered_by": each.ordered_by, "ordered_at": each.ordered_at, "ended_by": each.ended_by,
            "reason": each.reason, "changed_at": each.changed_at, "log_index": each.entry, "kept": each.kept,
        }
    )  # fmt: skip


@router.get(
    "",
    summary="定期报告，新的在前 · Reports ordered by the clock, newest first",
    responses=problems(401, 403),
    openapi_extra=roles("report_order_list"),
)
def orders(services: Serving, visit: Annotated[Visit, door("report_order_list")]) -> ReportOrders:
    return ReportOrders(orders=[_view(each) for each in orders_of(services.register)])


@router.post(
    "",
    status_code=201,
    summary="设定定期报告：周期结束后由服务签发 · Order a report: the server issues it when each period is over",
    description="自本周期起，每周期一份；停机期间到期的，恢复后补发。 · "
    "From the present period on, one of each; what fell due while no server ran is made up for.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("report_order"),
)
def order(body: ReportOrderAsked, services: Serving, visit: Annotated[Visit, door("report_order")]) -> ReportOrderView:
    return _view(order_report(services.register, body.kind, body.every, subject=body.subject, by=visit.principal.id))


@router.post(
    "/{id}/end",
    summary="停止定期报告 · End an order",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("report_order"),
)
def end(id: Id, body: ReportOrderEnd, services: Serving, visit: Annotated[Visit, door("report_order")]) -> ReportOrderView:
    return _view(end_order(services.register, id, reason=body.reason, by=visit.principal.id))
