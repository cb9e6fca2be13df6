"""A month of honest work, made up: what false alarms are counted on.

Operators of several habits ask about one register through its real events and projections, by a clock that is moved: dashboards over new data
each week, analysts who try two or three prices and mistype, a researcher who works evenings, a monthly statistical return by district and age.
Builders fetch what is delivered; keys run out and are tried again; reviews and freezes take the time they take. Chosen by `seed`: the same
seed makes the same month.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from infra.database import reading
from infra.tables import releases
from jobs.acts.data import register_dataset
from policies.review import CHINA
from tests.watching import BEGIN, CITIES, CODES, Town, a_town, visits

MEASURES = ("COUNT(*) AS n", "COUNT(*) AS n, SUM(fee) AS fee", "AVG(fee) AS fee", "COUNT(DISTINCT person_id) AS people", "SUM(age) AS age")
HABITS = ("dashboard", "analyst", "analyst", "researcher", "returns", "occasional")


@dataclass(frozen=True)
class Month:
    """What came of it. `looks`: how often the watcher looked."""

    operators: int
    days: int
    jobs: int
    entries: int
    looks: int
    raised: dict[str, int]


def honest_month(home: Path, *, days: int = 30, operators: int = 6, seed: int = 1, warm_days: int = 28) -> Month:
    """`warm_days` before the month give everybody a history; their alerts count as well."""
    choose = random.Random(seed)
    names = tuple(f"op-{number + 1}" for number in range(operators))
    with a_town(home, names) as town:
        looks = 0
        for number in range(warm_days + days):
            today = (BEGIN + timedelta(days=number)).astimezone(CHINA).date()
            if today.weekday() == 0:
                town.version += 1
                register_dataset(town.register, visits(town.version))
            deeds = [deed for place, who in enumerate(names) for deed in _day(choose, who, HABITS[place % len(HABITS)], today, number)]
            deeds += _others(choose, today, number)
            for at, deed in sorted(deeds, key=lambda each: each[0]):
                moment = datetime.combine(today, datetime.min.time(), CHINA).astimezone(UTC) + timedelta(minutes=at)
                while town.clock.now + timedelta(hours=1) < moment:
                    town.wait(hours=1)
                town.clock.now = max(town.clock.now, moment)
                _do(town, choose, deed)
                if choose.random() < 0.05:
                    town.look()
                    looks += 1
            town.look()
            looks += 1
        return Month(operators, warm_days + days, town.jobs, town.register.size, looks, dict(town.said))


Deed = tuple[str, ...]


def _day(choose: random.Random, who: str, habit: str, today: date, number: int) -> list[tuple[float, Deed]]:
    """What an operator does on a day, by minutes of the day in China."""
    working = today.weekday() < 5
    deeds: list[tuple[float, Deed]] = []

    def office() -> float:
        return choose.triangular(9 * 60, 18 * 60, choose.choice((630, 900)))

    if habit == "dashboard" and today.weekday() == 0:  # every table again, on the week's data, early
        for place, measure in enumerate(MEASURES):
            deeds.append((480 + 2 * place, ("ask", who, f"SELECT city, {measure} FROM visits GROUP BY city")))
            deeds += [(500 + place, ("ask", who, f"SELECT {measure} FROM visits WHERE city = '{city}'")) for city in CITIES]
    if habit == "analyst" and working:
        for _ in range(choose.randint(2, 9)):
            at, low = office(), choose.randrange(0, 90, 5)
            sql = f"SELECT {choose.choice(MEASURES)} FROM visits WHERE age BETWEEN {low} AND {low + choose.choice((4, 9, 19))}"
            sql += choose.choice(("", f" AND city = '{choose.choice(CITIES)}'", f" AND fee > {choose.randrange(0, 4000, 50)}", " AND urgent"))
            deeds += [(at + 3 * again, ("ask", who, sql, f"0.0000{again + 1}")) for again in range(choose.choice((1, 1, 1, 2, 3)))]
            deeds += [(at - choose.uniform(1, 15), ("refuse", who)) for _ in range(choose.choice((0, 0, 0, 1, 1, 2, 4)))]
    if habit == "researcher" and choose.random() < (0.7 if working else 0.4):
        begin = choose.uniform(18 * 60, 20 * 60) if working else choose.uniform(10 * 60, 14 * 60)
        for step in range(choose.randint(3, 12)):
            fee = choose.randrange(0, 5000, 100)
            where = f"fee BETWEEN {fee} AND {fee + 500} AND day >= DATE '2026-0{choose.randint(1, 8)}-01'"
            deeds.append((begin + 12 * step, ("ask", who, f"SELECT city, {choose.choice(MEASURES)} FROM visits WHERE {where} GROUP BY city")))
    if habit == "returns" and today.day == 5:  # district by age, once a month
        for place, city in enumerate(CITIES):
            for low in range(0, 100, 20):
                sql = f"SELECT COUNT(*) AS n FROM visits WHERE city = '{city}' AND age BETWEEN {low} AND {low + 19}"
                deeds.append((560 + 5 * place + low / 20, ("ask", who, sql)))
    if habit == "occasional" and working and choose.random() < 0.25:
        deeds.append((office(), ("ask", who, f"SELECT {choose.choice(MEASURES)} FROM visits WHERE age >= {choose.randrange(18, 80)}")))
    if choose.random() < 0.01:
        deeds.append((office(), ("fail", who)))
    if choose.random() < 0.03:
        deeds.append((office(), ("expired", who)))
    return deeds


def _others(choose: random.Random, today: date, number: int) -> list[tuple[float, Deed]]:
    """Builders, and passers-by who have no key."""
    deeds: list[tuple[float, Deed]] = []
    if number > 2:
        fetched = choose.randint(0, 6) if today.weekday() < 5 else choose.randint(0, 1)
        deeds += [(choose.uniform(480, 1200), ("deliver",)) for _ in range(fetched + (12 if today.day == 6 else 0))]
    deeds += [(choose.uniform(0, 1439), ("stranger", f"{choose.randrange(16**8):064x}")) for _ in range(choose.randint(0, 4))]
    return deeds


def _do(town: Town, choose: random.Random, deed: Deed) -> None:
    kind, *rest = deed
    if kind == "ask":
        town.ask(rest[0], rest[1], rho=rest[2] if len(rest) > 2 else "0.00001", publish=True)
    elif kind == "refuse":
        town.refuse(rest[0], choose.choice(CODES))
    elif kind == "fail":
        town.fail(rest[0])
    elif kind == "expired":  # a client tries again until somebody looks
        town.shut_out(choose.randint(5, 70), principal=rest[0])
    elif kind == "stranger":
        town.shut_out(choose.randint(1, 8), source=rest[0])
    elif town.jobs:
        town.deliver("builder-1", f"r-job-{_published(town)}")


def _published(town: Town) -> int:
    """A release that is there."""
    with reading(town.register.engine) as connection:
        return int(connection.execute(select(releases.c.id).limit(1)).scalar_one().removeprefix("r-job-"))
