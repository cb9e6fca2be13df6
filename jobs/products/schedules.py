"""Schedules as they stand, and what each of their jobs came to. Reading only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection, Row, select

from infra.tables import jobs, product_releases, releases, running_schedules, schedule_runs, schedules
from policies.product.running import Running


@dataclass(frozen=True, slots=True)
class Run:
    """`release` once there is one; `visible_at` when it may be seen; `added`: whether it is in the product, with all it is added up with."""

    snapshots: str
    job: str
    state: str
    release: str | None
    visible_at: str | None
    added: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """`runs` oldest first. `running`: what it totals, its runs then being one for each period; `earlier` are those of the periods that
    another schedule, `after`, had done before."""

    id: str
    product: str
    operator: str
    licence: str
    state: str  # active, stopped
    reason: str | None
    request: str
    releases_at_most: int
    set_at: str
    changed_at: str
    runs: tuple[Run, ...]
    running: Running | None = None
    after: str | None = None
    earlier: tuple[Run, ...] = ()

    @property
    def periods(self) -> tuple[Run, ...]:
        """The run of each period, from the first."""
        return (*self.earlier, *self.runs)

    def parts(self, period: int) -> tuple[Run, ...] | None:
        """The runs that the total at `period` is the sum of; None while one of them is not released."""
        assert self.running is not None
        made = [self.periods[each - 1] for each in self.running.sums(period)]
        return tuple(made) if all(run.release is not None for run in made) else None


def schedule(connection: Connection, id: str) -> Schedule | None:
    return next(iter(_read(connection, select(schedules).where(schedules.c.id == id))), None)


def schedules_of(connection: Connection, *, product: str | None = None, operator: str | None = None, active: bool = False) -> list[Schedule]:
    """By time."""
    query = select(schedules).order_by(schedules.c.set_at, schedules.c.id)
    if product is not None:
        query = query.where(schedules.c.product == product)
    if operator is not None:
        query = query.where(schedules.c.operator == operator)
    return _read(connection, query.where(schedules.c.state == "active") if active else query)


def _read(connection: Connection, query: object) -> list[Schedule]:
    rows = connection.execute(query).all()  # type: ignore[call-overload]  # a select over schedules
    runs: dict[str, list[Run]] = {}
    ids = [row.id for row in rows]
    made = (
        select(schedule_runs, jobs.c.state, jobs.c.release, releases.c.visible_at)
        .join(jobs, jobs.c.id == schedule_runs.c.job)
        .outerjoin(releases, releases.c.id == jobs.c.release)
        .where(schedule_runs.c.schedule.in_(ids))
        .order_by(schedule_runs.c.entry)
    )
    product_of = {row.id: row.product for row in rows}
    versions = _versions(connection, set(product_of.values()))
    there = {(product, release) for product, held in versions for release in held}
    for row in connection.execute(made):
        added = (product_of[row.schedule], row.release) in there
        runs.setdefault(row.schedule, []).append(Run(row.snapshots, row.job, row.state, row.release, row.visible_at, added))
    plain = [
        Schedule(
            row.id, row.product, row.operator, row.licence, row.state, row.reason, row.request, row.releases_at_most, row.set_at,
            row.changed_at, tuple(runs.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip
    totals = {row.schedule: row for row in connection.execute(select(running_schedules).where(running_schedules.c.schedule.in_(ids)))}
    return [each if each.id not in totals else _running(connection, each, totals[each.id], versions) for each in plain]


def _versions(connection: Connection, products: set[str]) -> set[tuple[str, tuple[str, ...]]]:
    """What each version of these products is made of."""
    held: dict[tuple[str, int], list[str]] = {}
    query = select(product_releases).where(product_releases.c.product.in_(products)).order_by(product_releases.c.position)
    for row in connection.execute(query):
        held.setdefault((row.product, row.version), []).append(row.release)
    return {(product, tuple(made)) for (product, _), made in held.items()}


def _running(connection: Connection, plain: Schedule, row: Row[tuple[object, ...]], versions: set[tuple[str, tuple[str, ...]]]) -> Schedule:
    """With what it totals. A period's run is added when there is a version of just the releases that make up its total."""
    plan = Running(row.dataset, row.step, date.fromisoformat(row.first), row.periods, row.way)
    before = None if row.after is None else schedule(connection, row.after)
    earlier = () if before is None else before.periods[: row.done]
    found = replace(plain, running=plan, after=row.after, earlier=earlier)
    return replace(found, runs=_added(found, found.runs, len(earlier), versions), earlier=_added(found, earlier, 0, versions))


def _added(found: Schedule, runs: Sequence[Run], done: int, versions: set[tuple[str, tuple[str, ...]]]) -> tuple[Run, ...]:
    def is_added(period: int) -> bool:
        parts = found.parts(period)
        return parts is not None and (found.product, tuple(run.release or "" for run in parts)) in versions

    return tuple(replace(run, added=is_added(done + place)) for place, run in enumerate(runs, 1))
