"""Fees, statements and revenue, from what the register holds to what is shown over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from api.schemas import (
    BodyTotalView,
    FeeLineView,
    FeeQuoteView,
    FeeView,
    ItemTotalView,
    OpenItemView,
    PriceView,
    RevenuePartView,
    RevenueView,
    ScenarioTotalView,
    ShareView,
    StatementView,
    UsageView,
    decimal_text,
)
from jobs.events import rfc3339
from jobs.fees import FeeQuote
from jobs.statements import BodyTotal, FeeSeen, Revenue, Statement
from policies.fees import Line
from policies.loss import ATTO, PICO
from policies.tariff import MEASURES, ROUNDING, Item, Measure


def yuan(fen: int) -> str:
    """Yuan with two digits, exactly.

    >>> yuan(5), yuan(12_345)
    ('0.05', '123.45')
    """
    return f"{fen // 100}.{fen % 100:02d}"


def quantity(measure: Measure, count: int) -> str:
    """Whole counts in what is priced: seconds, rho, epsilon.

    >>> quantity("compute_second", 250), quantity("row", 3)
    ('0.25', '3')
    """
    return decimal_text(Decimal(count) / MEASURES[measure].scale)


def line_view(item: str, measure: Measure, count: int, fen: int) -> FeeLineView:
    return FeeLineView(item=item, measure=measure, quantity=quantity(measure, count), yuan=yuan(fen))


def fee_quote_view(quote: FeeQuote | None) -> FeeQuoteView | None:
    if quote is None:
        return None
    lines: Iterable[Line] = quote.fee.lines
    return FeeQuoteView(
        yuan=yuan(quote.fee.fen),
        free=quote.fee.free,
        lines=[line_view(line.item, line.measure, line.quantity, line.fen) for line in lines],
        open=[OpenItemView(item=item.name, measure=item.measure, prices=_prices(item)) for item in quote.open_items],
    )


def _prices(item: Item) -> list[PriceView]:
    return [
        PriceView(above=quantity(item.measure, start), per=item.per, yuan=decimal_text(Decimal(price) / ROUNDING))
        for start, _, price in item.steps
    ]


def fee_view(fee: FeeSeen) -> FeeView:
    return FeeView(
        index=fee.index,
        cause=cast(Any, fee.cause),
        licence=fee.licence,
        operator=fee.operator,
        release=fee.release,
        scenario=fee.scenario,
        period=fee.period,
        yuan=yuan(fee.fen),
        free=fee.free,
        lines=[line_view(line.item, line.measure, line.quantity, line.fen) for line in fee.lines],
        shares=[ShareView(body=body, yuan=yuan(fen)) for body, fen in fee.shares],
        posted_at=fee.posted_at,
    )


def statement_view(statement: Statement) -> StatementView:
    usage = statement.usage
    return StatementView(
        licence=statement.licence,
        operator=statement.operator,
        period=str(statement.period),
        starts_at=rfc3339(statement.period.start),
        ends_at=rfc3339(statement.period.end),
        closed_at=statement.closed_at,
        log_index=statement.log_index,
        usage=UsageView(
            releases=usage.releases,
            deliveries=usage.deliveries,
            rows=usage.rows,
            bytes=usage.bytes,
            compute_s=quantity("compute_second", usage.compute_ms),
            rho=decimal_text(Decimal(usage.pico_rho) / PICO),
            delta=decimal_text(Decimal(usage.atto_delta) / ATTO),
        ),
        items=[
            ItemTotalView(
                item=total.item,
                title=total.title,
                measure=total.measure,
                quantity=quantity(total.measure, total.quantity),
                free_quantity=quantity(total.measure, total.free),
                yuan=yuan(total.fen),
            )
            for total in statement.items
        ],
        scenarios=[
            ScenarioTotalView(scenario=total.scenario, fees=total.fees, free=total.free, yuan=yuan(total.fen)) for total in statement.scenarios
        ],
        bodies=[body_view(body) for body in statement.bodies],
        fees=statement.fees,
        allowed=None if statement.allowed is None else yuan(statement.allowed),
        posted=yuan(statement.posted),
        brought=yuan(statement.brought),
        payable=yuan(statement.payable),
        carried=yuan(statement.carried),
    )


def body_view(body: BodyTotal) -> BodyTotalView:
    return BodyTotalView(
        body=body.id,
        title=body.title,
        role=cast(Any, body.role),
        posted=yuan(body.posted),
        brought=yuan(body.brought),
        payable=yuan(body.payable),
        carried=yuan(body.carried),
    )


def revenue_view(revenue: Revenue) -> RevenueView:
    return RevenueView(
        title=revenue.title,
        role=cast(Any, revenue.role),
        posted=yuan(revenue.posted),
        payable=yuan(revenue.payable),
        carried=yuan(revenue.carried),
        parts=[RevenuePartView(licence=licence, period=period, part=body_view(body)) for licence, period, body in revenue.from_licences],
    )
