"""A thread that keeps schedules: submits a job when its data has come to a new state, and adds what was released to the product. Schedules of
running totals have steps of their own (`keeping`).

Whatever is done once stays done: a job is submitted under an Idempotency-Key that names schedule and data, a run is one row per schedule and
data, a release is added to a product once. So a crash, or another server that does the same, changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import structlog

from infra.database import reading
from infra.rounds import Rounds
from jobs import directory, lookup
from jobs.acts.products import SYSTEM, add_version
from jobs.acts.schedules import note_run, stop_schedule
from jobs.events import rfc3339
from jobs.kinds import KINDS, unsealed
from jobs.office import Office
from jobs.order import Asker, Order, idempotency_digest
from jobs.products import keeping, schedules, seen
from jobs.products.copies import Copies
from jobs.products.keeping import WAIT_S, Submit
from jobs.products.schedules import Schedule
from jobs.states import MEANING, State
from policies.problem import Problem
from policies.product.life import GROWING

log = structlog.get_logger("yunei.renewal")


class Renewal(Rounds):
    """`office` is asked for anew each round: before the workers are there, nothing is submitted."""

    def __init__(self, office: Callable[[], Office], copies: Copies, submit: Submit, *, interval_s: float) -> None:
        super().__init__("renewal", interval_s=interval_s, at_once=False)
        self._office = office
        self._copies = copies
        self._submit = submit

    def once(self) -> None:
        """One round over all schedules. One that fails is tried again next time, and keeps no other waiting."""
        with reading(self._office().register.engine) as connection:
            active = schedules.schedules_of(connection, active=True)
        for schedule in active:
            if self.stopping:
                return
            try:
                self._step(schedule)
            except Exception as error:
                told = error.code if isinstance(error, Problem) else type(error).__name__
                log.warning("renewal_failed", schedule=schedule.id, error=told)

    def _step(self, schedule: Schedule) -> None:
        register = self._office().register
        try:
            self._add(schedule)
            if self._under_way(schedule):
                return
            if len(schedule.runs) >= schedule.releases_at_most:
                stop_schedule(register, schedule.id, reason="used_up")
                return
            with reading(register.engine) as connection:
                product = seen.product(connection, schedule.product)
            if product is None or product.state not in GROWING:
                stop_schedule(register, schedule.id, reason="product_state_conflict")
                return
            self._renew(schedule)
        except Problem as problem:
            if problem.code.startswith("server_"):
                raise
            stop_schedule(register, schedule.id, reason=problem.code)

    def _under_way(self, schedule: Schedule) -> bool:
        """A job of its is not over, or what it released cannot be seen yet."""
        now = rfc3339(self._office().clock())
        return any(
            MEANING[State(run.state)].shown in ("running", "held") or (run.visible_at is not None and run.visible_at > now)
            for run in schedule.runs
        )

    def _add(self, schedule: Schedule) -> None:
        """What was released since, as versions. The same answer given again is in the product already."""
        office = self._office()
        if schedule.running is not None:
            return keeping.add(office, self._copies, schedule, self._order(schedule))
        now = rfc3339(office.clock())
        for run in schedule.runs:
            if run.release is not None and not run.added and run.visible_at is not None and run.visible_at <= now:
                add_version(office.register, office.staging, self._copies, schedule.product, (run.release,), by=SYSTEM)

    def _renew(self, schedule: Schedule) -> None:
        office = self._office()
        if schedule.running is not None:
            return keeping.next_period(office, self._submit, schedule, self._order(schedule))
        register = office.register
        order = self._order(schedule)
        catalogue = register.catalogue()
        scans = KINDS[order.request.kind].compile(office, order.request, catalogue).scans
        digest = snapshots_of([(scan.dataset.casefold(), scan.digest) for scan in scans])
        if digest in {run.snapshots for run in schedule.runs} or self._held(schedule, digest):
            return
        order = Order(order.by, order.licence, order.scenario, order.request, idempotency_digest(schedule.id, digest))
        before = lookup.by_idempotency(register, order.idempotency or "")
        job = before[0] if before is not None else self._submit(order).result(WAIT_S)
        note_run(register, schedule.id, digest, job)

    def _held(self, schedule: Schedule, digest: str) -> bool:
        """The product's newest version is of this very data."""
        with reading(self._office().register.engine) as connection:
            product = seen.product(connection, schedule.product)
        if product is None or not product.versions:
            return False
        sources = product.versions[-1].document["sources"]
        return snapshots_of([(source["dataset"].casefold(), source["digest"]) for source in sources]) == digest

    def _order(self, schedule: Schedule) -> Order:
        register = self._office().register
        with reading(register.engine) as connection:
            who = directory.principal(connection, schedule.operator)
        sealed = register.opening(schedule.request)
        assert who is not None and sealed is not None  # noqa: PT018  # both were there in the transaction that set it
        return unsealed(Asker(who.id, who.role, who.status), sealed, None)[0]


def snapshots_of(pairs: list[tuple[str, str]]) -> str:
    """What a job reads, as one digest: datasets and the digests of their content, in whatever order."""
    return hashlib.sha256("\n".join(f"{dataset} {digest}" for dataset, digest in sorted(set(pairs))).encode()).hexdigest()
