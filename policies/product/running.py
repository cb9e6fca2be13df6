"""Running totals by a binary tree, in its indexed form: which periods a node holds, and which nodes make up the first t periods.

Periods are numbered 1 … T. Node t holds the periods (t - lowbit(t), t], where lowbit(t) is the largest power of two that divides t (Fenwick
1994). The periods 1 … t are the disjoint nodes met by taking the lowest bit away from t until nothing is left: as many as t has ones in
binary, at most floor(log2(T + 1)). A period lies in at most floor(log2 T) + 1 nodes, so that is how often its rows are asked about, and noise
that is drawn once a node serves every later total (Dwork, Naor, Pitassi, Rothblum 2010; Chan, Shi, Song 2011). docs/proofs/running.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Literal

from policies.catalogue.blocks import BlockPeriod, bounds_of, period_of

Way = Literal["tree", "anew"]
MOST_PERIODS = 10_000


def node(period: int) -> tuple[int, int]:
    """The first and the last period of the node that ends with `period`.

    >>> [node(t) for t in (1, 2, 3, 4, 6, 12)]
    [(1, 1), (1, 2), (3, 3), (1, 4), (5, 6), (9, 12)]
    """
    if period < 1:
        raise ValueError("periods are counted from 1")
    return period - (period & -period) + 1, period


def nodes(period: int) -> tuple[int, ...]:
    """The nodes, by the period each ends with, that hold the periods up to `period`, each once; the earliest first.

    >>> nodes(13), nodes(8)
    ((8, 12, 13), (8,))
    """
    first, _ = node(period)
    return (*(nodes(first - 1) if first > 1 else ()), period)


def holding(period: int, periods: int) -> tuple[int, ...]:
    """The nodes up to `periods` that hold `period`.

    >>> holding(1, 12), holding(12, 12)
    ((1, 2, 4, 8), (12,))
    """
    if not 1 <= period <= periods:
        raise ValueError("the period lies beyond the last")
    found = []
    while period <= periods:
        found.append(period)
        period += period & -period
    return tuple(found)


def released(period: int, way: Way) -> tuple[int, int]:
    """The periods that the release at the end of `period` reads: its node's, or all up to it."""
    return node(period) if way == "tree" else (1, period)


def summed(period: int, way: Way) -> tuple[int, ...]:
    """The releases, by the period each was made at, that the total at `period` is the sum of."""
    return nodes(period) if way == "tree" else (period,)


@dataclass(frozen=True, slots=True)
class Running:
    """What is totalled: the periods of `dataset`, each a `step` long, the first of them beginning on `first`. ValueError for a day on which no
    period begins, or a plan that reaches beyond the calendar."""

    dataset: str
    step: BlockPeriod
    first: date
    periods: int
    way: Way

    def __post_init__(self) -> None:
        if not 1 <= self.periods <= MOST_PERIODS:
            raise ValueError(f"a plan is of 1 to {MOST_PERIODS} periods")
        try:
            begins, _ = self.begins(1), self.begins(self.periods + 1)
        except (ValueError, OverflowError):
            raise ValueError("the plan reaches beyond the calendar") from None
        if begins != self.first:
            raise ValueError("no period begins on this day")

    def begins(self, period: int) -> date:
        """The first day of the period; of the one after the last, the day after it.

        >>> plan = Running("visits", "quarter", date(2026, 10, 1), 4, "tree")
        >>> plan.begins(1).isoformat(), plan.begins(3).isoformat()
        ('2026-10-01', '2027-04-01')
        """
        return bounds_of(self.step, period_of(self.step, self.first) + period - 1)[0]

    def reads(self, period: int) -> tuple[date, date]:
        """What the release at the end of `period` reads: from the first of these days to before the second.

        >>> plan = Running("visits", "month", date(2026, 1, 1), 12, "tree")
        >>> [day.isoformat() for day in plan.reads(6)]
        ['2026-05-01', '2026-07-01']
        """
        low, high = released(period, self.way)
        return self.begins(low), self.begins(high + 1)

    def sums(self, period: int) -> tuple[int, ...]:
        """The releases, by the period each was made at, that its total is the sum of."""
        return summed(period, self.way)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a plan of `periods` periods costs and how exact it is, by the tree and paying each total anew; one release costs `pico_rho`.

    `charges` is how often the most charged period, the first, is charged. Errors are in half-widths of one release. The two are compared where
    their largest errors are the same: a total asked anew need cost only `pico_rho` / `most_summed` then.
    """

    periods: int
    pico_rho: int

    def __post_init__(self) -> None:
        if not 1 <= self.periods <= MOST_PERIODS or self.pico_rho < 1:
            raise ValueError(f"a plan is of 1 to {MOST_PERIODS} periods, each with a price")

    @property
    def charges(self) -> int:
        """By the tree: floor(log2 T) + 1.

        >>> [Costs(t, 1).charges for t in (1, 2, 3, 4, 12, 24, 64)]
        [1, 2, 2, 3, 4, 5, 7]
        """
        return self.periods.bit_length()

    @property
    def most_summed(self) -> int:
        """The most nodes in one total: floor(log2(T + 1)).

        >>> [Costs(t, 1).most_summed for t in (1, 2, 3, 4, 12, 24, 64)]
        [1, 1, 2, 2, 3, 4, 6]
        """
        return (self.periods + 1).bit_length() - 1

    @property
    def mean_error(self) -> float:
        """Over all totals by the tree."""
        return math.fsum(math.sqrt(t.bit_count()) for t in range(1, self.periods + 1)) / self.periods

    @property
    def largest_error(self) -> float:
        return math.sqrt(self.most_summed)

    @property
    def tree(self) -> int:
        """What the most charged period is charged by the tree, in pico-rho."""
        return self.pico_rho * self.charges

    @property
    def anew(self) -> int:
        """The same, every total being asked anew at the same price: more exact than the tree, and dearer."""
        return self.pico_rho * self.periods

    @property
    def equal_price(self) -> int:
        """What one total asked anew costs when it may be as far off as the tree's worst; rounded up."""
        return -(-self.pico_rho // self.most_summed)

    @property
    def equal(self) -> int:
        """What the most charged period is charged then."""
        return self.equal_price * self.periods

    @property
    def cheaper(self) -> Way:
        """The smaller charge at the same largest error; of equal ones the tree, whose other totals are more exact.

        >>> [(t, Costs(t, 10**6).cheaper) for t in (3, 7, 12, 20, 24)]
        [(3, 'anew'), (7, 'anew'), (12, 'tree'), (20, 'tree'), (24, 'tree')]
        """
        return "tree" if self.charges * self.most_summed <= self.periods else "anew"
