"""Who works on which job: leases with a fencing token, threads that carry jobs through, and what a starting server finds.

A lease names a holder (one server process) and a token that grows with each holder. Every step of a job is written in one transaction
with `Leases.hold`, so a server that was thought dead and comes back cannot write a step: its token is old. Leases are working notes; no
consequence outlives them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine, insert, or_, select, update

from infra.clock import Clock
from infra.database import reading, writing
from infra.tables import jobs, leases
from jobs.events import rfc3339
from jobs.states import OPEN

log = structlog.get_logger("yunei.queue")


class LeaseLost(Exception):
    """Another server holds the job now. Whoever gets this stops at once and writes nothing."""


class Stopping(Exception):
    """The server is going down: leave the job where it is; the next server takes it from there."""


@dataclass(frozen=True, slots=True)
class Lease:
    job: str
    holder: str
    token: int


class Leases:
    """The `leases` table. `holder` is this process; `lease_s` how long it may fall silent."""

    def __init__(self, engine: Engine, clock: Clock, *, holder: str, lease_s: int) -> None:
        self._engine = engine
        self._clock = clock
        self.holder = holder
        self._length = timedelta(seconds=lease_s)
        self._ours: dict[str, Lease] = {}

    def _now(self) -> str:
        return rfc3339(self._clock())

    def _end(self) -> str:
        return rfc3339(self._clock() + self._length)

    def take(self, connection: Connection, job: str) -> Lease:
        """A lease on a job nobody works on, in the caller's writing transaction. LeaseLost when somebody does."""
        row = connection.execute(select(leases.c.token, leases.c.expires_at).where(leases.c.job == job)).one_or_none()
        if row is None:
            connection.execute(insert(leases).values(job=job, holder=self.holder, token=1, expires_at=self._end()))
            return self._keep(Lease(job, self.holder, 1))
        if row.expires_at > self._now():
            raise LeaseLost(job)
        taken = connection.execute(
            update(leases)
            .where(leases.c.job == job, leases.c.token == row.token)
            .values(holder=self.holder, token=row.token + 1, expires_at=self._end())
        )
        if taken.rowcount != 1:
            raise LeaseLost(job)
        return self._keep(Lease(job, self.holder, row.token + 1))

    def _keep(self, lease: Lease) -> Lease:
        self._ours[lease.job] = lease
        return lease

    def claim(self, job: str) -> Lease:
        with writing(self._engine) as connection:
            return self.take(connection, job)

    def hold(self, connection: Connection, lease: Lease) -> None:
        """Make sure, inside the transaction that writes a step, that the lease is still ours; lengthen it. LeaseLost otherwise."""
        held = connection.execute(
            update(leases)
            .where(leases.c.job == lease.job, leases.c.token == lease.token, leases.c.holder == lease.holder)
            .values(expires_at=self._end())
        )
        if held.rowcount != 1:
            raise LeaseLost(lease.job)

    def renew_all(self) -> None:
        """Say once more that the jobs in hand are being worked on."""
        names = list(self._ours)
        if names:
            with writing(self._engine) as connection:
                connection.execute(update(leases).where(leases.c.holder == self.holder, leases.c.job.in_(names)).values(expires_at=self._end()))

    def forget(self, job: str) -> None:
        """The job is over: nobody needs a lease on it."""
        self._ours.pop(job, None)

    def give_back(self, job: str) -> None:
        """Let whoever looks next have the job at once."""
        lease = self._ours.pop(job, None)
        if lease is not None:
            with writing(self._engine) as connection:
                connection.execute(update(leases).where(leases.c.job == job, leases.c.token == lease.token).values(expires_at=self._now()))

    def void(self, place: str) -> None:
        """End the leases of earlier processes of this place (the part of a holder before `:`), known to be gone: its lock is ours."""
        with writing(self._engine) as connection:
            connection.execute(
                update(leases)
                .where(leases.c.holder.startswith(f"{place}:", autoescape=True), leases.c.holder != self.holder)
                .values(expires_at=self._now())
            )

    def abandoned(self) -> list[str]:
        """Open jobs that nobody works on, oldest first."""
        with reading(self._engine) as connection:
            return list(
                connection.scalars(
                    select(jobs.c.id)
                    .outerjoin(leases, leases.c.job == jobs.c.id)
                    .where(jobs.c.state.in_([state.value for state in OPEN]), or_(leases.c.job.is_(None), leases.c.expires_at <= self._now()))
                    .order_by(jobs.c.submitted_at, jobs.c.id)
                )
            )


class Crew:
    """Threads that carry jobs, a heartbeat for their leases, and a look-out for jobs whose holder fell silent.

    `resume(job)` carries one found job through. Threads mostly wait for a slot, so there are many; `reading` bounds how many jobs read
    rows at once.
    """

    def __init__(self, leases: Leases, clock: Clock, *, lease_s: int, threads: int = 64, readers: int = 4) -> None:
        self._leases = leases
        self._clock = clock
        self._beat_s = lease_s / 3
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="job")
        self._stop = threading.Event()
        self._look_out: threading.Thread | None = None
        self.reading = threading.Semaphore(readers)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def start(self, resume: Callable[[str], None]) -> None:
        """Take up abandoned jobs now and whenever one turns up."""
        self._take_up(resume)
        self._look_out = threading.Thread(target=self._watch, args=(resume,), name="look-out", daemon=True)
        self._look_out.start()

    def carry(self, work: Callable[[], None]) -> None:
        """Run in a thread of the crew. Stopping when the server is going down."""
        if self.stopping:
            raise Stopping
        self._pool.submit(work)

    def wait_until(self, instant: datetime) -> None:
        """Sleep until `instant`; Stopping if the server goes down first."""
        while (left := (instant - self._clock()).total_seconds()) > 0:
            if self._stop.wait(left):
                raise Stopping
        if self.stopping:
            raise Stopping

    def stop(self) -> None:
        """No new work; work under way stops at its next step."""
        self._stop.set()

    def close(self) -> None:
        """`stop`, and return when all has stopped."""
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._look_out is not None:
            self._look_out.join()

    def _watch(self, resume: Callable[[str], None]) -> None:
        while not self._stop.wait(self._beat_s):
            try:
                self._leases.renew_all()
                self._take_up(resume)
            except Exception as error:  # the database may be gone for a while; jobs are safe where they are
                log.warning("heartbeat_failed", error=type(error).__name__)

    def _take_up(self, resume: Callable[[str], None]) -> None:
        for job in self._leases.abandoned():
            if self.stopping:
                return
            log.info("resume", job=job)
            self._pool.submit(resume, job)
