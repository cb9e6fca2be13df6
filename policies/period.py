"""Settlement periods: months, quarters and years of China (UTC+8, no summer time), as text that sorts by time within a kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from policies.quota import CHINA
from policies.reasons import PATTERNS

PeriodKind = Literal["month", "quarter", "year"]
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)
_MONTHS: dict[PeriodKind, int] = {"month": 1, "quarter": 3, "year": 12}
PATTERN = r"^[2-8][0-9]{3}(?:-(?:Q[1-4]|0[1-9]|1[0-2]))?$"
PATTERNS[PATTERN] = ("须写作 2026、2026-Q4 或 2026-11", "written 2026, 2026-Q4 or 2026-11")


@dataclass(frozen=True, slots=True)
class Period:
    """`number` counts periods of the kind from the beginning of year 0.

    >>> str(Period.parse("2026-Q4")), str(Period.parse("2026-12").following), str(Period.parse("2026"))
    ('2026-Q4', '2027-01', '2026')
    """

    kind: PeriodKind
    number: int

    def __post_init__(self) -> None:
        if not 2000 <= self.number * _MONTHS[self.kind] // 12 <= 8999:
            raise ValueError("a period lies between the years 2000 and 8999")

    @classmethod
    def parse(cls, text: str) -> Period:
        """The inverse of `str`. ValueError for any other text.

        >>> Period.parse("2026-Q4").start.isoformat()
        '2026-09-30T16:00:00+00:00'
        """
        if not re.fullmatch(PATTERN, text):
            raise ValueError("a period is written 2026, 2026-Q4 or 2026-11")
        year, _, part = text.partition("-")
        if not part:
            return cls("year", int(year))
        if part.startswith("Q"):
            return cls("quarter", int(year) * 4 + int(part[1:]) - 1)
        return cls("month", int(year) * 12 + int(part) - 1)

    @classmethod
    def holding(cls, kind: PeriodKind, moment: datetime) -> Period:
        """The period a moment lies in.

        >>> str(Period.holding("month", datetime(2026, 11, 30, 16, tzinfo=UTC)))
        '2026-12'
        """
        local = moment.astimezone(CHINA)
        return cls(kind, (local.year * 12 + local.month - 1) // _MONTHS[kind])

    def __str__(self) -> str:
        first = self.number * _MONTHS[self.kind]
        year, month = divmod(first, 12)
        return {"year": f"{year}", "quarter": f"{year}-Q{month // 3 + 1}", "month": f"{year}-{month + 1:02d}"}[self.kind]

    @property
    def start(self) -> datetime:
        year, month = divmod(self.number * _MONTHS[self.kind], 12)
        return datetime(year, month + 1, 1, tzinfo=CHINA).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        year, month = divmod((self.number + 1) * _MONTHS[self.kind], 12)
        return datetime(year, month + 1, 1, tzinfo=CHINA).astimezone(UTC)

    @property
    def following(self) -> Period:
        return Period(self.kind, self.number + 1)

    def months(self) -> tuple[Period, ...]:
        """The calendar months in it.

        >>> [str(month) for month in Period.parse("2026-Q1").months()]
        ['2026-01', '2026-02', '2026-03']
        """
        length = _MONTHS[self.kind]
        return tuple(Period("month", self.number * length + each) for each in range(length))
