"""From usage to a fee, its lines and its shares: whole fen, nothing lost to rounding.

A line's fen are the difference of two running totals: what the item costs for all usage of the settlement period, rounded half to even at
the fen, after this usage and before it. So the lines of a period add up to the rounded price of the whole, however usage was divided into
releases, and no line is negative. Shares are by largest remainder: they add up to the fee. Revenue beyond what a period allows counts as
the first revenue of the next one. What is data never enters: rows and bytes are of the noised table, compute is the public slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isqrt

from policies.loss import Loss
from policies.tariff import MEASURES, Item, Measure, Tariff

Usage = Mapping[Measure, int]  # whole counts by measure (`MEASURES` says of what)


def usage_of_release(*, rows: int, bytes: int, slot_ms: int, loss: Loss) -> dict[Measure, int]:
    """What one release uses. Epsilon is the one whose pure DP costs this rho: rho = epsilon²/2 (Bun & Steinke 2016, prop. 1.4), rounded
    down to 1e-6.

    >>> usage_of_release(rows=3, bytes=800, slot_ms=250, loss=Loss(125_000_000_000))["epsilon"]
    500000
    """
    return {
        "release": 1,
        "call": 1,
        "row": rows,
        "byte": bytes,
        "compute_second": slot_ms,
        "rho": loss.pico_rho,
        "epsilon": isqrt(2 * loss.pico_rho),
    }


USAGE_OF_DELIVERY: Usage = {"call": 1}


@dataclass(frozen=True, slots=True)
class Line:
    """Usage of one item and what it costs."""

    item: str
    measure: Measure
    quantity: int
    fen: int


@dataclass(frozen=True, slots=True)
class Fee:
    """`shares` are (body, fen), in order of body, without those that get nothing. They add up to `fen`, as the lines do."""

    lines: tuple[Line, ...]
    shares: tuple[tuple[str, int], ...]
    free: bool

    @property
    def fen(self) -> int:
        return sum(line.fen for line in self.lines)


def cost_fen(item: Item, quantity: int) -> int:
    """What a whole period's `quantity` of an item costs, rounded half to even.

    >>> from decimal import Decimal
    >>> from policies.catalogue import Title
    >>> item = Item(name="row", title=Title(zh="行", en="row"), measure="row", per=1000, price=Decimal("2.5"), ceiling=Decimal(3))
    >>> [cost_fen(item, rows) for rows in (1, 2, 3, 6, 10, 1000)]
    [0, 0, 1, 2, 2, 250]
    """
    micro = 0
    for start, end, price in item.steps:
        if quantity > start:
            micro += (quantity - start if end is None else min(quantity, end) - start) * price
    return half_even(micro, item.per * MEASURES[item.measure].scale * 10_000)


def half_even(numerator: int, denominator: int) -> int:
    """The whole number nearest to a fraction of positive denominator; of two as near, the even one.

    >>> [half_even(each, 2) for each in (1, 3, 5, 6)]
    [0, 2, 2, 3]
    """
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def fee_of(tariff: Tariff, usage: Usage, *, scenario: str | None, datasets: Iterable[str], before: Mapping[str, int]) -> Fee:
    """`before`: what was used and charged for in this settlement period already, by item. What is free is counted in the lines and costs
    nothing; it does not move the running totals."""
    free = tariff.is_free(scenario)
    lines = []
    for measure, quantity in usage.items():
        item = tariff.item_for(measure, scenario)
        if item is not None:
            used = before.get(item.name, 0)
            fen = 0 if free else cost_fen(item, used + quantity) - cost_fen(item, used)
            lines.append(Line(item.name, measure, quantity, fen))
    total = sum(line.fen for line in lines)
    parts = allot(total, tariff.weights(datasets))
    return Fee(tuple(lines), tuple((body, fen) for body, fen in parts.items() if fen), free)


def allot(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Divide whole fen in proportion to weights by largest remainder, ties to the first name: the parts add up to the amount, none is off by
    a whole fen.

    >>> allot(100, {"a": 1, "b": 1, "c": 1})
    {'a': 34, 'b': 33, 'c': 33}
    """
    whole = sum(weights.values())
    if not whole:
        if amount:
            raise ValueError("an amount to divide and nobody to have it")
        return {}
    parts = {name: amount * weight // whole for name, weight in sorted(weights.items())}
    rests = sorted(parts, key=lambda name: (-(amount * weights[name] % whole), name))
    for name in rests[: amount - sum(parts.values())]:
        parts[name] += 1
    return parts


@dataclass(frozen=True, slots=True)
class Settlement:
    """A period closed: `payable` is recognised now, `carried` is what the next period starts with; both by body."""

    payable: Mapping[str, int]
    carried: Mapping[str, int]


def settle(posted: Mapping[str, int], brought: Mapping[str, int], allowed: int | None) -> Settlement:
    """What was posted in a period and brought into it, by body, against its allowed revenue (None: without bound).

    >>> settle({"a": 70, "b": 50}, {"a": 30}, 100)
    Settlement(payable={'a': 67, 'b': 33}, carried={'a': 33, 'b': 17})
    """
    pool = {name: posted.get(name, 0) + brought.get(name, 0) for name in sorted(posted.keys() | brought.keys())}
    whole = sum(pool.values())
    payable = allot(whole if allowed is None else min(whole, allowed), pool)
    return Settlement(payable, {name: pool[name] - payable.get(name, 0) for name in pool})
