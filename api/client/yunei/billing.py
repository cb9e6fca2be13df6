"""Fees, statements and revenue: the part of the client that deals with money. Amounts are yuan as `Decimal`, exact to the fen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from urllib.parse import quote

from yunei.problem import problem
from yunei.said import Said
from yunei.transport import Http
from yunei.words import Language

PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLine(Said):
    """Usage of one item of the tariff, and what it costs."""

    item: str
    measure: str
    quantity: Decimal
    yuan: Decimal

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        amounts = {name: Decimal(data[name]) for name in ("quantity", "yuan")}
        return cls(data=data, item=str(data["item"]), measure=str(data["measure"]), **amounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeQuote(Said):
    """What a job would cost now. `open` are items priced by the rows or bytes of the answer: they come on top."""

    yuan: Decimal
    free: bool
    lines: tuple[FeeLine, ...]
    open: tuple[str, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            yuan=Decimal(data["yuan"]),
            free=bool(data["free"]),
            lines=tuple(FeeLine.read(line) for line in data["lines"]),
            open=tuple(str(item["item"]) for item in data["open"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee(Said):
    """A fee as posted, at `index` of the log. `shares`: yuan by body of the tariff."""

    index: int
    cause: str
    licence: str
    operator: str
    release: str | None
    scenario: str | None
    period: str
    yuan: Decimal
    free: bool
    lines: tuple[FeeLine, ...]
    shares: Mapping[str, Decimal]
    posted_at: datetime

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            index=int(data["index"]),
            cause=str(data["cause"]),
            licence=str(data["licence"]),
            operator=str(data["operator"]),
            release=data["release"],
            scenario=data["scenario"],
            period=str(data["period"]),
            yuan=Decimal(data["yuan"]),
            free=bool(data["free"]),
            lines=tuple(FeeLine.read(line) for line in data["lines"]),
            shares={str(share["body"]): Decimal(share["yuan"]) for share in data["shares"]},
            posted_at=datetime.fromisoformat(data["posted_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTotal(Said):
    """A body's part of a statement: `posted` + `brought` = `payable` + `carried`."""

    body: str
    title: str
    role: str
    posted: Decimal
    brought: Decimal
    payable: Decimal
    carried: Decimal

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        amounts = {name: Decimal(data[name]) for name in ("posted", "brought", "payable", "carried")}
        return cls(data=data, body=str(data["body"]), title=str(data["title"][language]), role=str(data["role"]), **amounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Said):
    """One licence in one settlement period. While `closed_at` is None, what closing it now would come to. `data` has items and scenarios."""

    licence: str
    operator: str
    period: str
    closed_at: datetime | None
    fees: int
    allowed: Decimal | None
    posted: Decimal
    brought: Decimal
    payable: Decimal
    carried: Decimal
    bodies: tuple[BodyTotal, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        amounts = {name: Decimal(data[name]) for name in ("posted", "brought", "payable", "carried")}
        return cls(
            data=data,
            licence=str(data["licence"]),
            operator=str(data["operator"]),
            period=str(data["period"]),
            closed_at=None if data["closed_at"] is None else datetime.fromisoformat(data["closed_at"]),
            fees=int(data["fees"]),
            allowed=None if data["allowed"] is None else Decimal(data["allowed"]),
            bodies=tuple(BodyTotal.read(body, language) for body in data["bodies"]),
            **amounts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revenue(Said):
    """What one body has from all licences in a period. `data["parts"]` has it by licence."""

    title: str
    role: str
    posted: Decimal
    payable: Decimal
    carried: Decimal

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        amounts = {name: Decimal(data[name]) for name in ("posted", "payable", "carried")}
        return cls(data=data, title=str(data["title"][language]), role=str(data["role"]), **amounts)


class Billing:
    """What a `Client` can do about money. Operators see their own; closing a period needs a supervisor's key. Periods are written as the
    tariff has them: `2026-11`, `2026-Q4` or `2026`."""

    _http: Http
    language: Language

    def fees(
        self, limit: int | None = None, *, licence: str | None = None, period: str | None = None, release: str | None = None
    ) -> Iterator[Fee]:
        """Fees, newest first, page by page."""
        wanted = {name: value for name, value in (("licence", licence), ("period", period), ("release", release)) if value is not None}
        before: int | None = None
        count = 0
        while True:
            size = PAGE if limit is None else min(PAGE, limit - count)
            if size <= 0:
                return
            params: dict[str, Any] = {**wanted, "limit": size, **({} if before is None else {"before": before})}
            page = self._http.json("GET", "/v1/fees", params=params)
            for data in _listed(page, "fees", self.language):
                yield Fee.read(data, self.language)
                count += 1
            before = page.get("next")
            if before is None:
                return

    def statements(self, period: str, *, licence: str | None = None) -> list[Statement]:
        """Every settlement period within `period`, by licence and time."""
        params = {"period": period, **({} if licence is None else {"licence": licence})}
        page = self._http.json("GET", "/v1/statements", params=params)
        return [Statement.read(data, self.language) for data in _listed(page, "statements", self.language)]

    def revenue(self, period: str) -> list[Revenue]:
        """By body that shares in it."""
        page = self._http.json("GET", "/v1/revenue", params={"period": period})
        return [Revenue.read(data, self.language) for data in _listed(page, "bodies", self.language)]

    def close_period(self, period: str, *, licence: str | None = None) -> list[str]:
        """Close a settlement period, of one licence or of all that charge by it. Returns their ids."""
        page = self._http.json("POST", f"/v1/periods/{quote(period, safe='')}/close", body={"licence": licence}, repeat="unsent")
        return [str(name) for name in _listed(page, "licences", self.language)]


def _listed(page: object, name: str, language: Language) -> list[Any]:
    found = page.get(name) if isinstance(page, dict) else None
    if not isinstance(found, list):
        raise problem("client_not_yunei", language=language, status=200)
    return found
