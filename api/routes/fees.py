"""Fees, statements, revenue, and closing a period. Prices and shares are the licence's tariff's; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.auth import Guarded, Visit, admit, door
from api.fee_views import fee_view, revenue_view, statement_view, yuan
from api.routes.common import Serving, found, problems, roles
from api.schemas import FeeList, PeriodClosedView, PeriodClosing, RevenueList, StatementList
from api.services import Services
from jobs import statements
from jobs.acts.periods import close_period
from jobs.statements import Statement
from policies.catalogue import Identifier
from policies.period import PATTERN, Period

router = APIRouter(prefix="/v1", tags=["fees"], route_class=Guarded)

_PERIOD = "按年 2026、按季 2026-Q4 或按月 2026-11 · a year, quarter or month: 2026, 2026-Q4, 2026-11"
Within = Annotated[str, Query(pattern=PATTERN, description=_PERIOD)]
_SHARES = "并列出这些对账单的收益分配，须有查看的权限 · also the shares of revenue by body, for those who may see them"
OfLicence = Annotated[Identifier | None, Query(description="只要这份协议的 · only for this licence")]


@router.get(
    "/fees",
    summary="费用，新的在前 · Fees, newest first",
    description="运营单位只能看到自己协议下的费用；数据主管部门可以看到全部。费用与发布结果同时可见。 · "
    "An operator sees the fees under its licences; the bureau sees all. A fee is seen when its release is.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("fee_list"),
)
def fees(
    services: Serving,
    visit: Annotated[Visit, door("fee_list")],
    licence: OfLicence = None,
    period: Annotated[str | None, Query(pattern=PATTERN, description="结算周期 · settlement period")] = None,
    release: Annotated[Identifier | None, Query(description="只要这次发布的 · only for this release")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="最多几条 · at most this many")] = 50,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="上一页的 `next` · `next` of the page before")] = None,
) -> FeeList:
    _own(services, licence, visit)
    seen = statements.fees_of(
        services.register,
        services.clock(),
        operator=visit.only,
        licence=licence,
        period=period,
        release=release,
        before=before,
        limit=limit + 1,
    )
    more = len(seen) > limit
    return FeeList(fees=[fee_view(fee) for fee in seen[:limit]], next=seen[limit - 1].index if more else None)


@router.get(
    "/statements",
    summary="对账单：按协议与结算周期 · Statements, by licence and settlement period",
    description="所列各周期都在 `period` 之内；尚未关账的，按现在关账计算。 · "
    "Every settlement period that lies within `period`; one that is not closed yet is told as closing it now would come to.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("statement_show"),
)
def statement_list(
    services: Serving,
    visit: Annotated[Visit, door("statement_show")],
    period: Within,
    licence: OfLicence = None,
    revenue: Annotated[bool, Query(description=_SHARES)] = False,
) -> StatementList:
    if revenue:
        admit(visit.caller, "revenue_show")
    _own(services, licence, visit)
    seen = statements.statements_of(services.register, Period.parse(period), services.clock(), operator=visit.only, licence=licence)
    return StatementList(
        statements=[statement_view(each) for each in seen],
        payable=yuan(sum(each.payable for each in seen)),
        revenue=_shares(period, seen) if revenue else None,
    )


@router.get(
    "/revenue",
    summary="收益分配：按来源部门等分配方 · Revenue shares, by source body and other bodies",
    description="谁投入、谁贡献、谁受益：份额由协议的价目载明。 · "
    "Who invests and contributes benefits: the shares are in each licence's tariff.",
    responses=problems(401, 403, 422),
    openapi_extra=roles("revenue_show"),
)
def revenue(services: Serving, visit: Annotated[Visit, door("revenue_show")], period: Within) -> RevenueList:
    return _shares(period, statements.statements_of(services.register, Period.parse(period), services.clock()))


def _shares(period: str, seen: Iterable[Statement]) -> RevenueList:
    bodies = statements.revenue_of(seen)
    return RevenueList(period=period, bodies=[revenue_view(each) for each in bodies], payable=yuan(sum(each.payable for each in bodies)))


@router.post(
    "/periods/{period}/close",
    summary="关账：过账月费，核对准许收入，超出部分结转 · Close a settlement period",
    description="周期结束之后按顺序关账，不能更改。按月计费的项目在此过账；超过准许收入的部分结转，计入下一周期的收入。 · "
    "After its end, in order, for good. Fees by the month are posted; revenue beyond what is allowed is carried over "
    "and counts in the next period.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("period_close"),
)
def close(
    period: Annotated[str, Path(pattern=PATTERN, description=_PERIOD)],
    body: PeriodClosing,
    services: Serving,
    visit: Annotated[Visit, door("period_close")],
) -> PeriodClosedView:
    closed = close_period(services.register, Period.parse(period), licence=body.licence, by=visit.principal.id)
    return PeriodClosedView(period=period, licences=closed)


def _own(services: Services, licence: str | None, visit: Visit) -> None:
    """A licence that is named must be there, and the caller's to see."""
    if licence is not None:
        record = services.register.licence(licence)
        found(record if record is not None and visit.only in (None, record.licence.operator) else None, "licence")
