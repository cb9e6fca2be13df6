"""Hops 2, 5, 6 and 7: whether an order is answered already, is being answered, or becomes a job with a charge of its own, that reads.

All of it is decided in one transaction, so that of two identical questions that come at once one is charged and the other waits for its
answer. A job that is admitted reads at once, in the thread that admitted it: it is `reading` by the end of that transaction. A job that
waits (`attached`) has no charge, no lease and no thread: it is taken up when the job it follows is over, by this server or a later one. If
that job came to nothing, it goes on as a job of its own, and what the policy says is asked once more before it reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, String, bindparam, func, literal_column, or_, select, union_all

from infra.prepared import Prepared, fetch
from infra.settings import Settings
from infra.tables import answers, jobs, openings, releases
from jobs import directory, ledger, verdicts
from jobs import events as ev
from jobs.kinds import Work, kind_of
from jobs.office import SYSTEM, Office
from jobs.order import Admitted, Order, accounts_named
from jobs.queue import Lease
from jobs.register import Act
from jobs.slots import Slots, choose, parse_time
from jobs.states import OPEN, State
from policies.catalogue import Catalogue
from policies.problem import Problem, declare
from policies.quota import begin, renewal
from sandbox.raw.places import check_places

JOB_QUOTA_AT_ONCE = declare(
    "job_quota_at_once",
    zh=(
        "同时运行的作业已达上限",
        "协议 {licence} 至多同时运行 {most} 个作业，现有 {running} 个。",
        "请于 {retry_at} 之后再提交，或先取消不再需要的作业。",
    ),
    en=(
        "Too many jobs at once",
        "Licence {licence} may have {most} jobs running at once; it has {running}.",
        "Submit it after {retry_at}, or cancel a job you no longer need.",
    ),
)
JOB_QUOTA_DAY = declare(
    "job_quota_day",
    zh=("今日作业数已达上限", "协议 {licence} 每日至多受理 {most} 个作业，今日已受理 {admitted} 个。", "请于 {retry_at} 之后再提交。"),
    en=(
        "Too many jobs today",
        "Licence {licence} may have {most} jobs admitted a day; it had {admitted} today.",
        "Submit it after {retry_at}.",
    ),
)

Shared = Literal["release", "job"]
CARRIED = tuple(sorted(state.value for state in OPEN - {State.ATTACHED}))


def question_of(plan: Work) -> str:
    return ev.question_digest(plan.digest, tuple(scan.digest for scan in plan.scans))


def slot_of(settings: Settings, order: Order, plan: Work, catalogue: Catalogue) -> int:
    """The index of the job's public slot."""
    return choose(settings.slots_ms, kind_of(order).expected_ms(settings, plan, catalogue))


def admit(office: Office, order: Order, plan: Work, catalogue: Catalogue) -> Admitted[Any] | str:
    """In one transaction: what the policy in force says of all that the plan reads, does and spends; then answer with the release of the same
    question, free; or wait for the job that is answering it, free; or admit the job within the licence's quotas, with its price reserved
    on every account, to read at once. A job that is not ours to carry is given by its id. Raises the refusal."""
    job, question, refusal = office.new_id("job"), question_of(plan), unreadable(office, order, plan)
    with office.register.transaction(publish=False) as act:
        decision = verdicts.decided(act.connection, office, order, plan, catalogue)
        verdicts.require(decision)
        _submit(act, job, order, plan)
        found = _same_question(act, question)
        if found is None:
            if refusal is not None:
                raise refusal
            require_quota(act.connection, order.licence, parse_time(act.at), office.settings)
            return _reserve(office, act, job, order, plan, question, catalogue, decision.policy_digest)
        _share(act, job, order.by.id, plan, question, found, decision.policy_digest)
    office.done(job)
    return job


def unreadable(office: Office, order: Order, plan: Work) -> Problem | None:
    """What keeps the plan's rows from being read, if anything does. Reads no row."""
    try:
        check_places(plan.scans, office.workers)
        kind_of(order).readable(office, plan)
    except Problem as problem:
        return problem
    return None


def go_on(office: Office, act: Act, lease: Lease, order: Order, plan: Work, catalogue: Catalogue, policy: str) -> Admitted[Any] | Shared:
    """A job that waited for another one's answer, that job being over: ours to carry, answered, or waiting for yet another job."""
    question = question_of(plan)
    found = _same_question(act, question)
    if found is None:
        return _reserve(office, act, lease.job, order, plan, question, catalogue, policy, lease)
    _share(act, lease.job, SYSTEM, plan, question, found, policy)
    return found[0]


def _submit(act: Act, job: str, order: Order, plan: Work) -> None:
    sealed = act.seal(order.sealed({scan.dataset: scan.version for scan in plan.scans}))
    act.append(
        ev.JobSubmitted(
            by=order.by.id,
            job=job,
            operator=order.by.id,
            licence=order.licence,
            scenario=order.scenario,
            job_kind=order.request.kind,
            request=sealed,
            idempotency=order.idempotency,
        )
    )


_question = bindparam("question_", type_=String)
_SAME = Prepared(
    union_all(
        select(literal_column("'release'").label("what"), answers.c.release.label("id"))
        .join(releases, releases.c.id == answers.c.release)
        .join(openings, openings.c.commitment == releases.c.record)  # one whose record was lost in a restore answers nobody
        .where(answers.c.question == _question),
        select(literal_column("'job'"), jobs.c.id).where(
            jobs.c.question == _question, or_(*(jobs.c.state == literal_column(f"'{state}'") for state in CARRIED))
        ),
    )
)
_SUBMITTED = Prepared(select(jobs.c.submitted_at).where(jobs.c.id == bindparam("key_", type_=String)))


def _same_question(act: Act, question: str) -> tuple[Shared, str] | None:
    """("release", its id) when it was answered, ("job", its id) when it is being answered."""
    found = dict(act.writer.rows(_SAME, {"question_": question}))
    kinds: tuple[Shared, ...] = ("release", "job")
    return next(((what, found[what]) for what in kinds if what in found), None)


def _share(act: Act, job: str, by: str, plan: Work, question: str, found: tuple[Shared, str], policy: str) -> None:
    what, name = found
    if what == "release":
        act.append(ev.ReleaseReused(by=by, job=job, release=name, policy_digest=policy))
    else:
        act.append(ev.JobAttached(by=by, job=job, follows=name, plan_digest=plan.digest, question=question))


def _reserve(
    office: Office,
    act: Act,
    job: str,
    order: Order,
    plan: Work,
    question: str,
    catalogue: Catalogue,
    policy: str,
    lease: Lease | None = None,
) -> Admitted[Any]:
    """The price on every account, and a lease unless there is one. A job that waited before has a slot that begins when it began, and does
    not read yet."""
    charge, ladder = f"charge-{job}", office.settings.slots_ms
    submitted = str(act.writer.rows(_SUBMITTED, {"key_": job})[0][0])
    waited = parse_time(act.at) - parse_time(submitted)
    chosen = choose(ladder, kind_of(order).expected_ms(office.settings, plan, catalogue) + waited / timedelta(milliseconds=1))
    slots = Slots(parse_time(submitted), chosen, ladder)
    act.append(
        ev.JobAdmitted(
            by=SYSTEM,
            job=job,
            plan_digest=plan.digest,
            question=question,
            cost=ev.Cost.of(plan.loss),
            policy_digest=policy,
            slot_ms=slots.rung_ms(chosen),
        )
    )
    fresh = lease is None
    named = accounts_named(plan, order)
    ledger.reserve(act, charge=charge, job=job, accounts=named, loss=plan.loss, by=order.by.id, reads=SYSTEM if fresh else None)
    lease = lease or office.leases.take(act.writer, job)
    return Admitted(job, order, plan, catalogue, question, charge, slots, lease, State.READING if fresh else State.ADMITTED)


_licence = jobs.c.licence == bindparam("licence_", type_=String)
_RUNNING = Prepared(
    select(jobs.c.submitted_at, jobs.c.slot_ms).where(
        _licence, or_(*(jobs.c.state == literal_column(f"'{state}'") for state in (*CARRIED, State.ATTACHED.value)))
    )
)
_ADMITTED = Prepared(
    select(func.count().label("admitted")).where(_licence, jobs.c.submitted_at >= bindparam("since", type_=String), jobs.c.charge.is_not(None))
)


def require_quota(connection: Connection, licence_id: str, now: datetime, settings: Settings) -> None:
    """Raise what the licence's quotas say against one more job now. Jobs that wait for another one's answer count as running, repetitions
    that were answered free do not count at all."""
    record = directory.licence(connection, licence_id)
    if record is None:
        return  # refused elsewhere, in words of its own
    quota = record.licence.quota
    if quota.jobs_at_once is not None:
        running = fetch(connection, _RUNNING, {"licence_": licence_id})
        if len(running) >= quota.jobs_at_once:
            slots = [Slots.of(parse_time(row.submitted_at), row.slot_ms or settings.slots_ms[0], settings.slots_ms) for row in running]
            free_at = min(each.visible_at(now) for each in slots)
            raise JOB_QUOTA_AT_ONCE(licence=licence_id, most=quota.jobs_at_once, running=len(running), retry_at=ev.rfc3339(free_at))
    if quota.jobs_a_day is not None:
        since = ev.rfc3339(begin("day", now))
        admitted = fetch(connection, _ADMITTED, {"licence_": licence_id, "since": since})[0].admitted
        if admitted >= quota.jobs_a_day:
            retry_at = renewal("day", now).isoformat()
            raise JOB_QUOTA_DAY(licence=licence_id, most=quota.jobs_a_day, admitted=admitted, retry_at=retry_at)
