"""The hops of the walk that touch register, ledger, vault or clock. `jobs/release.py` says in which order they are taken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import String, bindparam, select

from infra.database import reading
from infra.prepared import Prepared, fetch
from infra.tables import answers, jobs, openings, releases
from jobs import admission, directory, fees, ledger, verdicts
from jobs import events as ev
from jobs.kinds import Work, kind_of, unsealed
from jobs.office import JOB_OUTDATED, SYSTEM, GivenUp, Office
from jobs.order import Admitted, Asker, Order
from jobs.queue import Lease, LeaseLost, Stopping
from jobs.register import Act
from jobs.slots import Slots, parse_time
from jobs.staging import Staged
from jobs.states import MEANING, State
from jobs.units import unit_said
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.finish.finish import Released
from sandbox.finish.formats import encode_all
from sandbox.plan.model import Scan

# ── 2 to 6: before anything is read ──────────────────────────────────────────────────────────────────────────────────────────────────


_VISIBLE = Prepared(
    select(answers.c.release)
    .join(releases, releases.c.id == answers.c.release)
    .join(openings, openings.c.commitment == releases.c.record)
    .where(answers.c.question == bindparam("question_", type_=String), releases.c.visible_at <= bindparam("now", type_=String))
)


def released_before(office: Office, question: str) -> str | None:
    """The visible release that answers the question, or None."""
    now = ev.rfc3339(office.clock())
    with reading(office.register.engine) as connection:
        found = fetch(connection, _VISIBLE, {"question_": question, "now": now})
    return str(found[0].release) if found else None


# ── 7 and 8: behind the wall ─────────────────────────────────────────────────────────────────────────────────────────────────────────


_STATE = Prepared(select(jobs.c.state).where(jobs.c.id == bindparam("key_", type_=String)))


def _state(act: Act, job: Admitted[Any]) -> State:
    return State(act.writer.rows(_STATE, {"key_": job.id})[0][0])


@contextmanager
def step(office: Office, job: Admitted[Any], *, publish: bool = False) -> Iterator[Act]:
    """One step of the job, in one transaction with the proof that the job is still ours and still goes on."""
    with office.register.transaction(publish=publish) as act:
        office.leases.hold(act.writer, job.lease)
        if MEANING[_state(act, job)].at_start == "nothing":  # cancelled meanwhile
            raise LeaseLost(job.id)
        yield act


def begin_reading(office: Office, job: Admitted[Any]) -> None:
    """State `reading`, which a job is in since it was admitted unless it waited for another one. One whose licence was stopped meanwhile, or
    whose snapshots cannot be opened, is refused here, and its reservation given back."""
    if job.state != State.ADMITTED:
        return
    refusal = admission.unreadable(office, job.order, job.plan)
    with step(office, job) as act:
        decision = verdicts.decided(act.connection, office, job.order, job.plan, job.catalogue)
        if not decision.allowed:
            refusal = decision.problem()
        if refusal is None:
            ledger.reading(act, job.charge, by=SYSTEM)
        else:
            verdicts.refuse_admitted(act, job.id, job.charge, refusal)
    if refusal is not None:
        end(office, job)
        raise GivenUp


def totals(office: Office, job: Admitted[Any]) -> Any:
    """What comes over the wall, exact and redacted; of which kind, the kind of job says."""
    return kind_of(job.order).totals(office, job)


@contextmanager
def constant_failure(office: Office, job: Admitted[Any]) -> Iterator[None]:
    """Whatever is raised inside, the job fails in one way, at a public instant, and nothing of it is told. Its charge stays."""
    failed = False
    try:
        yield
    except (Stopping, LeaseLost):
        raise
    except Exception:
        failed = True
    if failed:  # outside the handler: no traceback keeps what was in hand
        office.crew.wait_until(job.slots.publish_at(office.clock()))
        with step(office, job, publish=True) as act:
            act.append(ev.JobForfeited(by=SYSTEM, job=job.id, charge=job.charge, code="job_failed"))
        end(office, job)
        raise GivenUp


# ── 9 to 11: spent, drawn, staged, published ─────────────────────────────────────────────────────────────────────────────────────────


def spend(office: Office, job: Admitted[Any]) -> None:
    """State `spent`, at a public instant: the step lengthens a log that others may read."""
    office.crew.wait_until(job.slots.spend_at(office.clock()))
    with step(office, job) as act:
        if _state(act, job) is State.READING:  # a resumed job may have spent already
            ledger.spend(act, job.charge, by=SYSTEM)


def drawn(office: Office, job: Admitted[Any], ready: Any) -> Released:
    """Noise, and the answer made of it. Nothing drawn is kept until the answer is staged."""
    return kind_of(job.order).drawn(office, job, ready)


def stage(office: Office, job: Admitted[Any], answer: Released, beside: Mapping[str, Any] | None = None) -> Staged:
    """Fix the answer in every format, with the record of what it is; `beside`: what the record says besides."""
    release = f"rel-{job.id.removeprefix('job-')}"
    about = {"yunei.release": release, "yunei.query": job.plan.query, "yunei.delta": job.plan.delta}
    files = {f"table.{form}": data for form, data in encode_all(answer.table, metadata=about).items()}
    papers = {name: len(data) for name, data in answer.papers.items()}
    columns: list[dict[str, Any]] = []
    for column in answer.columns:
        columns.append({name: getattr(column, name) for name in ("label", "kind", "mechanism", "scale", "low", "high", "half_width_column")})
        if column.half_width_column is not None:
            columns.append({"label": column.half_width_column, "kind": "half_width"})
    record = {
        "release": release,
        "job": job.id,
        "operator": job.order.by.id,
        "licence": job.order.licence,
        "scenario": job.order.scenario,
        "query": job.plan.query,
        **({} if job.order.request.kind == "sql" else {"kind": job.order.request.kind}),
        "sources": [_source(scan, job.catalogue) for scan in job.plan.scans],
        "columns": columns,
        "rows": answer.table.num_rows,
        **kind_of(job.order).about(job.plan),
        **(beside or {}),
        "pico_rho": str(job.plan.loss.pico_rho),
        "atto_delta": str(job.plan.loss.atto_delta),
        "delta": job.plan.delta,
        "files": {name: len(data) for name, data in files.items()},
        **({"papers": papers} if papers else {}),
        "accounts": list(job.accounts),
    }
    return office.staging.stage(job.id, {**files, **answer.papers}, record)


def _source(scan: Scan, catalogue: Catalogue) -> dict[str, object]:
    """What a product made of the release must name: source and acquisition date (Government Data Regulation, 2020 draft, art. 20)."""
    dataset = catalogue[scan.dataset].dataset
    return {
        "dataset": scan.dataset,
        "version": scan.version,
        "digest": scan.digest,
        "registration_no": dataset.registration_no,
        "source_body": dataset.source_body.model_dump(),
        "acquired_on": dataset.acquired_on.isoformat(),
        **({} if (unit := unit_said(dataset)) is None else {"unit": unit}),
    }


def publish(office: Office, job: Admitted[Any], staged: Staged) -> None:
    """Licence asked again; log, projections and metering in one transaction; checkpoint signed. Visible from the slot on."""
    office.crew.wait_until(job.slots.publish_at(office.clock()))
    with step(office, job, publish=True) as act:
        decision = verdicts.decided(act.connection, office, job.order, job.plan, job.catalogue)
        if decision.allowed:
            _publish(office, act, job, staged, decision.policy_digest)
        else:
            verdicts.withhold(act, job.id, job.charge, decision)
    if not decision.allowed:
        office.staging.discard(job.id)
    end(office, job)


def _publish(office: Office, act: Act, job: Admitted[Any], staged: Staged, policy: str) -> None:
    act.append(ev.JobStaged(by=SYSTEM, job=job.id, table_sha256=staged.digests["table.arrow"]))
    released(act, job, staged, policy, job.slots.visible_at(max(parse_time(act.at), office.clock())))


def released(act: Act, job: Admitted[Any], staged: Staged, policy: str, visible_at: datetime) -> None:
    """The publication of what is staged, and its fee, in the caller's transaction."""
    record = act.seal(json.dumps({**staged.record, "digests": dict(staged.digests)}, sort_keys=True, ensure_ascii=False).encode())
    act.append(
        ev.ReleasePublished(
            by=SYSTEM,
            release=staged.record["release"],
            job=job.id,
            charge=job.charge,
            operator=job.order.by.id,
            licence=job.order.licence,
            question=job.question,
            plan_digest=job.plan.digest,
            record=record,
            table_sha256=staged.digests["table.arrow"],
            rows=staged.record["rows"],
            bytes=staged.record["files"]["table.arrow"],
            cost=ev.Cost.of(job.plan.loss),
            policy_digest=policy,
            visible_at=ev.rfc3339(visible_at),
        )
    )
    fees.post(act, staged.record["release"])


def end(office: Office, job: Admitted[Any]) -> None:
    """The walk is over for this job: nobody needs its lease, and whoever waits is told."""
    office.leases.forget(job.id)
    office.done(job.id)


# ── resuming, cancelling ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def take_up(office: Office, job_id: str) -> Admitted[Any] | None:
    """Claim a job that nobody works on and make its plan again, from the sealed request and the versions it was admitted on. None: it could
    not be made again (the program changed), so the job was refused, or forfeited when rows had been read."""
    lease = office.leases.claim(job_id)
    with reading(office.register.engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
        if MEANING[State(row.state)].at_start == "nothing":  # it ended between the look-out and the claim
            office.leases.forget(job_id)
            return None
        by = directory.principal(connection, row.operator)
        sealed = office.register.opening(row.request)
        assert by is not None and sealed is not None  # noqa: PT018  # both were written in the transaction that made the row
        order, versions = unsealed(Asker(by.id, by.role, by.status), sealed, row.idempotency)
        snapshots = (directory.snapshot(connection, dataset, version) for dataset, version in versions.items())
        catalogue = Catalogue(tuple(snapshot for snapshot in snapshots if snapshot is not None))
    try:
        plan = kind_of(order).compile(office, order.request, catalogue)
    except Problem:  # the program changed and no longer takes the query
        plan = None
    if plan is not None and plan.digest == row.plan_digest:
        if row.state == State.ATTACHED:
            return _follow(office, job_id, lease, order, plan, catalogue)
        slots = Slots.of(parse_time(row.submitted_at), row.slot_ms, office.settings.slots_ms)
        return Admitted(job_id, order, plan, catalogue, row.question, row.charge, slots, lease, row.state)
    with office.register.transaction() as act:
        office.leases.hold(act.writer, lease)
        if row.state in (State.ADMITTED, State.ATTACHED):
            verdicts.refuse_admitted(act, job_id, row.charge, JOB_OUTDATED())
        else:
            act.append(ev.JobForfeited(by=SYSTEM, job=job_id, charge=row.charge, code="job_failed"))
    office.leases.forget(job_id)
    office.done(job_id)
    return None


def _follow(office: Office, job_id: str, lease: Lease, order: Order, plan: Work, catalogue: Catalogue) -> Admitted[Any] | None:
    """The job whose answer this one waited for is over: answer with it, or go on alone if it came to nothing. None when there is nothing to
    carry: answered, refused by what holds now, or waiting for another job that asks the same."""
    outcome: Admitted[Any] | admission.Shared = "release"
    try:
        with office.register.transaction() as act:
            office.leases.hold(act.writer, lease)
            if act.connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar_one() != State.ATTACHED:
                raise LeaseLost(job_id)  # cancelled meanwhile
            decision = verdicts.decided(act.connection, office, order, plan, catalogue)
            verdicts.require(decision)
            outcome = admission.go_on(office, act, lease, order, plan, catalogue, decision.policy_digest)
    except Problem as problem:
        if problem.code.startswith("server_"):
            raise
        with office.register.transaction() as act:
            office.leases.hold(act.writer, lease)
            verdicts.refuse_admitted(act, job_id, None, problem)
    if isinstance(outcome, Admitted):
        return outcome
    if outcome == "job":
        office.leases.give_back(job_id)
        return None
    office.leases.forget(job_id)
    office.done(job_id)
    return None


def cancel(office: Office, job_id: str, by: str) -> None:
    """Stop a job that is not yet published or over; one that is stays as it is. Free only before rows were read."""
    with office.register.transaction() as act:
        row = act.connection.execute(select(jobs.c.state, jobs.c.charge).where(jobs.c.id == job_id)).one()
        if MEANING[State(row.state)].shown != "running":
            return
        act.append(ev.JobCancelled(by=by, job=job_id, charge=row.charge))
    office.staging.discard(job_id)
    office.done(job_id)
