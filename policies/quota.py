"""Quotas of a licence and pace windows of accounts: not how much in all, but how much at once, in a day, in a month.

A lifetime total alone could be spent on the first afternoon, by mistake or by a stolen key. A window bounds what can be lost before somebody
looks; it never adds to the total. Days and months are those of China (UTC+8, no summer time), so that a quota renews at midnight of the
people it binds. The number of jobs and the frequency of use are terms a cooperation agreement settles (Shanxi regulation on government
data, 2020 draft, art. 20 para. 1: scope and degree of use).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Literal, get_args

from pydantic import Field

from policies.degree import Degree
from policies.model import Model

Window = Literal["day", "month"]
WINDOWS: tuple[Window, ...] = get_args(Window)
CHINA = timezone(timedelta(hours=8))


class Pace(Model):
    """At most so much loss in one day, in one month. None: only the lifetime total bounds it. Written `{day = {rho = "0.01"}, month = {…}}`."""

    day: Degree | None = None
    month: Degree | None = None

    def caps(self) -> dict[Window, Degree | None]:
        return {"day": self.day, "month": self.month}


class Quota(Model):
    """Of one licence. `jobs_at_once`: admitted and not yet over; `jobs_a_day`: admitted since midnight, free repetitions not counted. None: no
    bound but the budget. `pace` is of the licence's account."""

    jobs_at_once: int | None = Field(default=None, ge=1, le=10_000)
    jobs_a_day: int | None = Field(default=None, ge=1, le=1_000_000)
    pace: Pace = Pace()


def period(window: Window, at: datetime) -> str:
    """The day or month that the moment lies in, as text.

    >>> from datetime import UTC
    >>> period("day", datetime(2026, 11, 30, 16, tzinfo=UTC)), period("month", datetime(2026, 11, 30, 15, 59, tzinfo=UTC))
    ('2026-12-01', '2026-11')
    """
    return f"{at.astimezone(CHINA):%Y-%m-%d}" if window == "day" else f"{at.astimezone(CHINA):%Y-%m}"


def begin(window: Window, at: datetime) -> datetime:
    """When that day or month began."""
    midnight = at.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if window == "day" else midnight.replace(day=1)


def renewal(window: Window, at: datetime) -> datetime:
    """When the next day or month begins: the earliest moment at which a used-up window has room again.

    >>> from datetime import UTC
    >>> renewal("month", datetime(2026, 12, 31, tzinfo=UTC)).isoformat()
    '2027-01-01T00:00:00+08:00'
    """
    start = begin(window, at)
    return start + timedelta(days=1) if window == "day" else (start + timedelta(days=32)).replace(day=1)
