"""The steps of a schedule of running totals: a release at the end of each period, and a version that adds up all there is.

Each step is taken once, whoever takes it and however often: a job is submitted under an Idempotency-Key that names schedule and period, a run
is one row, and a version is there when one is of just the releases that make up its total.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from infra.database import reading
from jobs import lookup
from jobs.acts.products import SYSTEM, add_version
from jobs.acts.schedules import note_run
from jobs.events import rfc3339
from jobs.kinds import kind_of
from jobs.lookup import ReleaseSeen
from jobs.office import Office
from jobs.order import Order, idempotency_digest
from jobs.products import running, schedules, seen
from jobs.products.copies import Copies
from jobs.products.schedules import Run, Schedule
from policies.problem import Problem

WAIT_S = 60.0  # for the crew to take a job
Submit = Callable[[Order], "Future[str]"]


def add(office: Office, copies: Copies, schedule: Schedule, order: Order) -> None:
    """A version for each period whose total is all released and visible, in order. Raises what keeps a total from being added up."""
    assert schedule.running is not None
    for period, run in enumerate(schedule.periods, 1):
        if run.added:
            continue
        parts = _visible(office, schedule, period)
        if parts is None:
            return
        try:
            _add(office, copies, schedule, order, period, parts)
        except Problem:
            if not _is_added(office, schedule, period):  # another server was first
                raise


def next_period(office: Office, submit: Submit, schedule: Schedule, order: Order) -> None:
    """Submit the job of the next period, once its data is complete. Raises what keeps it from being released, or from being added up then."""
    plan, catalogue = schedule.running, office.register.catalogue()
    assert plan is not None
    if schedule.periods and schedule.periods[-1].release is None:
        raise running.RUNNING_BROKEN(period=len(schedule.periods), job=schedule.periods[-1].job)
    period = len(schedule.periods) + 1
    if not running.over(plan, period, catalogue):
        return
    asked, _ = running.asked(order, plan, period, catalogue)
    work = kind_of(asked).compile(office, asked.request, catalogue)
    running.require_window(plan, period, work.scans)
    reads = [{"dataset": scan.dataset, "version": scan.version, "digest": scan.digest} for scan in work.scans]
    before = [(each, _release(office, each, schedule.periods[each - 1])) for each in plan.sums(period)[:-1]]
    with reading(office.register.engine) as connection:
        parts = [*((each, release.record["sources"]) for each, release in before), (period, reads)]
        running.require_same_rows(connection, office.vault, plan, parts)
    order = replace(asked, idempotency=idempotency_digest(schedule.id, f"period {period}"))
    known = lookup.by_idempotency(office.register, order.idempotency or "")
    job = known[0] if known is not None else submit(order).result(WAIT_S)
    note_run(office.register, schedule.id, hashlib.sha256(f"{schedule.id} period {period}".encode()).hexdigest(), job)


def _add(office: Office, copies: Copies, schedule: Schedule, order: Order, period: int, parts: Sequence[tuple[int, ReleaseSeen]]) -> None:
    plan, register = schedule.running, office.register
    assert plan is not None
    _, question = running.asked(order, plan, period, register.catalogue())
    with reading(register.engine) as connection:
        running.require_same_rows(connection, office.vault, plan, [(at, release.record["sources"]) for at, release in parts])
        product = seen.product(connection, schedule.product)
    assert product is not None  # schedules are of products
    total = running.total_of(plan, period, parts, question, product)
    add_version(register, office.staging, copies, schedule.product, tuple(part.id for _, part in parts), by=SYSTEM, total=total)


def _visible(office: Office, schedule: Schedule, period: int) -> list[tuple[int, ReleaseSeen]] | None:
    """The releases that the total at `period` is the sum of, each with its own period; None while one of them cannot be seen."""
    assert schedule.running is not None
    now, made = rfc3339(office.clock()), schedule.parts(period)
    if made is None or any(run.visible_at is None or run.visible_at > now for run in made):
        return None
    return [(at, _release(office, at, schedule.periods[at - 1])) for at in schedule.running.sums(period)]


def _release(office: Office, period: int, run: Run) -> ReleaseSeen:
    found = lookup.release(office.register, run.release or "", office.clock())
    if found is None:
        raise running.RUNNING_BROKEN(period=period, job=run.job)
    return found


def _is_added(office: Office, schedule: Schedule, period: int) -> bool:
    with reading(office.register.engine) as connection:
        found = schedules.schedule(connection, schedule.id)
    return found is not None and found.periods[period - 1].added
