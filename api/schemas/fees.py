"""Fees, statements and revenue over HTTP. Money is yuan, as decimal text with two digits; quantities are decimal text, in what is priced."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from policies.catalogue import Identifier, Title
from policies.tariff import Measure

FEE_LINE = {"item": "release", "measure": "release", "quantity": "1", "yuan": "120.00"}


class FeeLineView(Closed):
    """Usage of one item of the tariff. The lines of a settlement period add up to the price of all of it, rounded half to even at the fen."""

    item: str
    measure: Measure
    quantity: str = Field(description="how many releases, calls, rows, bytes, seconds, ρ, ε or months")
    yuan: str


class PriceView(Closed):
    """What an item costs: for each `per` of its measure, above `above`."""

    above: str
    per: int
    yuan: str


class OpenItemView(Closed):
    """An item priced by what only the answer tells."""

    item: str
    measure: Measure
    prices: list[PriceView]


class FeeQuoteView(Closed):
    """What a job would cost now. Later it may differ by tiers reached and by fen of rounding: other jobs come in between."""

    model_config = ConfigDict(json_schema_extra=example(currency="CNY", yuan="120.00", free=False, lines=[FEE_LINE], open=[]))

    currency: Literal["CNY"] = "CNY"
    yuan: str
    free: bool = Field(description="true: the scenario is one in which nothing is charged")
    lines: list[FeeLineView]
    open: list[OpenItemView] = Field(description="items priced by the rows or bytes of the answer; they come on top")


class ShareView(Closed):
    body: str = Field(description="id of the body in the tariff")
    yuan: str


FEE: dict[str, Any] = {
    "index": 42,
    "cause": "release",
    "licence": "lic-health-2026-01",
    "operator": "op-health",
    "release": "rel-7k2mq4ztx3bd",
    "scenario": "chronic-disease",
    "period": "2026-Q4",
    "currency": "CNY",
    "yuan": "120.00",
    "free": False,
    "lines": [FEE_LINE],
    "shares": [{"body": "health", "yuan": "120.00"}],
    "posted_at": "2026-11-22T08:30:00.240000Z",
}


class FeeView(Closed):
    """A fee as posted, at `index` of the log. Lines and shares each add up to it."""

    model_config = ConfigDict(json_schema_extra=example(**FEE))

    index: int
    cause: Literal["release", "delivery", "term"]
    licence: str
    operator: str
    release: str | None
    scenario: str | None
    period: str
    currency: Literal["CNY"] = "CNY"
    yuan: str
    free: bool
    lines: list[FeeLineView]
    shares: list[ShareView]
    posted_at: str


class FeeList(Closed):
    model_config = ConfigDict(json_schema_extra=example(fees=[FEE], next=None))

    fees: list[FeeView]
    next: int | None = Field(description="pass as ?before= for older ones; null: there are none")


class UsageView(Closed):
    """All that was used in the period, charged for or not. `compute_s` is of public slots."""

    releases: int
    deliveries: int
    rows: int
    bytes: int
    compute_s: str
    rho: str
    delta: str


class ItemTotalView(Closed):
    item: str
    title: Title | None
    measure: Measure
    quantity: str
    free_quantity: str
    yuan: str


class ScenarioTotalView(Closed):
    scenario: str | None = Field(description="null: fees by the month")
    fees: int
    free: int
    yuan: str


class BodyTotalView(Closed):
    """A body's part: `posted` + `brought` = `payable` + `carried`."""

    body: str
    title: Title
    role: Literal["source", "treasury", "platform"]
    posted: str
    brought: str
    payable: str
    carried: str


USAGE = {"releases": 1, "deliveries": 0, "rows": 2, "bytes": 900, "compute_s": "0.25", "rho": "0.00702", "delta": "0"}
BODY = {
    "body": "health",
    "title": {"zh": "省卫生健康委员会", "en": "Health Commission"},
    "role": "source",
    "posted": "120.00",
    "brought": "0.00",
    "payable": "120.00",
    "carried": "0.00",
}
STATEMENT: dict[str, Any] = {
    "licence": "lic-health-2026-01",
    "operator": "op-health",
    "period": "2026-Q4",
    "starts_at": "2026-09-30T16:00:00.000000Z",
    "ends_at": "2026-12-31T16:00:00.000000Z",
    "closed_at": None,
    "log_index": None,
    "currency": "CNY",
    "usage": USAGE,
    "items": [
        {
            "item": "release",
            "title": {"zh": "统计结果", "en": "statistical release"},
            "measure": "release",
            "quantity": "1",
            "free_quantity": "0",
            "yuan": "120.00",
        }
    ],
    "scenarios": [{"scenario": "chronic-disease", "fees": 1, "free": 0, "yuan": "120.00"}],
    "bodies": [BODY],
    "fees": 1,
    "allowed": "1000000.00",
    "posted": "120.00",
    "brought": "0.00",
    "payable": "120.00",
    "carried": "0.00",
}


class StatementView(Closed):
    """对账单 of one licence and settlement period. `payable` + `carried` = `posted` + `brought`, and `payable` is within `allowed`. While
    `closed_at` is null, what closing now would come to, without fees by the month."""

    model_config = ConfigDict(json_schema_extra=example(**STATEMENT))

    licence: str
    operator: str
    period: str
    starts_at: str
    ends_at: str
    closed_at: str | None
    log_index: int | None
    currency: Literal["CNY"] = "CNY"
    usage: UsageView
    items: list[ItemTotalView]
    scenarios: list[ScenarioTotalView]
    bodies: list[BodyTotalView]
    fees: int
    allowed: str | None = Field(description="the revenue allowed in the period; null: no bound")
    posted: str
    brought: str
    payable: str
    carried: str


class RevenuePartView(Closed):
    licence: str
    period: str
    part: BodyTotalView


REVENUE: dict[str, Any] = {
    "title": BODY["title"],
    "role": "source",
    "posted": "120.00",
    "payable": "120.00",
    "carried": "0.00",
    "parts": [{"licence": "lic-health-2026-01", "period": "2026-Q4", "part": BODY}],
}


class RevenueView(Closed):
    """What one body has from all licences. Bodies are one when their Chinese name is."""

    title: Title
    role: Literal["source", "treasury", "platform"]
    posted: str
    payable: str
    carried: str
    parts: list[RevenuePartView]


class RevenueList(Closed):
    model_config = ConfigDict(json_schema_extra=example(period="2026-Q4", currency="CNY", bodies=[REVENUE], payable="120.00"))

    period: str
    currency: Literal["CNY"] = "CNY"
    bodies: list[RevenueView]
    payable: str


class StatementList(Closed):
    model_config = ConfigDict(json_schema_extra=example(statements=[STATEMENT], payable="120.00", revenue=None))

    statements: list[StatementView]
    payable: str = Field(description="all of them together")
    revenue: RevenueList | None = Field(default=None, description="the shares by body, where they were asked for")


class PeriodClosing(Closed):
    """Close a settlement period of one licence, or of all that charge by it."""

    model_config = ConfigDict(json_schema_extra=example(licence=None))

    licence: Identifier | None = None


class PeriodClosedView(Closed):
    model_config = ConfigDict(json_schema_extra=example(period="2026-Q4", licences=["lic-health-2026-01"]))

    period: str
    licences: list[str]
