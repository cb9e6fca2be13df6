"""Sums that the register keeps as it grows, of some licences in some settlement periods: what statements are made of, however much was used.

A fee and a release are seen at a public moment soon after they are posted. What is posted and not seen yet is a handful of rows, which is
taken off again, but of periods that are closed: those stand as they were settled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from infra.tables import (
    fee_bodies,
    fee_counts,
    fee_items,
    fee_lines,
    fee_shares,
    fees,
    metering,
    releases,
    settlement_shares,
    settlements,
    usage_months,
)
from jobs.events import rfc3339
from jobs.slots import parse_time
from policies.period import Period

Key = tuple[str, str]  # licence, settlement period
Amounts = tuple[int, int]
K = TypeVar("K")
USED = ("rows", "bytes", "compute_ms", "pico_rho", "atto_delta")


@dataclass(frozen=True, slots=True)
class Usage:
    """All that was used in a period, charged for or not."""

    releases: int = 0
    deliveries: int = 0
    rows: int = 0
    bytes: int = 0
    compute_ms: int = 0
    pico_rho: int = 0
    atto_delta: int = 0


class Kept:
    """`items`: quantity and fen by item, measure, free or not; `bodies`: fen; `counts`: fees and fen by scenario ("": none), free or not;
    `settled`: payable and carried by body, of closed periods, the one before each asked for included."""

    def __init__(self, connection: Connection, licences: Collection[str], periods: Collection[Period], now: datetime) -> None:
        self.closed: dict[Key, Row[Any]] = {}
        self.settled: dict[Key, dict[str, Amounts]] = defaultdict(dict)
        self.items: dict[Key, dict[tuple[str, str, bool], Amounts]] = defaultdict(dict)
        self.bodies: dict[Key, dict[str, int]] = defaultdict(dict)
        self.counts: dict[Key, dict[tuple[str, bool], Amounts]] = defaultdict(dict)
        self._used: dict[Key, Counter[str]] = defaultdict(Counter)  # by licence and month
        self._unseen: dict[Key, Counter[str]] = defaultdict(Counter)
        self._connection, self._licences, self._now = connection, sorted(licences), rfc3339(now)
        names = sorted({str(each) for each in periods})
        before = sorted({str(Period(each.kind, each.number - 1)) for each in periods} | set(names))
        for row in self._rows(settlements, names):
            self.closed[row.licence, row.period] = row
        for row in self._rows(settlement_shares, before):
            self.settled[row.licence, row.period][row.body] = row.payable_fen, row.carried_fen
        for row in self._rows(fee_items, names):
            self.items[row.licence, row.period][row.item, row.measure, row.free] = row.quantity, row.fen
        for row in self._rows(fee_bodies, names):
            self.bodies[row.licence, row.period][row.body] = row.fen
        for row in self._rows(fee_counts, names):
            self.counts[row.licence, row.period][row.scenario, row.free] = row.fees, row.fen
        months = select(usage_months).where(usage_months.c.licence.in_(self._licences))
        for row in connection.execute(
            months.where(usage_months.c.month.in_({str(month) for each in periods for month in each.months()}))
        ).all():
            self._used[row.licence, row.month].update({name: getattr(row, name) for name in ("releases", "deliveries", *USED)})
        self._unsee_fees(set(names))
        self._unsee_releases()
        self._forget_nothing()

    def usage(self, licence: str, period: Period) -> Usage:
        total: Counter[str] = Counter()
        for month in period.months():
            total.update(self._used[licence, str(month)])
            if (licence, str(period)) not in self.closed:
                total.subtract(self._unseen[licence, str(month)])
        return Usage(**total)

    def _rows(self, table: Any, periods: Collection[str]) -> list[Row[Any]]:
        query = select(table).where(table.c.licence.in_(self._licences), table.c.period.in_(periods))
        return list(self._connection.execute(query))

    def _unsee_fees(self, periods: Collection[str]) -> None:
        """Take off what was posted and is not seen yet."""
        unseen = select(fees.c.entry, fees.c.licence, fees.c.period, fees.c.scenario, fees.c.free, fees.c.fen).where(
            fees.c.visible_at > self._now
        )
        rows = {row.entry: row for row in self._connection.execute(unseen).all() if row.licence in self._licences and row.period in periods}
        rows = {entry: row for entry, row in rows.items() if (row.licence, row.period) not in self.closed}
        for row in rows.values():
            _less(self.counts[row.licence, row.period], (row.scenario or "", row.free), (1, row.fen))
        for line in self._connection.execute(select(fee_lines).where(fee_lines.c.fee.in_(rows))).all():
            fee = rows[line.fee]
            _less(self.items[fee.licence, fee.period], (line.item, line.measure, fee.free), (line.quantity, line.fen))
        for share in self._connection.execute(select(fee_shares).where(fee_shares.c.fee.in_(rows))).all():
            fee = rows[share.fee]
            self.bodies[fee.licence, fee.period][share.body] -= share.fen

    def _forget_nothing(self) -> None:
        """What came to nothing is not told: sums do not tell it from what is not there yet."""
        self.items = defaultdict(dict, {key: {of: each for of, each in sums.items() if any(each)} for key, sums in self.items.items()})
        self.bodies = defaultdict(dict, {key: {body: fen for body, fen in sums.items() if fen} for key, sums in self.bodies.items()})
        self.counts = defaultdict(dict, {key: {of: each for of, each in sums.items() if each[0]} for key, sums in self.counts.items()})

    def _unsee_releases(self) -> None:
        columns = (metering.c.licence, releases.c.published_at, *(metering.c[name] for name in USED))
        query = select(*columns).join(releases, releases.c.id == metering.c.release).where(releases.c.visible_at > self._now)
        for row in self._connection.execute(query).all():
            month = str(Period.holding("month", parse_time(row.published_at)))
            self._unseen[row.licence, month].update({"releases": 1, **{name: getattr(row, name) or 0 for name in USED}})


def _less(sums: dict[K, Amounts], key: K, amounts: Amounts) -> None:
    sums[key] = sums[key][0] - amounts[0], sums[key][1] - amounts[1]
