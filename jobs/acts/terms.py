"""Licences in force: suspended, resumed, and brought to their end, by the clock or by the bureau, with all that was agreed for it."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from infra.database import reading
from infra.tables import api_keys, jobs, licences
from jobs import directory
from jobs.acts.licences import in_state
from jobs.acts.products import recall_of_licence
from jobs.directory import LicenceRecord
from jobs.events import (
    JobCancelled,
    KeyRevoked,
    LicenceActivated,
    LicenceDisposed,
    LicenceExpired,
    LicenceResumed,
    LicenceRevoked,
    LicenceSuspended,
    rfc3339,
)
from jobs.register import Act, Register
from jobs.slots import parse_time
from policies.life import IN_FORCE, OPEN

SYSTEM = "system"


def suspend_licence(register: Register, licence: str, *, reason: str, by: str = SYSTEM) -> None:
    """Nothing is admitted or published under it from this transaction on."""
    with register.transaction() as act:
        _activate(act, licence)
        in_state(act, licence, "licence_suspended")
        act.append(LicenceSuspended(by=by, licence=licence, reason=reason))


def resume_licence(register: Register, licence: str, *, reason: str, by: str = SYSTEM) -> None:
    with register.transaction() as act:
        in_state(act, licence, "licence_resumed")
        act.append(LicenceResumed(by=by, licence=licence, reason=reason))


def revoke_licence(register: Register, licence: str, *, reason: str, by: str = SYSTEM) -> tuple[str, ...]:
    """For good. Returns the jobs that were cancelled with it."""
    with register.transaction() as act:
        record = in_state(act, licence, "licence_revoked")
        act.append(LicenceRevoked(by=by, licence=licence, reason=reason))
        return _dispose(act, record)


def sweep_licences(register: Register) -> tuple[str, ...]:
    """Write down what the clock did: terms begun and terms over, with what was agreed for the end. Returns the jobs that were cancelled.
    Does nothing, and takes no turn at the log, when nothing is due."""
    now = rfc3339(register.clock())
    begun = and_(licences.c.state == "granted", licences.c.valid_from <= now)
    over = and_(licences.c.state.in_(IN_FORCE), licences.c.valid_until <= now)
    with reading(register.engine) as connection:
        due = list(connection.scalars(select(licences.c.id).where(or_(begun, over)).order_by(licences.c.id)))
    cancelled: list[str] = []
    for licence in due:
        with register.transaction() as act:
            record = directory.licence(act.connection, licence)
            if record is None or record.state not in IN_FORCE:  # somebody was quicker
                continue
            if record.state_at(parse_time(act.at)) == "expired":
                act.append(LicenceExpired(by=SYSTEM, licence=licence))
                cancelled += _dispose(act, record)
            else:
                _activate(act, licence)
    return tuple(cancelled)


def _activate(act: Act, licence: str) -> None:
    record = directory.licence(act.connection, licence)
    if record is not None and record.state == "granted" and record.state_at(parse_time(act.at)) == "active":
        act.append(LicenceActivated(by=SYSTEM, licence=licence))


def _dispose(act: Act, record: LicenceRecord) -> tuple[str, ...]:
    """What was agreed for the end, in the transaction that ends it."""
    licence, disposal = record.licence, record.licence.disposal
    waiting = select(jobs.c.id, jobs.c.charge).where(jobs.c.licence == licence.id, jobs.c.state == "admitted").order_by(jobs.c.id)
    cancelled = act.connection.execute(waiting).all()
    for job in cancelled:
        act.append(JobCancelled(by=SYSTEM, job=job.id, charge=job.charge))
    revoked = 0
    others = select(licences.c.id).where(licences.c.operator == licence.operator, licences.c.id != licence.id, licences.c.state.in_(OPEN))
    if disposal.keys == "revoke" and act.connection.execute(others).first() is None:
        held = select(api_keys.c.prefix).where(api_keys.c.principal == licence.operator, api_keys.c.status == "active")
        for prefix in act.connection.scalars(held.order_by(api_keys.c.prefix)).all():
            act.append(KeyRevoked(by=SYSTEM, prefix=prefix, reason=f"licence {licence.id} came to its end"))
            revoked += 1
    if disposal.products == "withdraw":
        recall_of_licence(act, licence.id)
    act.append(LicenceDisposed(by=SYSTEM, licence=licence.id, products=disposal.products, keys_revoked=revoked, jobs_cancelled=len(cancelled)))
    return tuple(str(job.id) for job in cancelled)
