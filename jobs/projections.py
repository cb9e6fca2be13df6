"""How each event changes the tables: one function per kind, applied when the event is appended and again whenever it is replayed.

A projection reads nothing but the event and the tables before it, so replaying the log into empty tables gives the same rows, byte for
byte. An event that does not fit (an account without room, a job in another state) raises `DoesNotFit`, and its transaction never happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, String, Table, Update, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from infra.database import insert_ignoring
from infra.tables import (
    accounts,
    answers,
    api_keys,
    charge_accounts,
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
from jobs.states import TRANSITIONS, State

E = TypeVar("E", bound=ev.Event)
Projection = Callable[[Connection, ev.Recorded, Any], None]
PROJECTED: dict[str, Projection] = {}


class DoesNotFit(Exception):
    """The tables do not admit this event. `table` and `key` say where."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(f"{table} {key}")
        self.table = table
        self.key = key


def project(connection: Connection, recorded: ev.Recorded) -> None:
    """Apply one event. DoesNotFit leaves the transaction fit only for rolling back."""
    try:
        PROJECTED[recorded.kind](connection, recorded, recorded.event)
    except IntegrityError as error:  # a second row with the same key, or a constraint that says no
        raise DoesNotFit(recorded.kind, "constraint") from error


def _projects(model: type[E]) -> Callable[[Callable[[Connection, ev.Recorded, E], None]], Callable[[Connection, ev.Recorded, E], None]]:
    def keep(function: Callable[[Connection, ev.Recorded, E], None]) -> Callable[[Connection, ev.Recorded, E], None]:
        if model.kind in PROJECTED:
            raise ValueError(f"event {model.kind} is projected twice")
        PROJECTED[model.kind] = function
        return function

    return keep


def _move(connection: Connection, table: Table, key: str, states: Iterable[str], to: str, at: str, **values: object) -> None:
    """Move a row from one of `states` to another; DoesNotFit when it is in none of them."""
    state = table.c.status if "status" in table.c else table.c.state
    moved = connection.execute(
        update(table)
        .where(next(iter(table.primary_key)) == key, state.in_(tuple(states)))
        .values({state: to, **({table.c.changed_at: at} if "changed_at" in table.c else {}), **{table.c[n]: v for n, v in values.items()}})
    )
    if moved.rowcount != 1:
        raise DoesNotFit(table.name, key)


# ── people and keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.PrincipalRegistered)
def _principal_registered(connection: Connection, recorded: ev.Recorded, event: ev.PrincipalRegistered) -> None:
    connection.execute(
        insert(principals).values(
            id=event.principal, role=event.role, title_zh=event.title.zh, title_en=event.title.en, status="active", registered_at=recorded.at
        )
    )


@_projects(ev.PrincipalSuspended)
def _principal_suspended(connection: Connection, recorded: ev.Recorded, event: ev.PrincipalSuspended) -> None:
    _move(connection, principals, event.principal, ["active"], "suspended", recorded.at)


@_projects(ev.PrincipalResumed)
def _principal_resumed(connection: Connection, recorded: ev.Recorded, event: ev.PrincipalResumed) -> None:
    _move(connection, principals, event.principal, ["suspended"], "active", recorded.at)


@_projects(ev.KeyIssued)
def _key_issued(connection: Connection, recorded: ev.Recorded, event: ev.KeyIssued) -> None:
    connection.execute(
        insert(api_keys).values(
            prefix=event.prefix, principal=event.principal, secret_sha256=event.secret_sha256, status="active", issued_at=recorded.at
        )
    )


@_projects(ev.KeyRevoked)
def _key_revoked(connection: Connection, recorded: ev.Recorded, event: ev.KeyRevoked) -> None:
    _move(connection, api_keys, event.prefix, ["active"], "revoked", recorded.at)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.DatasetRegistered)
def _dataset_registered(connection: Connection, recorded: ev.Recorded, event: ev.DatasetRegistered) -> None:
    row = {"id": event.dataset.casefold(), "name": event.dataset, "space": event.space, "version": 0, "registered_at": recorded.at}
    connection.execute(insert(datasets).values(row))


@_projects(ev.VersionIngested)
def _version_ingested(connection: Connection, recorded: ev.Recorded, event: ev.VersionIngested) -> None:
    key = event.dataset.casefold()
    moved = connection.execute(update(datasets).where(datasets.c.id == key, datasets.c.version < event.version).values(version=event.version))
    if moved.rowcount != 1:
        raise DoesNotFit("datasets", key)
    row = {"dataset": key, "version": event.version, "digest": event.digest, "document": event.document, "ingested_at": recorded.at}
    connection.execute(insert(dataset_versions).values(row))


# ── licences ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _nothing(_connection: Connection, _recorded: ev.Recorded, _event: ev.Event) -> None:
    """A proposal, or a refusal outside any job: it stands in the log; no table changes."""


_projects(ev.LicenceProposed)(_nothing)
_projects(ev.LogKeyAnnounced)(_nothing)
_projects(ev.LogKeyRetired)(_nothing)
_projects(ev.CapRaiseProposed)(_nothing)


@_projects(ev.LicenceGranted)
def _licence_granted(connection: Connection, recorded: ev.Recorded, event: ev.LicenceGranted) -> None:
    row = {"id": event.licence, "operator": event.operator, "state": "active", "document": event.document}
    connection.execute(insert(licences).values(**row, granted_at=recorded.at, changed_at=recorded.at))


@_projects(ev.LicenceSuspended)
def _licence_suspended(connection: Connection, recorded: ev.Recorded, event: ev.LicenceSuspended) -> None:
    _move(connection, licences, event.licence, ["active"], "suspended", recorded.at)


@_projects(ev.LicenceResumed)
def _licence_resumed(connection: Connection, recorded: ev.Recorded, event: ev.LicenceResumed) -> None:
    _move(connection, licences, event.licence, ["suspended"], "active", recorded.at)


@_projects(ev.LicenceRevoked)
def _licence_revoked(connection: Connection, recorded: ev.Recorded, event: ev.LicenceRevoked) -> None:
    _move(connection, licences, event.licence, ["active", "suspended"], "revoked", recorded.at)


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.AccountOpened)
def _account_opened(connection: Connection, recorded: ev.Recorded, event: ev.AccountOpened) -> None:
    zero = {f"{part}_{unit}": 0 for part in ("reserved", "spent") for unit in ("pico_rho", "atto_delta")}
    connection.execute(
        insert(accounts).values(
            id=event.account,
            kind=event.account_kind,
            subject=event.subject,
            cap_pico_rho=event.cap.pico_rho,
            cap_atto_delta=event.cap.atto_delta,
            opened_at=recorded.at,
            **zero,
        )
    )


@_projects(ev.CapRaised)
def _cap_raised(connection: Connection, _recorded: ev.Recorded, event: ev.CapRaised) -> None:
    raised = connection.execute(
        update(accounts)
        .where(
            accounts.c.id == event.account,
            accounts.c.cap_pico_rho <= event.cap.pico_rho,
            accounts.c.cap_atto_delta <= event.cap.atto_delta,
        )
        .values(cap_pico_rho=event.cap.pico_rho, cap_atto_delta=event.cap.atto_delta)
    )
    if raised.rowcount != 1:
        raise DoesNotFit("accounts", event.account)


_rho, _delta = bindparam("rho", type_=BigInteger), bindparam("delta", type_=BigInteger)
_names = bindparam("names", type_=String, expanding=True)
_RESERVE = (
    update(accounts)
    .where(
        accounts.c.id.in_(_names),
        accounts.c.spent_pico_rho + accounts.c.reserved_pico_rho + _rho <= accounts.c.cap_pico_rho,
        accounts.c.spent_atto_delta + accounts.c.reserved_atto_delta + _delta <= accounts.c.cap_atto_delta,
    )
    .values(reserved_pico_rho=accounts.c.reserved_pico_rho + _rho, reserved_atto_delta=accounts.c.reserved_atto_delta + _delta)
)
_GIVE_BACK = (
    update(accounts)
    .where(accounts.c.id.in_(_names), accounts.c.reserved_pico_rho >= _rho, accounts.c.reserved_atto_delta >= _delta)
    .values(reserved_pico_rho=accounts.c.reserved_pico_rho - _rho, reserved_atto_delta=accounts.c.reserved_atto_delta - _delta)
)
_SPEND = _GIVE_BACK.values(spent_pico_rho=accounts.c.spent_pico_rho + _rho, spent_atto_delta=accounts.c.spent_atto_delta + _delta)


def _take(connection: Connection, statement: Update, names: Sequence[str], pico_rho: int, atto_delta: int) -> None:
    """One conditional update over all accounts of a charge: every row, or the transaction is undone. Nobody waits for anybody's rows here,
    whatever the order: writers already took turns at the head of the log."""
    if connection.execute(statement, {"rho": pico_rho, "delta": atto_delta, "names": names}).rowcount != len(names):
        raise DoesNotFit("accounts", ",".join(names))


@_projects(ev.ChargeReserved)
def _charge_reserved(connection: Connection, recorded: ev.Recorded, event: ev.ChargeReserved) -> None:
    cost = event.cost
    names = sorted(set(event.accounts))
    _take(connection, _RESERVE, names, cost.pico_rho, cost.atto_delta)
    row = {"id": event.charge, "job": event.job, "state": "reserved", "pico_rho": cost.pico_rho, "atto_delta": cost.atto_delta}
    connection.execute(insert(charges), {**row, "changed_at": recorded.at})
    connection.execute(insert(charge_accounts), [{"charge": event.charge, "account": name} for name in names])
    connection.execute(update(jobs).where(jobs.c.id == event.job).values(charge=event.charge))


def _settle(connection: Connection, charge: str, states: tuple[str, ...], to: str, at: str, statement: Update) -> None:
    """Move a charge to its end, and its loss on every account out of `reserved`."""
    _move(connection, charges, charge, states, to, at)
    cost = connection.execute(select(charges.c.pico_rho, charges.c.atto_delta).where(charges.c.id == charge)).one()
    names = connection.scalars(select(charge_accounts.c.account).where(charge_accounts.c.charge == charge)).all()
    _take(connection, statement, names, cost.pico_rho, cost.atto_delta)


@_projects(ev.ChargeReleased)
def _charge_released(connection: Connection, recorded: ev.Recorded, event: ev.ChargeReleased) -> None:
    _settle(connection, event.charge, ("reserved",), "released", recorded.at, _GIVE_BACK)


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.JobSubmitted)
def _job_submitted(connection: Connection, recorded: ev.Recorded, event: ev.JobSubmitted) -> None:
    connection.execute(
        insert(jobs).values(
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
    )


def _step(connection: Connection, job: str, to: State, at: str, **values: object) -> None:
    """Move a job by the table of transitions."""
    _move(connection, jobs, job, [step.before for step in TRANSITIONS if step.after is to], to, at, **values)


@_projects(ev.JobAdmitted)
def _job_admitted(connection: Connection, recorded: ev.Recorded, event: ev.JobAdmitted) -> None:
    values = {"plan_digest": event.plan_digest, "question": event.question, "slot_ms": event.slot_ms}
    _step(connection, event.job, State.ADMITTED, recorded.at, **values)


@_projects(ev.JobRefused)
def _job_refused(connection: Connection, recorded: ev.Recorded, event: ev.JobRefused) -> None:
    """Before it had an id, no table changes. An admitted job's reservation is given back."""
    if event.job is not None:
        _step(connection, event.job, State.REFUSED, recorded.at, problem=",".join(event.codes))
        if event.charge is not None:
            _settle(connection, event.charge, ("reserved",), "released", recorded.at, _GIVE_BACK)


def _charge_state(connection: Connection, charge: str) -> str | None:
    return connection.execute(select(charges.c.state).where(charges.c.id == charge)).scalar_one_or_none()


@_projects(ev.JobCancelled)
def _job_cancelled(connection: Connection, recorded: ev.Recorded, event: ev.JobCancelled) -> None:
    """Free before reading; after it, the loss is spent as if the job had failed."""
    _step(connection, event.job, State.CANCELLED, recorded.at)
    if event.charge is not None:
        if _charge_state(connection, event.charge) == "reserved":
            _settle(connection, event.charge, ("reserved",), "released", recorded.at, _GIVE_BACK)
        else:
            _forfeit(connection, event.charge, recorded.at)


@_projects(ev.JobReading)
def _job_reading(connection: Connection, recorded: ev.Recorded, event: ev.JobReading) -> None:
    _step(connection, event.job, State.READING, recorded.at)
    _move(connection, charges, event.charge, ["reserved"], "reading", recorded.at)


@_projects(ev.JobSpent)
def _job_spent(connection: Connection, recorded: ev.Recorded, event: ev.JobSpent) -> None:
    _step(connection, event.job, State.SPENT, recorded.at)
    _settle(connection, event.charge, ("reading",), "spent", recorded.at, _SPEND)


@_projects(ev.JobStaged)
def _job_staged(connection: Connection, recorded: ev.Recorded, event: ev.JobStaged) -> None:
    _step(connection, event.job, State.STAGED, recorded.at)


@_projects(ev.JobForfeited)
def _job_forfeited(connection: Connection, recorded: ev.Recorded, event: ev.JobForfeited) -> None:
    _step(connection, event.job, State.FORFEITED, recorded.at, problem=event.code)
    _forfeit(connection, event.charge, recorded.at)


def _forfeit(connection: Connection, charge: str, at: str) -> None:
    """While reading, the reserved loss becomes spent; a spent one stays spent and only changes its name."""
    if _charge_state(connection, charge) == "reading":
        _settle(connection, charge, ("reading",), "forfeited", at, _SPEND)
    else:
        _move(connection, charges, charge, ["spent"], "forfeited", at)


# ── what leaves ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_projects(ev.ReleasePublished)
def _release_published(connection: Connection, recorded: ev.Recorded, event: ev.ReleasePublished) -> None:
    paid = select(charges.c.id).where(
        charges.c.id == event.charge,
        charges.c.job == event.job,
        charges.c.state == "spent",
        charges.c.pico_rho == event.cost.pico_rho,
        charges.c.atto_delta == event.cost.atto_delta,
    )
    if connection.execute(paid).one_or_none() is None:  # nothing leaves that was not paid for
        raise DoesNotFit("charges", event.charge)
    _step(connection, event.job, State.PUBLISHED, recorded.at, release=event.release)
    connection.execute(
        insert(releases).values(
            id=event.release,
            job=event.job,
            entry=recorded.index,
            question=event.question,
            record=event.record,
            table_sha256=event.table_sha256,
            published_at=recorded.at,
            visible_at=event.visible_at,
        )
    )
    insert_ignoring(connection, answers, {"question": event.question, "release": event.release})
    connection.execute(
        insert(metering).values(
            release=event.release,
            operator=event.operator,
            licence=event.licence,
            rows=event.rows,
            bytes=event.bytes,
            pico_rho=event.cost.pico_rho,
            atto_delta=event.cost.atto_delta,
        )
    )


@_projects(ev.ReleaseReused)
def _release_reused(connection: Connection, recorded: ev.Recorded, event: ev.ReleaseReused) -> None:
    _step(connection, event.job, State.PUBLISHED, recorded.at, release=event.release)


@_projects(ev.ProductDelivered)
def _product_delivered(connection: Connection, recorded: ev.Recorded, event: ev.ProductDelivered) -> None:
    row = {"entry": recorded.index, "release": event.release, "recipient": event.recipient, "format": event.format, "sha256": event.sha256}
    connection.execute(insert(deliveries).values(**row, delivered_at=recorded.at))
