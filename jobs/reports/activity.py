"""What happened in a period: jobs, releases, deliveries and fees, of everybody or of one operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from sqlalchemy import select

from infra.tables import deliveries, jobs, metering, releases
from jobs.events import rfc3339
from jobs.reports.source import Entry, Source
from jobs.reports.world import World
from jobs.slots import parse_time
from policies.period import Period
from policies.quota import CHINA

CHUNK = 500


@dataclass(frozen=True, slots=True)
class JobSeen:
    """What a job is, from its submission: none of it changes."""

    operator: str
    licence: str
    scenario: str
    kind: str


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    id: str
    at: str
    operator: str
    licence: str
    scenario: str
    kind: str
    rows: int
    bytes: int
    compute_ms: int
    pico_rho: int


@dataclass(frozen=True, slots=True)
class DeliverySeen:
    at: str
    release: str
    recipient: str
    product: str | None
    operator: str


@dataclass(slots=True)
class Work:
    """Jobs by what became of them in the period."""

    submitted: Counter[str] = field(default_factory=Counter)  # by kind
    refused: int = 0
    cancelled: int = 0
    forfeited: int = 0
    reused: int = 0
    codes: Counter[str] = field(default_factory=Counter)  # of refusals: why, by code


class Activity:
    """`operator` None: of everybody."""

    def __init__(self, source: Source, world: World, period: Period, operator: str | None) -> None:
        self.source = source
        self.world = world
        self.period = period
        self.operator = operator
        self.start = source.first_at(rfc3339(period.start))
        self.end = source.first_at(rfc3339(period.end))

    def events(self, *kinds: str) -> Iterator[Entry]:
        """Entries of these kinds in the period."""
        return self.source.entries(kinds, self.start, self.end)

    def mine(self, operator: str | None) -> bool:
        return self.operator is None or operator == self.operator

    def jobs(self, ids: Iterable[str]) -> dict[str, JobSeen]:
        """By id; the columns read are written once, with the submission."""
        wanted, found = sorted(set(ids)), {}
        columns = (jobs.c.id, jobs.c.operator, jobs.c.licence, jobs.c.scenario, jobs.c.kind)
        for start in range(0, len(wanted), CHUNK):
            query = select(*columns).where(jobs.c.id.in_(wanted[start : start + CHUNK]))
            for row in self.source.connection.execute(query):
                found[row.id] = JobSeen(row.operator, row.licence, row.scenario, row.kind)
        return found

    @cached_property
    def work(self) -> Work:
        made = Work()
        over = list(self.events("job_refused", "job_cancelled", "job_forfeited", "release_reused"))
        known = self.jobs(entry["job"] for entry in over if entry["job"])
        for entry in self.events("job_submitted"):
            if self.mine(entry["operator"]):
                made.submitted[str(entry["job_kind"])] += 1
        for entry in over:
            seen = known.get(entry["job"] or "")
            if not self.mine(seen.operator if seen else entry.get("operator")):
                continue
            match entry.kind:
                case "job_refused":
                    made.refused += 1
                    made.codes.update(set(entry["rules"]) or set(entry["codes"]))
                case "job_cancelled":
                    made.cancelled += 1
                case "job_forfeited":
                    made.forfeited += 1
                case _:
                    made.reused += 1
        return made

    @cached_property
    def releases(self) -> tuple[ReleaseSeen, ...]:
        """In order of publication. Rows of `releases` and `metering` are written once, with their entry."""
        columns = (releases.c.id, releases.c.published_at, releases.c.job, metering)
        query = (
            select(*columns)
            .join(metering, metering.c.release == releases.c.id)
            .where(releases.c.entry >= self.start, releases.c.entry < self.end)
            .order_by(releases.c.entry)
        )
        if self.operator is not None:
            query = query.where(metering.c.operator == self.operator)
        rows = self.source.connection.execute(query).all()
        known = self.jobs(row.job for row in rows)
        return tuple(
            ReleaseSeen(
                row.id, row.published_at, row.operator, row.licence, known[row.job].scenario, known[row.job].kind,
                row.rows, row.bytes, row.compute_ms or 0, row.pico_rho,
            )
            for row in rows
        )  # fmt: skip

    @cached_property
    def deliveries(self) -> tuple[DeliverySeen, ...]:
        columns = (deliveries.c.delivered_at, deliveries.c.release, deliveries.c.recipient, deliveries.c.product, metering.c.operator)
        query = (
            select(*columns)
            .join(metering, metering.c.release == deliveries.c.release)
            .where(deliveries.c.entry >= self.start, deliveries.c.entry < self.end)
            .order_by(deliveries.c.entry)
        )
        found = (DeliverySeen(*row) for row in self.source.connection.execute(query))
        return tuple(each for each in found if self.mine(each.operator))

    def by_month(self) -> tuple[tuple[str, int], ...]:
        """Releases in each month of the period; in each day, when it is one month."""
        if self.period.kind == "month":
            days = Counter(china_day(release.at) for release in self.releases)
            return tuple((day, days[day]) for day in month_days(self.period))
        months = Counter(china_day(release.at)[:7] for release in self.releases)
        return tuple((str(month), months[str(month)]) for month in self.period.months())


def china_day(moment: str) -> str:
    """
    >>> china_day("2026-11-30T16:00:00.000000Z")
    '2026-12-01'
    """
    return parse_time(moment).astimezone(CHINA).date().isoformat()


def month_days(period: Period) -> tuple[str, ...]:
    day, days = period.start.astimezone(CHINA), []
    while day < period.end:
        days.append(day.date().isoformat())
        day += timedelta(days=1)
    return tuple(days)
