"""The walk of one release, from an order to a table that may be fetched. `docs/walk.md` goes through it hop by hop.

A crash may happen between any two lines, and on any line. What each hop leaves behind is enough for `resume` to go on: before `reading`
nothing was read and the reservation stands; from `reading` on the same plan gives the same totals; once an answer is staged, its
bytes are published and noise is never drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from jobs import admission, hops, verdicts
from jobs.kinds import REVIEWED, kind_of
from jobs.lane.hold import hold
from jobs.office import GivenUp, Office
from jobs.order import Admitted, Order
from jobs.queue import LeaseLost, Stopping
from policies.problem import Problem

log = structlog.get_logger("yunei.release")

Told = Callable[[str], None]  # is given the job's id as soon as there is one


def release(office: Office, order: Order, told: Told, resumed: Admitted[Any] | None = None) -> None:
    """Hop 1, authentication and a closed schema, is behind us. `resumed` is a job that an earlier server admitted.

    Raises the problem when the order is refused: then nothing was read or spent, and the refusal stands in the log.
    """
    kind = kind_of(order)
    if resumed is None:
        with verdicts.refusals_logged(office, order), office.tracing.span("admit"):
            verdicts.may_ask(office, order)  # 3: licence in force, scenario, kind of job
            catalogue = office.register.catalogue()
            plan = kind.compile(office, order.request, catalogue)  # 4: plan and price, from public facts alone
            kind.check(plan)  # 4: OpenDP's own map agrees with the price; the last query runs, over no rows
            admitted = admission.admit(office, order, plan, catalogue)  # 5, 2, 6, 7: asked before? every account; from here on it costs
        if isinstance(admitted, str):  # answered, or waiting for the answer that another job is getting to the same question
            told(admitted)
            return
        job = admitted
        told(job.id)
    else:
        job = resumed
    with office.tracing.span("behind_the_wall", {"job": job.id}):  # ends with `publish`, at a public instant, or with a constant failure
        if order.request.kind in REVIEWED:  # counted, sealed, held: people go on from here
            hold(office, job)
            return
        staged = office.staging.load(job.id)  # 10: what was staged before a crash is published, never drawn again
        if staged is None:
            hops.begin_reading(office, job)  # 7, for a job that waited for another one: asked again
            with hops.constant_failure(office, job):
                totals = hops.totals(office, job)  # 7, 8: shards on workers, partials added exactly
            hops.spend(office, job)  # 9: at a public instant, before the first draw
            with hops.constant_failure(office, job):
                answer = hops.drawn(office, job, totals)  # 9: part by part, one draw each; then only noisy rows
                staged = hops.stage(office, job, answer)  # 10: fixed for ever
        hops.publish(office, job, staged)  # 11, 11b: licence asked again, log, projections, metering in one transaction; visible at the slot


def carry(office: Office, order: Order, told: Told, refused: Callable[[Exception], None]) -> None:
    """`release` in a thread of its own: whoever waits hears the id or the problem; afterwards nobody does, and nothing is left to raise."""
    job: str | None = None

    def tell(known: str) -> None:
        nonlocal job
        job = known
        told(known)

    try:
        with office.tracing.span("job"):
            release(office, order, tell)
    except Exception as error:
        if job is None:
            refused(error)
        else:
            _left(office, job, error)


def resume(office: Office, job_id: str) -> None:
    """Take up a job whose server fell silent, by the crash column of the walk."""
    try:
        job = hops.take_up(office, job_id)
        if job is not None:
            release(office, job.order, lambda _: None, resumed=job)
    except Exception as error:
        _left(office, job_id, error)


def _left(office: Office, job: str, error: Exception) -> None:
    """The job stops here: given up and written down as such, or somebody else's, or left where it is for whoever looks next."""
    if isinstance(error, GivenUp | LeaseLost):
        office.leases.forget(job)
        return
    if not isinstance(error, Stopping):
        log.warning("job_left", job=job, error=error.code if isinstance(error, Problem) else type(error).__name__)
    office.leases.give_back(job)
