"""Fees and shares at the last entry of a source, by licence and settlement period: to the fen, and as the statements have them.

Fees are the sums that are kept of them, settlements from the entries that closed them. A period that is not closed is told as closing
it at that entry would come to, without the fees by the month, which are posted when it is closed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from sqlalchemy import select

from infra.prepared import Prepared, fetch
from infra.tables import fee_bodies, fee_counts, fee_items
from jobs.reports.source import Entry, Source
from jobs.reports.world import LicenceSeen, World
from jobs.slots import parse_time
from policies.catalogue import Title
from policies.fees import settle
from policies.period import PERIOD_KINDS, Period
from policies.tariff import Body, Measure

_COUNTS = Prepared(select(*(fee_counts.c[name] for name in ("licence", "period", "free", "fees"))))
_BODIES = Prepared(select(fee_bodies))
_ITEMS = Prepared(select(fee_items))


@dataclass(frozen=True, slots=True)
class ItemSum:
    """Whole counts of a measure that were charged for, and that were free; fen."""

    item: str
    title: Title
    measure: Measure
    charged: int
    free: int
    fen: int


@dataclass(frozen=True, slots=True)
class BodySum:
    """Fen. `payable` + `carried` = `posted` + `brought`."""

    body: Body
    posted: int
    brought: int
    payable: int
    carried: int


@dataclass(frozen=True, slots=True)
class Account:
    """One licence in one settlement period. `closed`: the entry that closed it."""

    licence: str
    operator: str
    period: Period
    closed: int | None
    allowed: int | None
    fees: int
    free: int
    items: tuple[ItemSum, ...]
    bodies: tuple[BodySum, ...]

    def sum(self, name: str) -> int:
        return sum(int(getattr(body, name)) for body in self.bodies)


@dataclass(slots=True)
class _Posted:
    fees: int = 0
    free: int = 0
    shares: Counter[str] = field(default_factory=Counter)
    items: dict[tuple[str, Measure], list[int]] = field(default_factory=dict)  # charged, free, fen

    def add(self, name: str, measure: Measure, free: bool, quantity: int, fen: int) -> None:
        total = self.items.setdefault((name, measure), [0, 0, 0])
        total[1 if free else 0] += quantity
        total[2] += fen


class Money:
    """All accounts of one source."""

    def __init__(self, source: Source, world: World) -> None:
        self.source = source
        self.world = world

    @cached_property
    def _closed(self) -> dict[tuple[str, str], Entry]:
        return {(entry["licence"], entry["period"]): entry for entry in self.source.entries(("period_closed",))}

    @cached_property
    def _posted(self) -> dict[tuple[str, str], _Posted]:
        """What is kept, less the fees that were posted after the source."""
        found: dict[tuple[str, str], _Posted] = defaultdict(_Posted)
        for licence, period, free, fees in fetch(self.source.connection, _COUNTS, {}):
            posted = found[licence, period]
            posted.fees += fees
            posted.free += fees if free else 0
        for licence, period, body, fen in fetch(self.source.connection, _BODIES, {}):
            found[licence, period].shares[body] += fen
        for licence, period, item, measure, free, quantity, fen in fetch(self.source.connection, _ITEMS, {}):
            found[licence, period].add(item, measure, free, quantity, fen)
        for entry in self.source.since(self.source.size, "fee_posted"):
            posted = found[entry["licence"], entry["period"]]
            posted.fees -= 1
            posted.free -= 1 if entry["free"] else 0
            posted.shares.subtract({share["body"]: int(share["fen"]) for share in entry["shares"]})
            for line in entry["lines"]:
                posted.add(line["item"], line["measure"], entry["free"], -int(line["quantity"]), -int(line["fen"]))
        for posted in found.values():  # what came to nothing then: sums do not tell it from what there was not yet
            posted.shares = +posted.shares
            posted.items = {of: amounts for of, amounts in posted.items.items() if any(amounts)}
        return {key: posted for key, posted in found.items() if posted.fees}

    def accounts(self, within: Period, operator: str | None = None) -> Iterator[Account]:
        """Of every settlement period that lies in `within` and has begun, by licence and time."""
        for licence in self.world.licences.values():
            if operator in (None, licence.operator):
                yield from self._of(licence, within)

    def _of(self, licence: LicenceSeen, within: Period) -> Iterator[Account]:
        first = next((version for version in licence.versions if version.licence.tariff), None)
        if first is None:
            return
        tariff = first.licence.tariff
        assert tariff is not None
        begun = Period.holding(tariff.period, parse_time(first.at))
        if PERIOD_KINDS.index(begun.kind) > PERIOD_KINDS.index(within.kind):
            return
        each = Period.holding(begun.kind, within.start)
        while each.start < within.end:
            if each.number >= begun.number and each.start <= self.source.moment:
                yield self._account(licence, each)
            each = each.following

    def _account(self, licence: LicenceSeen, period: Period) -> Account:
        posted = self._posted.get((licence.id, str(period)), _Posted())
        closing = self._closed.get((licence.id, str(period)))
        earlier = self._closed.get((licence.id, str(Period(period.kind, period.number - 1))))
        brought = {share["body"]: int(share["carried"]) for share in earlier["shares"]} if earlier else {}
        if closing is not None:
            allowed = None if closing["allowed"] is None else int(closing["allowed"])
            payable = {share["body"]: int(share["payable"]) for share in closing["shares"]}
            carried = {share["body"]: int(share["carried"]) for share in closing["shares"]}
        else:
            last = licence.in_force(min(period.end, self.source.moment + timedelta(microseconds=1)))
            tariff = last.licence.tariff if last else None
            allowed = tariff.allowed_fen if tariff else None
            settled = settle(posted.shares, brought, allowed)
            payable, carried = dict(settled.payable), dict(settled.carried)
        known = licence.bodies
        bodies = tuple(
            BodySum(known[name], posted.shares.get(name, 0), brought.get(name, 0), payable.get(name, 0), carried.get(name, 0))
            for name in sorted(posted.shares.keys() | brought.keys())
        )
        items = tuple(_items(licence, posted))
        closed = None if closing is None else closing.index
        return Account(licence.id, licence.operator, period, closed, allowed, posted.fees, posted.free, items, bodies)


def _items(licence: LicenceSeen, posted: _Posted) -> Iterator[ItemSum]:
    for (item, measure), (charged, free, fen) in sorted(posted.items.items()):
        yield ItemSum(item, licence.items[item].title, measure, charged, free, fen)
