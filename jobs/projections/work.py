"""How events change the tables: jobs, by the table of transitions."""

from __future__ import annotations

from functools import partial

from sqlalchemy import bindparam, literal_column, select, true

from infra.prepared import Prepared, Writer, adding
from infra.tables import (
    charges,
    job_months,
    jobs,
)
from jobs import events as ev
from jobs.lines import STATE
from jobs.projections.ledger import give_back, period_at, settle
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add, move
from jobs.states import OPEN, TRANSITIONS, State

_MONTH = ("operator", "month", "kind")
_ONE_MORE = adding(
    job_months,
    select(*(bindparam(name, type_=job_months.c[name].type) for name in _MONTH), literal_column("1")).where(true()),
    ["jobs"],
)


@projects(ev.JobSubmitted)
def _job_submitted(writer: Writer, recorded: ev.Recorded, event: ev.JobSubmitted) -> None:
    add(
        writer,
        jobs,
        id=event.job,
        operator=event.operator,
        licence=event.licence,
        scenario=event.scenario,
        kind=event.job_kind,
        state="submitted",
        request=event.request,
        idempotency=event.idempotency,
        submitted_at=recorded.at,
        changed_at=recorded.at,
    )
    month = {"operator": event.operator, "month": period_at("month", recorded.at), "kind": event.job_kind}
    writer.later(_ONE_MORE, month, 1, partial(DoesNotFit, "job_months", event.job))


_LEADER = Prepared(select(jobs.c.state, jobs.c.question).where(jobs.c.id == bindparam("key_")))
_CARRIED = OPEN - {State.ATTACHED}
_BEFORE = {state: tuple(str(step.before) for step in TRANSITIONS if step.after is state) for state in State}


def step(writer: Writer, job: str, to: State, at: str, **values: object) -> None:
    """Move a job by the table of transitions."""
    move(writer, jobs, job, _BEFORE[to], to, at, **values)


@projects(ev.JobAttached)
def _job_attached(writer: Writer, recorded: ev.Recorded, event: ev.JobAttached) -> None:
    leader = writer.row(_LEADER, {"key_": event.follows})
    if leader is None or State(leader[0]) not in _CARRIED or leader[1] != event.question:
        raise DoesNotFit("jobs", event.follows)
    values = {"plan_digest": event.plan_digest, "question": event.question, "follows": event.follows}
    step(writer, event.job, State.ATTACHED, recorded.at, **values)


@projects(ev.JobAdmitted)
def _job_admitted(writer: Writer, recorded: ev.Recorded, event: ev.JobAdmitted) -> None:
    values = {"plan_digest": event.plan_digest, "question": event.question, "slot_ms": event.slot_ms}
    step(writer, event.job, State.ADMITTED, recorded.at, **values)


@projects(ev.JobRefused)
def _job_refused(writer: Writer, recorded: ev.Recorded, event: ev.JobRefused) -> None:
    """Before it had an id, no table changes. An admitted job's reservation is given back."""
    if event.job is not None:
        step(writer, event.job, State.REFUSED, recorded.at, problem=",".join(event.codes))
        if event.charge is not None:
            give_back(writer, event.charge, recorded.at)


def _charge_state(writer: Writer, charge: str) -> str | None:
    found = writer.row(STATE, {"key_": charge})
    return None if found is None else str(found[0])


@projects(ev.JobCancelled)
def _job_cancelled(writer: Writer, recorded: ev.Recorded, event: ev.JobCancelled) -> None:
    """Free before reading; after it, the loss is spent as if the job had failed."""
    step(writer, event.job, State.CANCELLED, recorded.at)
    if event.charge is not None:
        if _charge_state(writer, event.charge) == "reserved":
            give_back(writer, event.charge, recorded.at)
        else:
            forfeit(writer, event.charge, recorded.at)


@projects(ev.JobReading)
def _job_reading(writer: Writer, recorded: ev.Recorded, event: ev.JobReading) -> None:
    step(writer, event.job, State.READING, recorded.at)
    move(writer, charges, event.charge, ["reserved"], "reading", recorded.at)


@projects(ev.JobSpent)
def _job_spent(writer: Writer, recorded: ev.Recorded, event: ev.JobSpent) -> None:
    step(writer, event.job, State.SPENT, recorded.at)
    settle(writer, event.charge, "spent", recorded.at)


@projects(ev.JobStaged)
def _job_staged(writer: Writer, recorded: ev.Recorded, event: ev.JobStaged) -> None:
    step(writer, event.job, State.STAGED, recorded.at)


@projects(ev.JobForfeited)
def _job_forfeited(writer: Writer, recorded: ev.Recorded, event: ev.JobForfeited) -> None:
    step(writer, event.job, State.FORFEITED, recorded.at, problem=event.code)
    forfeit(writer, event.charge, recorded.at)


def forfeit(writer: Writer, charge: str, at: str) -> None:
    """While reading, the reserved loss becomes spent; a spent one stays spent and only changes its name."""
    if _charge_state(writer, charge) == "reading":
        settle(writer, charge, "forfeited", at)
    else:
        move(writer, charges, charge, ["spent"], "forfeited", at)
