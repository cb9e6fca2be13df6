"""Fees, statements and shares, by settlement period."""

from __future__ import annotations

import asyncio
from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking
from api.services import services_of
from policies.quota import CHINA

router = APIRouter(prefix="/console/fees")


def present(now: datetime) -> str:
    """The quarter that the moment lies in.

    >>> present(datetime(2026, 12, 31, 16, tzinfo=UTC))
    '2027-Q1'
    """
    at = now.astimezone(CHINA)
    return f"{at.year}-Q{(at.month + 2) // 3}"


async def _nothing() -> None:
    return None


@router.get("")
async def fees(page: Looking, period: str = "", before: str = "") -> Response:
    page.require("fee_list", "revenue_show")
    may, api = page.visitor.may, page.api
    # adding up a period of the whole house takes a second where much left in it: for who sees all of it, when asked for
    added_up = bool(period) or page.visitor.role == "operator"
    period = period or present(services_of(page.request).clock())
    problem = None
    statements = revenue = None
    try:
        statements, revenue = await asyncio.gather(
            api.get("/v1/statements", period=period) if may("statement_show") and added_up else _nothing(),
            api.get("/v1/revenue", period=period) if may("revenue_show") and added_up else _nothing(),
        )
    except Refused as refused:
        if refused.status != 422:
            raise
        problem = refused.document
    posted = await api.get("/v1/fees", before=before) if may("fee_list") else None
    return page.show(
        "fees.html.j2",
        status=422 if problem else 200,
        period=period,
        added_up=added_up,
        statements=statements["statements"] if statements else None,
        revenue=revenue,
        fees=posted["fees"] if posted else None,
        next=posted.get("next") if posted else None,
        first=not before,
        problem=problem,
    )
