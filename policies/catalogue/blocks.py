"""Budgets by period: a declared column parts the rows of a dataset into years, quarters, months, weeks or days, each with budgets of its own.

The privacy unit of such a dataset is weaker, and is named as what it is: not a person, but a person and a month (`person/month`). All rows of
one person in one period are protected together; rows of the same person in other periods count as somebody else's
(docs/proofs/blocks.md). Periods are of the calendar of the stored values, which have no time zone; weeks are ISO 8601's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

from policies.catalogue.base import Model, Name, Title

BlockPeriod = Literal["year", "quarter", "month", "week", "day"]
BLOCK_PERIODS: tuple[BlockPeriod, ...] = get_args(BlockPeriod)
MOST_PERIODS = 400  # each is an account, and a charge may name all of them
WORDS: dict[BlockPeriod, tuple[str, str]] = {
    "year": ("年", "year"), "quarter": ("季度", "quarter"), "month": ("月", "month"), "week": ("周", "week"), "day": ("日", "day"),
}  # fmt: skip
_MONTHS: dict[str, int] = {"year": 12, "quarter": 3, "month": 1}


class Block(Model):
    """What parts the rows: `column`, a date or timestamp that every row has, and the `period` its values are cut into. Its declared range
    says which periods there are; neither column nor period ever changes."""

    column: Name
    period: BlockPeriod


def period_of(kind: BlockPeriod, day: date) -> int:
    """The number of the period a day lies in; numbers follow each other.

    >>> period_of("month", date(2026, 2, 28)), period_of("quarter", date(2026, 4, 1)), period_of("year", date(2026, 1, 1))
    (24313, 8105, 2026)
    >>> period_of("week", date(2026, 1, 4)) + 1 == period_of("week", date(2026, 1, 5))
    True
    """
    if kind in _MONTHS:
        return (day.year * 12 + day.month - 1) // _MONTHS[kind]
    return day.toordinal() if kind == "day" else (day.toordinal() - 1) // 7  # day 1, the first of January of year 1, is a Monday


def bounds_of(kind: BlockPeriod, number: int) -> tuple[date, date]:
    """The first and the last day of a period.

    >>> [day.isoformat() for day in bounds_of("quarter", 8105)]
    ['2026-04-01', '2026-06-30']
    """
    return _first(kind, number), _first(kind, number + 1) - timedelta(days=1)


def _first(kind: BlockPeriod, number: int) -> date:
    if kind in _MONTHS:
        year, month = divmod(number * _MONTHS[kind], 12)
        return date(year, month + 1, 1)
    return date.fromordinal(number if kind == "day" else number * 7 + 1)


def label_of(kind: BlockPeriod, number: int) -> str:
    """How a period is written. Labels of one kind sort by time.

    >>> [label_of("month", 24313), label_of("quarter", 8105), label_of("year", 2026), label_of("week", period_of("week", date(2026, 1, 1)))]
    ['2026-02', '2026-Q2', '2026', '2026-W01']
    """
    first = _first(kind, number)
    if kind == "week":
        return f"{first.isocalendar().year:04d}-W{first.isocalendar().week:02d}"
    year = f"{first.year:04d}"
    return {"year": year, "quarter": f"{year}-Q{(first.month + 2) // 3}", "month": f"{year}-{first.month:02d}", "day": first.isoformat()}[kind]


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive periods of a block column, the `first` and the `last` included, by number. Of a dataset: all that its entry declares. Of a
    table that a plan reads: those outside of which no row is read, and whose accounts are charged."""

    column: str
    period: BlockPeriod
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"periods {self.first} to {self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))

    def bounds(self, number: int) -> tuple[date, date]:
        """The first and the last day of one of these periods."""
        return bounds_of(self.period, number)

    @property
    def low(self) -> date:
        return bounds_of(self.period, self.first)[0]

    @property
    def high(self) -> date:
        """The last day."""
        return bounds_of(self.period, self.last)[1]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label_of(self.period, number) for number in self)


def composite(space: str, period: BlockPeriod) -> str:
    """The unit space of a unit and a period. No declared space has a slash in it, so none is ever mistaken for a weaker one."""
    return f"{space}/{period}"


def period_in(space: str) -> BlockPeriod | None:
    """The period of a composite unit space, None of a plain one."""
    named = space.rpartition("/")[2] if "/" in space else ""
    return next((period for period in BLOCK_PERIODS if period == named), None)


def unit_words(title: Title, block: Block | None) -> Title:
    """What a unit is called: with budgets by period always both, the unit and the period."""
    if block is None:
        return title
    zh, en = WORDS[block.period]
    return Title(zh=f"{title.zh}—{zh}", en=f"{title.en} and {en}")
