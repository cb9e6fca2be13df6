"""Fees, statements and shares, by settlement period."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking
from api.later import pages
from api.services import services_of
from policies.quota import CHINA

router = pages("/console/fees")
WHOLE, LISTED = 8, 100  # statements: so many are shown item by item, more are a list, of which so many


def present(now: datetime) -> str:
    """The quarter that the moment lies in.

    >>> present(datetime(2026, 12, 31, 16, tzinfo=UTC))
    '2027-Q1'
    """
    at = now.astimezone(CHINA)
    return f"{at.year}-Q{(at.month + 2) // 3}"


@router.get("")
async def fees(page: Looking, period: str = "", licence: str = "", before: str = "") -> Response:
    page.require("fee_list", "revenue_show")
    may, api = page.visitor.may, page.api
    period = period or present(services_of(page.request).clock())
    problem = None
    statements = revenue = None
    shares = may("revenue_show") and not licence
    try:
        if may("statement_show"):  # shares are made of the same statements
            statements = await api.get("/v1/statements", period=period, licence=licence, revenue=True if shares else None)
            revenue = statements["revenue"]
        elif shares:
            revenue = await api.get("/v1/revenue", period=period)
    except Refused as refused:
        if refused.status not in (404, 422):
            raise
        problem = refused.document
    posted = await api.get("/v1/fees", before=before, licence="" if problem else licence) if may("fee_list") else None
    return page.show(
        "fees.html.j2",
        status=problem["status"] if problem else 200,
        period=period,
        licence=licence,
        statements=statements["statements"] if statements else None,
        whole=WHOLE,
        listed=LISTED,
        revenue=revenue,
        fees=posted["fees"] if posted else None,
        next=posted.get("next") if posted else None,
        first=not before,
        problem=problem,
    )
