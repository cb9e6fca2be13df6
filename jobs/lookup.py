"""Jobs and releases as they may be seen: by whom, and from when. Until its public slot, a job is running, whatever happened to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, bindparam, or_, select

from infra.database import reading
from infra.prepared import Prepared, fetch
from infra.tables import answered, charges, holds, jobs, metering, openings, releases
from jobs import events as ev
from jobs.kinds import unsealed
from jobs.order import Asker
from jobs.register import Register
from jobs.slots import Slots, parse_time
from jobs.states import MEANING, Shown, State
from policies.licence import JobKind
from policies.loss import Loss


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job at one moment. `over_at`: when its outcome becomes visible, None while there is none; for whoever waits, never shown."""

    id: str
    operator: str
    licence: str
    scenario: str
    kind: JobKind
    text: str
    request: dict[str, Any]
    at_delta: Decimal
    submitted_at: str
    slot_ms: int | None
    state: Shown
    price: Loss | None
    reused: bool
    release: str | None
    problem: tuple[str, ...]
    over_at: datetime | None


_JOBS = (
    select(
        jobs,
        openings.c.content,
        charges.c.state.label("charge_state"),
        charges.c.pico_rho,
        charges.c.atto_delta,
        releases.c.visible_at,
        holds.c.held_at,
    )
    .join(openings, openings.c.commitment == jobs.c.request)
    .outerjoin(charges, charges.c.id == jobs.c.charge)
    .outerjoin(releases, releases.c.id == jobs.c.release)
    .outerjoin(holds, holds.c.job == jobs.c.id)
)
_JOB = Prepared(_JOBS.where(jobs.c.id == bindparam("id_", type_=String)))
_SAME_REQUEST = Prepared(
    select(jobs.c.id, openings.c.content)
    .join(openings, openings.c.commitment == jobs.c.request)
    .where(jobs.c.idempotency == bindparam("digest", type_=String))
)
_ENDED = {"cancelled": "job_cancelled", "returned": "job_returned", "rejected": "job_rejected"}


def job(register: Register, job_id: str, now: datetime) -> JobSeen | None:
    with reading(register.engine) as connection:
        rows = fetch(connection, _JOB, {"id_": job_id})
    return _seen(register, rows[0], now) if rows else None


def jobs_of(register: Register, operator: str | None, now: datetime, *, before: str | None = None, limit: int = 50) -> list[JobSeen]:
    """Newest first; `operator` None: everybody's. `before` is a job id of an earlier page."""
    query: Select[Any] = _JOBS.order_by(jobs.c.submitted_at.desc(), jobs.c.id.desc()).limit(limit)
    if operator is not None:
        query = query.where(jobs.c.operator == operator)
    with reading(register.engine) as connection:
        if before is not None:
            at = connection.execute(select(jobs.c.submitted_at).where(jobs.c.id == before)).scalar_one_or_none() or ""
            query = query.where(or_(jobs.c.submitted_at < at, (jobs.c.submitted_at == at) & (jobs.c.id < before)))
        return [_seen(register, row, now) for row in connection.execute(query)]


def by_idempotency(register: Register, digest: str) -> tuple[str, bytes] | None:
    """The job that came with an Idempotency-Key, and its sealed order."""
    with reading(register.engine) as connection:
        rows = fetch(connection, _SAME_REQUEST, {"digest": digest})
    return (rows[0].id, bytes(rows[0].content)) if rows else None


def _seen(register: Register, row: Row[Any], now: datetime) -> JobSeen:
    order, _ = unsealed(Asker(row.operator, "", ""), bytes(row.content), None)
    over_at = _over_at(register, row)
    meaning = MEANING[State(row.state)]
    visible = over_at is not None and over_at <= now
    reused = row.charge is None and row.release is not None
    if row.charge is None:
        price = Loss(0) if reused else None
    else:
        price = Loss(0) if row.charge_state == "released" else Loss(row.pico_rho, row.atto_delta)
    told = {**_ENDED, "failed": row.problem or "job_failed", "refused": row.problem or ""}
    problem = told.get(meaning.shown, "")
    return JobSeen(
        id=row.id,
        operator=row.operator,
        licence=row.licence,
        scenario=row.scenario,
        kind=order.request.kind,
        text=order.request.text,
        request=order.request.content(),
        at_delta=order.request.privacy.delta,
        submitted_at=row.submitted_at,
        slot_ms=row.slot_ms,
        state=meaning.shown if visible else "running",
        price=price,
        reused=reused,
        release=row.release if visible else None,
        problem=tuple(problem.split(",")) if visible and problem else (),
        over_at=over_at,
    )


def _over_at(register: Register, row: Row[Any]) -> datetime | None:
    """A publication says itself when it is visible; a failure is visible at the slot after it; what people did, at once."""
    state = State(row.state)
    if MEANING[state].shown == "running":
        return None
    changed = parse_time(row.changed_at)
    if state is State.PUBLISHED:  # an answer given again is seen no earlier than the first time
        return max(changed, parse_time(row.visible_at))
    if state in (State.FORFEITED, State.HELD):
        changed = parse_time(row.held_at) if state is State.HELD else changed  # asking for a review again changes nothing here
        return Slots.of(parse_time(row.submitted_at), row.slot_ms, register.settings.slots_ms).visible_at(changed)
    return changed


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """A published release. `record` is what the log's entry commits to, with the digests of every file; `entry` the entry's bytes."""

    id: str
    job: str
    index: int
    record: dict[str, Any]
    record_json: bytes
    salt: bytes
    published_at: str
    visible_at: str

    @property
    def loss(self) -> Loss:
        return Loss(int(self.record["pico_rho"]), int(self.record["atto_delta"]))


def release(register: Register, release_id: str, now: datetime, *, operator: str | None = None) -> ReleaseSeen | None:
    """A visible release; with `operator`, only one that answered a job of that operator."""
    query = (
        select(releases, openings.c.content, openings.c.salt)
        .join(openings, openings.c.commitment == releases.c.record)
        .where(releases.c.id == release_id, releases.c.visible_at <= ev.rfc3339(now))
    )
    if operator is not None:
        query = query.join(answered, (answered.c.release == releases.c.id) & (answered.c.entry == releases.c.entry))
        query = query.where(answered.c.operator == operator)
    with reading(register.engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _released(row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which releases: all that is given must hold. `answered`: only what answered a job of this operator; `operator`: only what was made for
    this one. Times are of publication, `since` included and `until` not."""

    answered: str | None = None
    operator: str | None = None
    licence: str | None = None
    scenario: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def releases_of(register: Register, now: datetime, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[ReleaseSeen]:
    """Visible releases, newest first; `before` is the log index of the last one of the page before."""
    query = (
        select(releases, openings.c.content, openings.c.salt)
        .join(openings, openings.c.commitment == releases.c.record)
        .where(releases.c.visible_at <= ev.rfc3339(now))
        .limit(limit)
    )
    place: ColumnElement[int] = releases.c.entry  # the list is walked by the index that begins with what is wanted
    if any((wanted.operator, wanted.licence, wanted.scenario)):
        query, place = query.join(metering, metering.c.release == releases.c.id), metering.c.entry
    if wanted.answered is not None:
        query, place = query.join(answered, answered.c.release == releases.c.id), answered.c.entry
        query = query.where(answered.c.operator == wanted.answered)
    query = query.order_by(place.desc())
    for column in (metering.c.operator, metering.c.licence, metering.c.scenario):
        value = getattr(wanted, column.name)
        query = query if value is None else query.where(column == value)
    if wanted.since is not None:
        query = query.where(releases.c.published_at >= ev.rfc3339(wanted.since))
    if wanted.until is not None:
        query = query.where(releases.c.published_at < ev.rfc3339(wanted.until))
    if before is not None:
        query = query.where(place < before)
    with reading(register.engine) as connection:
        return [_released(row) for row in connection.execute(query)]


def _released(row: Row[Any]) -> ReleaseSeen:
    content = bytes(row.content)
    return ReleaseSeen(row.id, row.job, row.entry, json.loads(content), content, bytes(row.salt), row.published_at, row.visible_at)
