"""How each event changes the tables: one function per kind, applied when the event is appended and again whenever it is replayed.

A projection reads nothing but the event and the tables before it, so replaying the log into empty tables gives the same rows, byte for
byte. An event that does not fit (an account without room, a job in another state) raises `DoesNotFit`, and its transaction never happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import String, bindparam, exists, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from infra.prepared import Prepared, Writer
from infra.tables import (
    accounts,
    answers,
    api_keys,
    charges,
    dataset_versions,
    datasets,
    deliveries,
    jobs,
    licences,
    metering,
    principals,
    releases,
)
from jobs import events as ev
from jobs.lines import COST, DELTA, GIVE_BACK, JOINED, RAISE, RESERVE, RHO, SPEND, STATE, naming, take
from jobs.rows import DoesNotFit, add, move
from jobs.states import TRANSITIONS, State

E = TypeVar("E", bound=ev.Event)
Projection = Callable[[Writer, ev.Recorded, Any], None]
PROJECTED: dict[str, Projection] = {}


def project(writer: Writer, recorded: ev.Recorded) -> None:
    """Apply one event. DoesNotFit leaves the transaction fit only for rolling back."""
    try:
        PROJECTED[recorded.kind](writer, recorded, recorded.event)
    except IntegrityError as error:  # a second row with the same key, or a constraint that says no
        raise DoesNotFit(recorded.kind, "constraint") from error


def _projects(model: type[E]) -> Callable[[Callable[[Writer, ev.Recorded, E], None]], Callable[[Writer, ev.Recorded, E], None]]:
    def keep(function: Callable[[Writer, ev.Recorded, E], None]) -> Callable[[Writer, ev.Recorded, E], None]:
        if model.kind in PROJECTED:
            raise ValueError(f"event {model.kind} is projected twice")
        PROJECTED[model.kind] = function
        return function

    return keep


# ── people and keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.PrincipalRegistered)
def _principal_registered(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalRegistered) -> None:
    add(
        writer,
        principals,
        id=event.principal,
        role=event.role,
        title_zh=event.title.zh,
        title_en=event.title.en,
        status="active",
        registered_at=recorded.at,
    )


@_projects(ev.PrincipalSuspended)
def _principal_suspended(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalSuspended) -> None:
    move(writer, principals, event.principal, ["active"], "suspended", recorded.at)


@_projects(ev.PrincipalResumed)
def _principal_resumed(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalResumed) -> None:
    move(writer, principals, event.principal, ["suspended"], "active", recorded.at)


@_projects(ev.KeyIssued)
def _key_issued(writer: Writer, recorded: ev.Recorded, event: ev.KeyIssued) -> None:
    add(
        writer,
        api_keys,
        prefix=event.prefix,
        principal=event.principal,
        secret_sha256=event.secret_sha256,
        status="active",
        issued_at=recorded.at,
    )


@_projects(ev.KeyRevoked)
def _key_revoked(writer: Writer, recorded: ev.Recorded, event: ev.KeyRevoked) -> None:
    move(writer, api_keys, event.prefix, ["active"], "revoked", recorded.at)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.DatasetRegistered)
def _dataset_registered(writer: Writer, recorded: ev.Recorded, event: ev.DatasetRegistered) -> None:
    row = {"id": event.dataset.casefold(), "name": event.dataset, "space": event.space, "version": 0, "registered_at": recorded.at}
    add(writer, datasets, **row)


_NEWER = Prepared(
    update(datasets).where(datasets.c.id == bindparam("key_"), datasets.c.version < bindparam("new_")).values(version=bindparam("new_"))
)


@_projects(ev.VersionIngested)
def _version_ingested(writer: Writer, recorded: ev.Recorded, event: ev.VersionIngested) -> None:
    key = event.dataset.casefold()
    if writer.run(_NEWER, {"key_": key, "new_": event.version}) != 1:
        raise DoesNotFit("datasets", key)
    row = {"dataset": key, "version": event.version, "digest": event.digest, "document": event.document, "ingested_at": recorded.at}
    add(writer, dataset_versions, **row)


# ── licences ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _nothing(_writer: Writer, _recorded: ev.Recorded, _event: ev.Event) -> None:
    """A proposal, or a refusal outside any job: it stands in the log; no table changes."""


_projects(ev.LicenceProposed)(_nothing)
_projects(ev.LogKeyAnnounced)(_nothing)
_projects(ev.LogKeyRetired)(_nothing)
_projects(ev.CapRaiseProposed)(_nothing)


@_projects(ev.LicenceGranted)
def _licence_granted(writer: Writer, recorded: ev.Recorded, event: ev.LicenceGranted) -> None:
    row = {"id": event.licence, "operator": event.operator, "state": "active", "document": event.document}
    add(writer, licences, **row, granted_at=recorded.at, changed_at=recorded.at)


@_projects(ev.LicenceSuspended)
def _licence_suspended(writer: Writer, recorded: ev.Recorded, event: ev.LicenceSuspended) -> None:
    move(writer, licences, event.licence, ["active"], "suspended", recorded.at)


@_projects(ev.LicenceResumed)
def _licence_resumed(writer: Writer, recorded: ev.Recorded, event: ev.LicenceResumed) -> None:
    move(writer, licences, event.licence, ["suspended"], "active", recorded.at)


@_projects(ev.LicenceRevoked)
def _licence_revoked(writer: Writer, recorded: ev.Recorded, event: ev.LicenceRevoked) -> None:
    move(writer, licences, event.licence, ["active", "suspended"], "revoked", recorded.at)


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.AccountOpened)
def _account_opened(writer: Writer, recorded: ev.Recorded, event: ev.AccountOpened) -> None:
    zero = {f"{part}_{unit}": 0 for part in ("reserved", "spent") for unit in ("pico_rho", "atto_delta")}
    add(
        writer,
        accounts,
        id=event.account,
        kind=event.account_kind,
        subject=event.subject,
        cap_pico_rho=event.cap.pico_rho,
        cap_atto_delta=event.cap.atto_delta,
        opened_at=recorded.at,
        **zero,
    )


@_projects(ev.CapRaised)
def _cap_raised(writer: Writer, _recorded: ev.Recorded, event: ev.CapRaised) -> None:
    if writer.run(RAISE, {"name": event.account, "rho": event.cap.pico_rho, "delta": event.cap.atto_delta}) != 1:
        raise DoesNotFit("accounts", event.account)


@_projects(ev.ChargeReserved)
def _charge_reserved(writer: Writer, recorded: ev.Recorded, event: ev.ChargeReserved) -> None:
    rho, delta = event.cost.pico_rho, event.cost.atto_delta
    names = sorted(set(event.accounts))
    row = {"id": event.charge, "job": event.job, "state": "reserved", "pico_rho": rho, "atto_delta": delta}
    add(writer, charges, **row, changed_at=recorded.at)
    named = {"charge_": event.charge, **{f"name_{at}": name for at, name in enumerate(names)}}
    if names and writer.run(naming(len(names)), named) != len(names):
        raise DoesNotFit("accounts", ",".join(names))
    take(writer, RESERVE, event.charge, rho, delta, len(names))
    writer.run(JOINED, {"key_": event.job, "charge_": event.charge})


def _settle(writer: Writer, charge: str, states: tuple[str, ...], to: str, at: str, statement: Prepared) -> None:
    """Move a charge to its end, and its loss on every account out of `reserved`."""
    move(writer, charges, charge, states, to, at)
    pico_rho, atto_delta, count = writer.rows(COST, {"charge_": charge})[0]
    take(writer, statement, charge, pico_rho, atto_delta, count)


@_projects(ev.ChargeReleased)
def _charge_released(writer: Writer, recorded: ev.Recorded, event: ev.ChargeReleased) -> None:
    _settle(writer, event.charge, ("reserved",), "released", recorded.at, GIVE_BACK)


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.JobSubmitted)
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


_BEFORE = {state: tuple(str(step.before) for step in TRANSITIONS if step.after is state) for state in State}


def _step(writer: Writer, job: str, to: State, at: str, **values: object) -> None:
    """Move a job by the table of transitions."""
    move(writer, jobs, job, _BEFORE[to], to, at, **values)


@_projects(ev.JobAdmitted)
def _job_admitted(writer: Writer, recorded: ev.Recorded, event: ev.JobAdmitted) -> None:
    values = {"plan_digest": event.plan_digest, "question": event.question, "slot_ms": event.slot_ms}
    _step(writer, event.job, State.ADMITTED, recorded.at, **values)


@_projects(ev.JobRefused)
def _job_refused(writer: Writer, recorded: ev.Recorded, event: ev.JobRefused) -> None:
    """Before it had an id, no table changes. An admitted job's reservation is given back."""
    if event.job is not None:
        _step(writer, event.job, State.REFUSED, recorded.at, problem=",".join(event.codes))
        if event.charge is not None:
            _settle(writer, event.charge, ("reserved",), "released", recorded.at, GIVE_BACK)


def _charge_state(writer: Writer, charge: str) -> str | None:
    found = writer.row(STATE, {"key_": charge})
    return None if found is None else str(found[0])


@_projects(ev.JobCancelled)
def _job_cancelled(writer: Writer, recorded: ev.Recorded, event: ev.JobCancelled) -> None:
    """Free before reading; after it, the loss is spent as if the job had failed."""
    _step(writer, event.job, State.CANCELLED, recorded.at)
    if event.charge is not None:
        if _charge_state(writer, event.charge) == "reserved":
            _settle(writer, event.charge, ("reserved",), "released", recorded.at, GIVE_BACK)
        else:
            _forfeit(writer, event.charge, recorded.at)


@_projects(ev.JobReading)
def _job_reading(writer: Writer, recorded: ev.Recorded, event: ev.JobReading) -> None:
    _step(writer, event.job, State.READING, recorded.at)
    move(writer, charges, event.charge, ["reserved"], "reading", recorded.at)


@_projects(ev.JobSpent)
def _job_spent(writer: Writer, recorded: ev.Recorded, event: ev.JobSpent) -> None:
    _step(writer, event.job, State.SPENT, recorded.at)
    _settle(writer, event.charge, ("reading",), "spent", recorded.at, SPEND)


@_projects(ev.JobStaged)
def _job_staged(writer: Writer, recorded: ev.Recorded, event: ev.JobStaged) -> None:
    _step(writer, event.job, State.STAGED, recorded.at)


@_projects(ev.JobForfeited)
def _job_forfeited(writer: Writer, recorded: ev.Recorded, event: ev.JobForfeited) -> None:
    _step(writer, event.job, State.FORFEITED, recorded.at, problem=event.code)
    _forfeit(writer, event.charge, recorded.at)


def _forfeit(writer: Writer, charge: str, at: str) -> None:
    """While reading, the reserved loss becomes spent; a spent one stays spent and only changes its name."""
    if _charge_state(writer, charge) == "reading":
        _settle(writer, charge, ("reading",), "forfeited", at, SPEND)
    else:
        move(writer, charges, charge, ["spent"], "forfeited", at)


# ── what leaves ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


_PAID = Prepared(
    select(charges.c.id).where(
        charges.c.id == bindparam("charge_"),
        charges.c.job == bindparam("job_"),
        charges.c.state == literal_column("'spent'"),
        charges.c.pico_rho == RHO,
        charges.c.atto_delta == DELTA,
    )
)
_question = bindparam("question_", type_=String)
_FIRST_ANSWER = Prepared(
    insert(answers).from_select(
        ["question", "release"],
        select(_question, bindparam("release_", type_=String)).where(~exists().where(answers.c.question == _question)),
    )
)


@_projects(ev.ReleasePublished)
def _release_published(writer: Writer, recorded: ev.Recorded, event: ev.ReleasePublished) -> None:
    paid = {"charge_": event.charge, "job_": event.job, "rho": event.cost.pico_rho, "delta": event.cost.atto_delta}
    if writer.row(_PAID, paid) is None:  # nothing leaves that was not paid for
        raise DoesNotFit("charges", event.charge)
    _step(writer, event.job, State.PUBLISHED, recorded.at, release=event.release)
    add(
        writer,
        releases,
        id=event.release,
        job=event.job,
        entry=recorded.index,
        question=event.question,
        record=event.record,
        table_sha256=event.table_sha256,
        published_at=recorded.at,
        visible_at=event.visible_at,
    )
    writer.run(_FIRST_ANSWER, {"question_": event.question, "release_": event.release})
    add(
        writer,
        metering,
        release=event.release,
        operator=event.operator,
        licence=event.licence,
        rows=event.rows,
        bytes=event.bytes,
        pico_rho=event.cost.pico_rho,
        atto_delta=event.cost.atto_delta,
    )


@_projects(ev.ReleaseReused)
def _release_reused(writer: Writer, recorded: ev.Recorded, event: ev.ReleaseReused) -> None:
    _step(writer, event.job, State.PUBLISHED, recorded.at, release=event.release)


@_projects(ev.ProductDelivered)
def _product_delivered(writer: Writer, recorded: ev.Recorded, event: ev.ProductDelivered) -> None:
    row = {"entry": recorded.index, "release": event.release, "recipient": event.recipient, "format": event.format, "sha256": event.sha256}
    add(writer, deliveries, **row, delivered_at=recorded.at)


__all__ = ["PROJECTED", "DoesNotFit", "project"]
