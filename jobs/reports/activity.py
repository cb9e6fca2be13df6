"""What happened in a period: jobs, releases, deliveries and fees, of everybody or of one operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from operator import add
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, func, select

from infra.tables import deliveries, job_months, jobs, metering, release_days, releases, review_votes, reviews, usage_months
from jobs.events import rfc3339
from jobs.reports.source import CHUNK, Entry, Source
from jobs.reports.world import World
from jobs.slots import parse_time
from policies.period import Period
from policies.quota import CHINA
from policies.review import VERDICTS


@dataclass(frozen=True, slots=True)
class JobSeen:
    """What a job is, from its submission: none of it changes."""

    operator: str
    licence: str
    scenario: str
    kind: str


class Sums(NamedTuple):
    """What releases come to: how many, rows, bytes, milliseconds by public slots, pico-rho."""

    releases: int = 0
    rows: int = 0
    bytes: int = 0
    compute_ms: int = 0
    pico_rho: int = 0

    def plus(self, more: Iterable[int]) -> Sums:
        return Sums(*map(add, self, more))

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(map(str, self))


class Delivered(NamedTuple):
    """So many deliveries of a product to a recipient; of a release that is in no product: None."""

    product: str | None
    recipient: str
    times: int


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
            for row in self.source.connection.execute(query).all():
                found[row.id] = JobSeen(row.operator, row.licence, row.scenario, row.kind)
        return found

    @cached_property
    def work(self) -> Work:
        made = Work(submitted=self._submitted())
        if self.operator is None:
            count = self.source.counts(("job_refused", "job_cancelled", "job_forfeited", "release_reused"), self.start, self.end)
            made.refused, made.cancelled = count["job_refused"], count["job_cancelled"]
            made.forfeited, made.reused = count["job_forfeited"], count["release_reused"]
            for entry in self.events("job_refused"):
                made.codes.update(set(entry["rules"]) or set(entry["codes"]))
            return made
        over = list(self.events("job_refused", "job_cancelled", "job_forfeited", "release_reused"))
        known = self.jobs(entry["job"] for entry in over if entry["job"])
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

    def _submitted(self) -> Counter[str]:
        """By kind: what is kept by months, of which every period is made, less what came after the source."""
        months = [str(month) for month in self.period.months()]
        query = select(job_months.c.kind, func.sum(job_months.c.jobs)).where(job_months.c.month.in_(months)).group_by(job_months.c.kind)
        if self.operator is not None:
            query = query.where(job_months.c.operator == self.operator)
        found = Counter({kind: int(count) for kind, count in self.source.connection.execute(query)})
        start, end = rfc3339(self.period.start), rfc3339(self.period.end)
        for entry in self.source.since(self.source.size, "job_submitted"):
            if start <= entry.at < end and self.mine(entry["operator"]):
                found[str(entry["job_kind"])] -= 1
        return Counter({kind: count for kind, count in found.items() if count})

    @cached_property
    def sums(self) -> dict[tuple[str, str, str, str, str], Sums]:
        """By operator, licence, scenario, kind of job and month: what is kept, less what came after the source."""
        months = [str(month) for month in self.period.months()]
        found: dict[tuple[str, str, str, str, str], Sums] = {}
        of = [usage_months.c[name] for name in ("licence", "scenario", "kind", "month")]
        kept = select(*of, *(usage_months.c[name] for name in Sums._fields))
        kept = kept.where(usage_months.c.licence.in_(self.world.makers), usage_months.c.month.in_(months))
        for licence, scenario, kind, month, *amounts in self.source.connection.execute(kept).all():
            if self.mine(maker := self.world.makers[licence]):
                found[maker, licence, scenario, kind, month] = Sums(*map(int, amounts))
        spent = (metering.c[name] for name in ("rows", "bytes", "compute_ms", "pico_rho"))
        later = (
            select(metering.c.operator, metering.c.licence, metering.c.scenario, jobs.c.kind, releases.c.published_at, *spent)
            .join(metering, metering.c.release == releases.c.id)
            .join(jobs, jobs.c.id == releases.c.job)
            .where(releases.c.entry >= self.source.size, releases.c.published_at < rfc3339(self.period.end))
        )
        for operator, licence, scenario, kind, at, *amounts in self.source.connection.execute(later).all():
            key = operator, licence, scenario or "", kind, china_day(at)[:7]
            if key in found:
                found[key] = found[key].plus((-1, *(-int(amount or 0) for amount in amounts)))
        return {key: each for key, each in found.items() if each.releases}

    def total(self, *places: int) -> dict[tuple[str, ...], Sums]:
        """The sums by some of their keys, in order."""
        found: dict[tuple[str, ...], Sums] = {}
        for key, each in self.sums.items():
            of = tuple(key[place] for place in places)
            found[of] = found[of].plus(each) if of in found else each
        return dict(sorted(found.items()))

    @cached_property
    def released(self) -> Sums:
        return self.total().get((), Sums())

    @cached_property
    def deliveries(self) -> tuple[Delivered, ...]:
        query = select(deliveries.c.product, deliveries.c.recipient, func.count())
        if self.operator is not None:
            query = query.join(metering, metering.c.release == deliveries.c.release).where(metering.c.operator == self.operator)
        start, end = rfc3339(self.period.start), rfc3339(self.period.end)
        query = query.where(deliveries.c.delivered_at >= start, deliveries.c.delivered_at < end)  # as the index has them
        if any(True for _ in self.source.since(self.source.size, "product_delivered")):
            query = query.where(deliveries.c.entry < self.source.size)
        rows = self.source.connection.execute(query.group_by(deliveries.c.product, deliveries.c.recipient)).all()
        return tuple(Delivered(*row) for row in rows)

    @cached_property
    def decided(self) -> Counter[str]:
        """Reviews by their outcome. Each stays as it was decided, but for those withdrawn afterwards, whose entries tell."""
        mine = () if self.operator is None else (reviews.c.operator == self.operator,)
        kept = select(reviews.c.id, reviews.c.state).where(reviews.c.state.in_(VERDICTS), *mine)
        kept = kept.where(reviews.c.changed_at >= rfc3339(self.period.start), reviews.c.changed_at < rfc3339(self.period.end))
        later = {entry["review"] for entry in self.source.since(self.source.size, "review_decided")}
        found = Counter(state for id, state in self.source.connection.execute(kept).all() if id not in later)
        voted = exists().where(review_votes.c.review == reviews.c.id, review_votes.c.opened.is_not(None))
        withdrawn = select(reviews.c.id).where(reviews.c.state == "withdrawn", voted, *mine)
        if undone := set(self.source.connection.execute(withdrawn).scalars()):
            found.update(entry["outcome"] for entry in self.events("review_decided") if entry["review"] in undone)
        return found

    def by_month(self) -> tuple[tuple[str, int], ...]:
        """Releases in each month of the period; in each day, when it is one month."""
        if self.period.kind == "month":
            days = self._by_day()
            return tuple((day, days[day]) for day in month_days(self.period))
        months = self.total(4)
        return tuple((str(month), months.get((str(month),), Sums()).releases) for month in self.period.months())

    def _by_day(self) -> Counter[str]:
        """Of everybody: what is kept, less what came after the source."""
        if self.operator is not None:
            mine = exists().where(metering.c.release == releases.c.id, metering.c.operator == self.operator)
            return self._counted(releases.c.entry >= self.start, releases.c.entry < self.end, mine)
        kept = select(release_days).where(release_days.c.day.in_(month_days(self.period)))
        days = Counter({day: count for day, count in self.source.connection.execute(kept)})
        days.subtract(self._counted(releases.c.entry >= self.source.size, releases.c.published_at < rfc3339(self.period.end)))
        return days

    def _counted(self, *which: ColumnElement[bool]) -> Counter[str]:
        """Releases by their day of China."""
        hour = func.substr(releases.c.published_at, 1, 13)  # China's midnight is a full hour of UTC
        days: Counter[str] = Counter()
        for at, count in self.source.connection.execute(select(hour, func.count()).where(*which).group_by(hour)):
            days[china_day(f"{at}:00:00.000000Z")] += count
        return days


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
