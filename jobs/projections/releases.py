"""How events change the tables: releases, metering, deliveries."""

from __future__ import annotations

from functools import partial

from sqlalchemy import ColumnElement, String, bindparam, exists, func, insert, literal_column, select, true

from infra.prepared import Prepared, Writer, adding
from infra.tables import (
    answered,
    answers,
    approvals,
    charges,
    deliveries,
    jobs,
    metering,
    release_days,
    releases,
    usage_months,
)
from jobs import events as ev
from jobs.lines import DELTA, RHO
from jobs.projections.authority import halting, unfrozen, unfrozen_delivery, unfrozen_reuse
from jobs.projections.ledger import period_at
from jobs.projections.products import delivered
from jobs.projections.table import projects
from jobs.projections.work import step
from jobs.rows import DoesNotFit, add
from jobs.states import State

_PAID = Prepared(
    select(jobs.c.scenario, jobs.c.slot_ms, jobs.c.kind)
    .join(charges, charges.c.job == jobs.c.id)
    .where(
        jobs.c.id == bindparam("job_", type_=String),
        charges.c.id == bindparam("charge_"),
        charges.c.state == literal_column("'spent'"),
        charges.c.pico_rho == RHO,
        charges.c.atto_delta == DELTA,
    )
)
_job, _sha = bindparam("job_", type_=String), bindparam("sha_", type_=String)
_APPROVED = Prepared(select(approvals.c.job).where(approvals.c.job == _job, approvals.c.table_sha256 == _sha))
_question = bindparam("question_", type_=String)
_FIRST_ANSWER = Prepared(
    insert(answers).from_select(
        ["question", "release"],
        select(_question, bindparam("release_", type_=String)).where(~exists().where(answers.c.question == _question)),
    )
)
_day = bindparam("day_", type_=String)
_ONE_MORE = adding(release_days, select(_day, literal_column("1")).where(true()), ["releases"])
_SUMS = ("releases", "deliveries", "rows", "bytes", "compute_ms", "pico_rho", "atto_delta")
_USED = adding(usage_months, select(*(bindparam(column.name, type_=column.type) for column in usage_months.columns)).where(true()), _SUMS)
_none: ColumnElement[int] = literal_column("0")
_one: ColumnElement[int] = literal_column("1")
_month = bindparam("month_", type_=String)
_CALLED = adding(
    usage_months,
    select(metering.c.licence, _month, func.coalesce(metering.c.scenario, ""), jobs.c.kind, _none, _one, *[_none] * 5)
    .join(releases, releases.c.id == metering.c.release)
    .join(jobs, jobs.c.id == releases.c.job)
    .where(metering.c.release == bindparam("release_", type_=String)),
    _SUMS,
)
_ANSWERED_TOO = Prepared(
    insert(answered).from_select(
        ["operator", "entry", "release"],
        select(jobs.c.operator, releases.c.entry, releases.c.id)
        .where(jobs.c.id == _job, releases.c.id == bindparam("release_", type_=String))
        .where(~exists().where(answered.c.operator == jobs.c.operator, answered.c.entry == releases.c.entry)),
    )
)


@projects(ev.ReleasePublished)
def _release_published(writer: Writer, recorded: ev.Recorded, event: ev.ReleasePublished) -> None:
    paid = {"charge_": event.charge, "job_": event.job, "rho": event.cost.pico_rho, "delta": event.cost.atto_delta}
    asked, halted = writer.several((_PAID, paid), halting(event.operator, event.licence, event.charge))
    if not asked:  # nothing leaves that was not paid for
        raise DoesNotFit("charges", event.charge)
    unfrozen(halted)
    scenario, slot_ms, kind = asked[0]
    step(writer, event.job, State.PUBLISHED, recorded.at, release=event.release)
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
    answer = {"question_": event.question, "release_": event.release}
    writer.later(_FIRST_ANSWER, answer, None, partial(DoesNotFit, "answers", event.question))
    add(writer, answered, operator=event.operator, entry=recorded.index, release=event.release)
    writer.later(_ONE_MORE, {"day_": period_at("day", recorded.at)}, 1, partial(DoesNotFit, "release_days", event.release))
    if kind == "exact" and writer.row(_APPROVED, {"job_": event.job, "sha_": event.table_sha256}) is None:  # nothing exact goes unapproved
        raise DoesNotFit("approvals", event.job)
    cost = {"pico_rho": event.cost.pico_rho, "atto_delta": event.cost.atto_delta}
    used = {"licence": event.licence, "scenario": scenario, "rows": event.rows, "bytes": event.bytes, "compute_ms": slot_ms, **cost}
    add(writer, metering, release=event.release, entry=recorded.index, operator=event.operator, **used)
    month = {"month": period_at("month", recorded.at), "kind": kind, "releases": 1, "deliveries": 0}
    writer.later(_USED, {**used, **month}, 1, partial(DoesNotFit, "usage_months", event.release))


@projects(ev.ReleaseReused)
def _release_reused(writer: Writer, recorded: ev.Recorded, event: ev.ReleaseReused) -> None:
    unfrozen_reuse(writer, event.job, event.release)
    step(writer, event.job, State.PUBLISHED, recorded.at, release=event.release)
    again = {"job_": event.job, "release_": event.release}
    writer.later(_ANSWERED_TOO, again, None, partial(DoesNotFit, "answered", event.release))


@projects(ev.ProductDelivered)
def _product_delivered(writer: Writer, recorded: ev.Recorded, event: ev.ProductDelivered) -> None:
    for release in (event.release,) if event.product is None else delivered(writer, event, recorded.at):
        unfrozen_delivery(writer, release, event.recipient)
    row = {"entry": recorded.index, "release": event.release, "recipient": event.recipient, "format": event.format, "sha256": event.sha256}
    add(writer, deliveries, **row, delivered_at=recorded.at, product=event.product, version=event.version)
    called = {"release_": event.release, "month_": period_at("month", recorded.at)}
    writer.later(_CALLED, called, 1, partial(DoesNotFit, "usage_months", event.release))
