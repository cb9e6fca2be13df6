"""Schedules as they stand, and what each of their jobs came to. Reading only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from infra.tables import jobs, product_releases, releases, schedule_runs, schedules


@dataclass(frozen=True, slots=True)
class Run:
    """`release` once there is one; `visible_at` when it may be seen; `added`: whether it is in the product."""

    snapshots: str
    job: str
    state: str
    release: str | None
    visible_at: str | None
    added: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """`runs` oldest first."""

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
    made = (
        select(schedule_runs, jobs.c.state, jobs.c.release, releases.c.visible_at)
        .join(jobs, jobs.c.id == schedule_runs.c.job)
        .outerjoin(releases, releases.c.id == jobs.c.release)
        .where(schedule_runs.c.schedule.in_([row.id for row in rows]))
        .order_by(schedule_runs.c.entry)
    )
    product_of = {row.id: row.product for row in rows}
    held = select(product_releases.c.product, product_releases.c.release).where(product_releases.c.product.in_(set(product_of.values())))
    there = {(row.product, row.release) for row in connection.execute(held)}
    for row in connection.execute(made):
        added = (product_of[row.schedule], row.release) in there
        runs.setdefault(row.schedule, []).append(Run(row.snapshots, row.job, row.state, row.release, row.visible_at, added))
    return [
        Schedule(
            row.id, row.product, row.operator, row.licence, row.state, row.reason, row.request, row.releases_at_most, row.set_at,
            row.changed_at, tuple(runs.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip
