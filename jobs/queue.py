"""Who works on which job: leases with a fencing token, threads that carry jobs through, and what a starting server finds.

A lease names a holder (one server process) and a token that grows with each holder. Every step of a job is written in one transaction
with `Leases.hold`, so a server that was thought dead and comes back cannot write a step: its token is old. Leases are working notes; no
consequence outlives them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import ColumnElement, Engine, Integer, String, and_, bindparam, exists, insert, literal_column, or_, select, update

from infra.clock import Clock
from infra.database import UNAVAILABLE, reading, writing
from infra.prepared import Prepared, Writer, fetch
from infra.tables import jobs, leases
from jobs.events import rfc3339
from jobs.fair import FairGate, FairQueue
from jobs.states import OPEN, State

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


@dataclass(frozen=True, slots=True)
class Found:
    """A job that wants somebody to carry it."""

    job: str
    operator: str


_LEADERS = jobs.alias("leaders")
_CARRIED = tuple(sorted(state.value for state in OPEN - {State.ATTACHED}))


_key = bindparam("key_", type_=String)
_token, _holder, _end = bindparam("token_", type_=Integer), bindparam("holder_", type_=String), bindparam("end", type_=String)
_held = update(leases).where(leases.c.job == _key, leases.c.token == _token)
_LEASE = Prepared(select(leases.c.token, leases.c.expires_at).where(leases.c.job == _key))
_FIRST = Prepared(insert(leases))
_TAKE = Prepared(_held.values(holder=_holder, token=bindparam("next_", type_=Integer), expires_at=_end))
_HOLD = Prepared(_held.where(leases.c.holder == _holder).values(expires_at=_end))
_unheld = (
    select(jobs.c.id, jobs.c.operator)
    .outerjoin(leases, leases.c.job == jobs.c.id)
    .where(or_(leases.c.job.is_(None), leases.c.expires_at <= bindparam("now", type_=String)))
    .order_by(jobs.c.submitted_at, jobs.c.id)
)


def _in(column: ColumnElement[str], states: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(column == literal_column(f"'{state}'") for state in states))


_led = exists().where(_LEADERS.c.id == jobs.c.follows, _in(_LEADERS.c.state, _CARRIED))
_waited = and_(jobs.c.state == literal_column(f"'{State.ATTACHED.value}'"), ~_led)
_ABANDONED = Prepared(_unheld.where(or_(_in(jobs.c.state, _CARRIED), _waited)))
_FOLLOWERS = Prepared(_unheld.where(_waited, jobs.c.follows == bindparam("leader", type_=String)))


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

    def take(self, writer: Writer, job: str) -> Lease:
        """A lease on a job nobody works on, in the caller's writing transaction. LeaseLost when somebody does."""
        row = writer.row(_LEASE, {"key_": job})
        if row is None:
            writer.later(_FIRST, {"job": job, "holder": self.holder, "token": 1, "expires_at": self._end()}, None, partial(LeaseLost, job))
            return self._keep(Lease(job, self.holder, 1))
        token, expires_at = row
        if expires_at > self._now():
            raise LeaseLost(job)
        if writer.run(_TAKE, {"key_": job, "token_": token, "next_": token + 1, "holder_": self.holder, "end": self._end()}) != 1:
            raise LeaseLost(job)
        return self._keep(Lease(job, self.holder, token + 1))

    def _keep(self, lease: Lease) -> Lease:
        self._ours[lease.job] = lease
        return lease

    def claim(self, job: str) -> Lease:
        with writing(self._engine) as connection:
            writer = Writer(connection)
            lease = self.take(writer, job)
            writer.flush()
        return lease

    def hold(self, writer: Writer, lease: Lease) -> None:
        """Make sure, inside the transaction that writes a step, that the lease is still ours; lengthen it. LeaseLost otherwise, at the latest
        when something is read there."""
        values = {"key_": lease.job, "token_": lease.token, "holder_": lease.holder, "end": self._end()}
        writer.later(_HOLD, values, 1, partial(LeaseLost, lease.job))

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

    def abandoned(self, leader: str | None = None) -> list[Found]:
        """Open jobs that nobody works on, oldest first. One that waits for another's answer is among them once that job is over; `leader`:
        only those that waited for this one."""
        given = {"now": self._now()} if leader is None else {"now": self._now(), "leader": leader}
        with reading(self._engine) as connection:
            found = fetch(connection, _ABANDONED if leader is None else _FOLLOWERS, given)
        return [Found(row.id, row.operator) for row in found]


class Crew:
    """Threads that carry jobs, a heartbeat for their leases, and a look-out for jobs whose holder fell silent.

    `resume(job)` carries one found job through. Threads mostly wait for a slot, so there are many, and one operator has at most a quarter
    of them; `reading` bounds how many jobs read rows at once. Both are given out in fair order between operators.
    """

    def __init__(self, leases: Leases, clock: Clock, *, lease_s: int, threads: int = 128, readers: int = 4) -> None:
        self._leases = leases
        self._clock = clock
        self._beat_s = lease_s / 3
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="job")
        self._stop = threading.Event()
        self._look_out: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting: FairQueue[Callable[[], None]] = FairQueue()
        self._busy: Counter[str] = Counter()  # threads by operator
        self._most = max(1, threads // 4)
        self._taken: set[str] = set()  # found jobs that wait for a thread, or have one
        self._resume: Callable[[str], None] | None = None
        self.reading = FairGate(readers)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def start(self, resume: Callable[[str], None]) -> None:
        """Take up abandoned jobs now and whenever one turns up."""
        self._resume = resume
        self._take_up(self._leases.abandoned())
        self._look_out = threading.Thread(target=self._watch, name="look-out", daemon=True)
        self._look_out.start()

    def carry(self, operator: str, work: Callable[[], None]) -> None:
        """Run in a thread of the crew, when it is the operator's turn. Stopping when the server is going down."""
        if self.stopping:
            raise Stopping
        with self._lock:
            self._waiting.put(operator, work)
        self._pool.submit(self._work)

    def over(self, job: str) -> None:
        """A job came to its end: take up those that waited for its answer."""
        if self._resume is None or self.stopping:
            return
        try:
            self._take_up(self._leases.abandoned(leader=job))
        except (*UNAVAILABLE, Stopping) as error:  # the look-out finds them
            log.warning("waiting_not_taken_up", job=job, error=type(error).__name__)

    def _work(self) -> None:
        """Work while there is any that may have a thread. An operator that has its share is passed over: its own threads come back for more."""
        while True:
            with self._lock:
                full = frozenset(operator for operator, count in self._busy.items() if count >= self._most)
                found = self._waiting.take(full)
                if found is None:
                    return
                operator, work = found
                self._busy[operator] += 1
            try:
                work()
            finally:
                with self._lock:
                    self._busy[operator] -= 1
                    if not self._busy[operator]:
                        del self._busy[operator]

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

    def _watch(self) -> None:
        while not self._stop.wait(self._beat_s):
            try:
                self._leases.renew_all()
                self._take_up(self._leases.abandoned())
            except Exception as error:  # the database may be gone for a while; jobs are safe where they are
                log.warning("heartbeat_failed", error=type(error).__name__)

    def _take_up(self, found: list[Found]) -> None:
        for each in found:
            if self.stopping:
                return
            with self._lock:
                if each.job in self._taken:
                    continue
                self._taken.add(each.job)
            log.info("resume", job=each.job)
            self.carry(each.operator, partial(self._carry_found, each.job))

    def _carry_found(self, job: str) -> None:
        assert self._resume is not None  # nothing is found before `start`
        try:
            self._resume(job)
        finally:
            with self._lock:
                self._taken.discard(job)
