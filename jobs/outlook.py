"""Where budgets are heading: what an account used by day, how fast, and when its cap is reached; and the house at a glance.

Functions of the ledger alone: of charges, which are made of plans and never of rows. A day is one of China, as for windows (`policies.quota`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import Connection, func, select

from infra.tables import account_days, accounts, freezes, jobs, licences, release_days, releases
from jobs.events import rfc3339
from jobs.states import MEANING, State
from policies.loss import Loss
from policies.quota import period

_RUNNING = tuple(str(state) for state in State if MEANING[state].shown == "running" and state is not State.SUBMITTED)
RATE_DAYS = 28  # four weeks: a rate over fewer days follows the weekday
LEAST_DAYS = 7  # of fewer, no forecast is made


@dataclass(frozen=True, slots=True)
class Outlook:
    """An account over days. `days`: what it used on each, in pico-rho and atto-delta, oldest first, none left out. `rate` is pico-rho a day
    over the last `RATE_DAYS`, or over the account's life if that is shorter; `ends` is when the cap is reached at that rate, None: not
    within a hundred years, at no rate, or of an account younger than `LEAST_DAYS`."""

    account: str
    cap: Loss
    used: Loss
    opened_on: date
    days: tuple[tuple[date, Loss], ...]
    rate: Fraction
    ends: date | None

    def at_cap(self, cap: Loss, today: date) -> date | None:
        """When another cap would be reached at the same rate."""
        return _end(cap.pico_rho - self.used.pico_rho, self.rate, today) if (today - self.opened_on).days + 1 >= LEAST_DAYS else None


def outlook(connection: Connection, account: str, now: datetime, days: int) -> Outlook | None:
    """Of an account, over the `days` up to today; None when it was never opened."""
    row = connection.execute(select(accounts).where(accounts.c.id == account)).one_or_none()
    if row is None:
        return None
    today = date.fromisoformat(period("day", now))
    opened = date.fromisoformat(period("day", datetime.fromisoformat(row.opened_at)))
    first = max(opened, today - timedelta(days=max(days, RATE_DAYS) - 1))
    query = select(account_days.c.day, account_days.c.pico_rho, account_days.c.atto_delta).where(
        account_days.c.account == account, account_days.c.day >= first.isoformat()
    )
    taken = {day: Loss(int(rho), int(delta)) for day, rho, delta in connection.execute(query)}
    every = [first + timedelta(days=place) for place in range((today - first).days + 1)]
    by_day = tuple((day, taken.get(day.isoformat(), Loss(0))) for day in every)
    recent = by_day[-RATE_DAYS:]
    rate = Fraction(sum(loss.pico_rho for _, loss in recent), len(recent))
    used = Loss(row.spent_pico_rho + row.reserved_pico_rho, row.spent_atto_delta + row.reserved_atto_delta)
    cap = Loss(row.cap_pico_rho, row.cap_atto_delta)
    seen = Outlook(account, cap, used, opened, by_day[-days:], rate, None)
    return replace(seen, ends=seen.at_cap(cap, today))


def _end(left: int, rate: Fraction, today: date) -> date | None:
    if left <= 0:
        return today
    if rate <= 0 or left / rate > 36_525:
        return None
    return today + timedelta(days=int(left / rate))


@dataclass(frozen=True, slots=True)
class Glance:
    """The house today. `by_day`: releases published on each of the last days, oldest first."""

    licences_in_force: int
    jobs_running: int
    releases: int
    frozen: int
    fullest: tuple[tuple[str, Decimal], ...]  # accounts by share used, the fullest first
    by_day: tuple[tuple[date, int], ...]


def glance(connection: Connection, now: datetime, days: int = 30) -> Glance:
    """A few counts, each of rows that do not grow in number with releases: states by an index, releases by the day."""
    today = date.fromisoformat(period("day", now))
    first = (today - timedelta(days=days - 1)).isoformat()

    def count(query: object) -> int:
        return int(connection.execute(query).scalar_one())  # type: ignore[call-overload]  # a select of one number

    counted = {row.day: row.releases for row in connection.execute(select(release_days).where(release_days.c.day >= first))}
    waiting = connection.execute(select(releases.c.published_at).where(releases.c.visible_at > rfc3339(now))).scalars().all()
    for at in waiting:  # published, and not to be seen before its slot
        counted[period("day", datetime.fromisoformat(at))] -= 1
    held = connection.execute(select(accounts.c.id, accounts.c.cap_pico_rho, accounts.c.spent_pico_rho + accounts.c.reserved_pico_rho))
    shares = [(name, Decimal(used) / cap if cap else Decimal(0)) for name, cap, used in held]
    return Glance(
        licences_in_force=count(select(func.count()).select_from(licences).where(licences.c.state == "active")),
        jobs_running=count(select(func.count()).select_from(jobs).where(jobs.c.state.in_(_RUNNING))),
        releases=count(select(func.coalesce(func.sum(release_days.c.releases), 0))) - len(waiting),
        frozen=count(select(func.count()).select_from(freezes).where(freezes.c.state != "thawed")),
        fullest=tuple(sorted(shares, key=lambda item: (-item[1], item[0]))[:8]),
        by_day=tuple((day, counted.get(day.isoformat(), 0)) for place in range(days) for day in [today - timedelta(days=days - 1 - place)]),
    )
