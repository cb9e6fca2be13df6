"""How events change the tables: data products, by the table of their life."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Integer, String, bindparam, literal_column, or_, select, update

from infra.prepared import Prepared, Writer
from infra.tables import (
    entitlements,
    jobs,
    licences,
    metering,
    product_releases,
    product_versions,
    products,
    running_schedules,
    schedule_runs,
    schedules,
)
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add, move
from policies.product import SERVED, before
from policies.product.life import GROWING

projects(ev.ProductRegistrationProposed)(nothing)
projects(ev.ProductTraced)(nothing)

_key = bindparam("key_", type_=String)
_STANDS = Prepared(
    select(products.c.state, products.c.operator, products.c.version, products.c.columns, products.c.document).where(products.c.id == _key)
)
_GROW = Prepared(
    update(products)
    .where(products.c.id == _key, products.c.version == bindparam("before_"))
    .values(version=bindparam("to_"), columns=bindparam("columns_"), changed_at=bindparam("at_"))
)
_DESCRIBE = Prepared(
    update(products)
    .where(products.c.id == _key, products.c.operator == bindparam("by_"), products.c.state == literal_column("'draft'"))
    .values(document=bindparam("document_"), changed_at=bindparam("at_"))
)
_METERED = Prepared(select(metering.c.operator, metering.c.licence).where(metering.c.release == bindparam("release_", type_=String)))
_VERSION = (product_versions.c.product == _key) & (product_versions.c.version == bindparam("version_", type_=Integer))
_CURRENT = product_versions.c.state == literal_column("'current'")
_RECALL = Prepared(update(product_versions).where(_VERSION, _CURRENT).values(state="recalled", reason=bindparam("reason_")))
_RECALL_ALL = Prepared(
    update(product_versions).where(product_versions.c.product == _key, _CURRENT).values(state="recalled", reason=bindparam("reason_"))
)
_HOLDS = Prepared(
    select(product_releases.c.release)
    .join(
        product_versions,
        (product_versions.c.product == product_releases.c.product) & (product_versions.c.version == product_releases.c.version),
    )
    .where(_VERSION, _CURRENT)
    .order_by(product_releases.c.position)
)
_RIGHT = (entitlements.c.product == _key) & (entitlements.c.builder == bindparam("builder_", type_=String))
_ENTITLED = Prepared(
    select(entitlements.c.builder).where(
        _RIGHT,
        entitlements.c.state == literal_column("'open'"),
        or_(entitlements.c.until.is_(None), entitlements.c.until > bindparam("at_", type_=String)),
    )
)
_CHANGE = Prepared(
    update(entitlements)
    .where(_RIGHT)
    .values(
        state="open",
        until=bindparam("until_"),
        deliveries_a_month=bindparam("month_"),
        entitled_by=bindparam("by_"),
        changed_at=bindparam("at_"),
    )
)
_END = Prepared(
    update(entitlements).where(_RIGHT, entitlements.c.state == literal_column("'open'")).values(state="ended", changed_at=bindparam("at_"))
)
_LICENSED = Prepared(select(licences.c.operator).where(licences.c.id == _key))
_SCHEDULE = Prepared(
    select(schedules.c.state, schedules.c.operator, schedules.c.licence, schedules.c.runs, schedules.c.releases_at_most).where(
        schedules.c.id == _key
    )
)
_JOB = Prepared(select(jobs.c.operator, jobs.c.licence).where(jobs.c.id == bindparam("job_", type_=String)))


@projects(ev.ProductDrafted)
def _drafted(writer: Writer, recorded: ev.Recorded, event: ev.ProductDrafted) -> None:
    row = {"id": event.product, "operator": event.operator, "state": "draft", "document": event.document, "version": 0}
    add(writer, products, **row, drafted_at=recorded.at, changed_at=recorded.at)


@projects(ev.ProductDescribed)
def _described(writer: Writer, recorded: ev.Recorded, event: ev.ProductDescribed) -> None:
    """A draft, and by its maker alone."""
    values = {"key_": event.product, "by_": event.by, "document_": event.document, "at_": recorded.at}
    writer.later(_DESCRIBE, values, 1, partial(DoesNotFit, "products", event.product))


@projects(ev.ProductVersionAdded)
def _version_added(writer: Writer, recorded: ev.Recorded, event: ev.ProductVersionAdded) -> None:
    """The next version, of releases of the product's own operator under one licence, with the columns that versions have."""
    stands = writer.row(_STANDS, {"key_": event.product})
    if stands is None or stands[0] not in GROWING or event.version != stands[2] + 1 or stands[3] not in (None, event.columns):
        raise DoesNotFit("products", event.product)
    metered = {writer.row(_METERED, {"release_": each}) for each in event.releases}
    made = metered.pop()
    if metered or made is None or len(set(event.releases)) != len(event.releases) or made[0] != stands[1]:
        raise DoesNotFit("metering", event.releases[0])
    grown = {"key_": event.product, "before_": stands[2], "to_": event.version, "columns_": event.columns, "at_": recorded.at}
    writer.later(_GROW, grown, 1, partial(DoesNotFit, "products", event.product))
    row = {"product": event.product, "version": event.version, "state": "current", "entry": recorded.index, "document": event.document}
    content = {"table_sha256": event.table_sha256, "rows": event.rows, "bytes": event.bytes}
    add(writer, product_versions, **row, **content, licence=str(made[1]), added_at=recorded.at)
    for position, release in enumerate(event.releases):
        add(writer, product_releases, product=event.product, version=event.version, position=position, release=release)


@projects(ev.ProductRegistered)
def _registered(writer: Writer, recorded: ev.Recorded, event: ev.ProductRegistered) -> None:
    """What is registered is what was described, with a version there is; never by its own maker."""
    stands = writer.row(_STANDS, {"key_": event.product})
    if stands is None or stands[2] < 1 or stands[4] != event.document or stands[1] == event.by:
        raise DoesNotFit("products", event.product)
    move(writer, products, event.product, before(event.kind), "registered", recorded.at, code=event.code, registered_entry=recorded.index)


@projects(ev.ProductPublished)
def _published(writer: Writer, recorded: ev.Recorded, event: ev.ProductPublished) -> None:
    move(writer, products, event.product, before(event.kind), "published", recorded.at)


@projects(ev.ProductDeprecated)
def _deprecated(writer: Writer, recorded: ev.Recorded, event: ev.ProductDeprecated) -> None:
    values = {"successor": event.successor, "reason": event.reason}
    move(writer, products, event.product, before(event.kind), "deprecated", recorded.at, **values)


@projects(ev.ProductRecalled)
def _recalled(writer: Writer, recorded: ev.Recorded, event: ev.ProductRecalled) -> None:
    if event.version is None:
        move(writer, products, event.product, before(event.kind), "recalled", recorded.at, reason=event.reason)
        writer.run(_RECALL_ALL, {"key_": event.product, "reason_": event.reason})
        return
    stands = writer.row(_STANDS, {"key_": event.product})
    values = {"key_": event.product, "version_": event.version, "reason_": event.reason}
    if stands is None or writer.run(_RECALL, values) != 1:
        raise DoesNotFit("product_versions", f"{event.product}/{event.version}")


@projects(ev.ProductEntitled)
def _entitled(writer: Writer, recorded: ev.Recorded, event: ev.ProductEntitled) -> None:
    _in_state(writer, event.product, event.kind)
    values = {"until": event.until, "deliveries_a_month": event.deliveries_a_month, "entitled_by": event.by, "changed_at": recorded.at}
    changed = {"until_": event.until, "month_": event.deliveries_a_month, "by_": event.by, "at_": recorded.at}
    if writer.run(_CHANGE, {"key_": event.product, "builder_": event.builder, **changed}) == 0:
        add(writer, entitlements, product=event.product, builder=event.builder, state="open", **values)


@projects(ev.ProductEntitlementEnded)
def _entitlement_ended(writer: Writer, recorded: ev.Recorded, event: ev.ProductEntitlementEnded) -> None:
    if writer.run(_END, {"key_": event.product, "builder_": event.builder, "at_": recorded.at}) != 1:
        raise DoesNotFit("entitlements", f"{event.product}/{event.builder}")


@projects(ev.ScheduleSet)
def _schedule_set(writer: Writer, recorded: ev.Recorded, event: ev.ScheduleSet) -> None:
    stands, licensed = writer.row(_STANDS, {"key_": event.product}), writer.row(_LICENSED, {"key_": event.licence})
    if stands is None or stands[0] not in GROWING or licensed is None or not stands[1] == licensed[0] == event.by:
        raise DoesNotFit("products", event.product)
    row = {"id": event.schedule, "product": event.product, "operator": event.by, "licence": event.licence, "request": event.request}
    counts = {"releases_at_most": event.releases_at_most, "runs": 0}
    add(writer, schedules, **row, **counts, state="active", set_at=recorded.at, changed_at=recorded.at)


@projects(ev.RunningSet)
def _running_set(writer: Writer, recorded: ev.Recorded, event: ev.RunningSet) -> None:
    """Of a schedule of one's own that has not run yet, with a release for each period that is not done."""
    found = writer.row(_SCHEDULE, {"key_": event.schedule})
    if found is None or found[0] != "active" or found[1] != event.by or found[3] or found[4] != event.periods - event.done:
        raise DoesNotFit("schedules", event.schedule)
    earlier = None if event.after is None else writer.row(_SCHEDULE, {"key_": event.after})
    if (earlier is None) != (event.done == 0) or (earlier is not None and (earlier[0] != "stopped" or earlier[1] != event.by)):
        raise DoesNotFit("schedules", event.schedule)
    plan = {"dataset": event.dataset, "step": event.step, "first": event.first.isoformat(), "periods": event.periods, "way": event.way}
    add(writer, running_schedules, schedule=event.schedule, **plan, after=event.after, done=event.done)


@projects(ev.ScheduleRan)
def _schedule_ran(writer: Writer, recorded: ev.Recorded, event: ev.ScheduleRan) -> None:
    """One more, of its operator's under its licence, while there is room. The key of `schedule_runs` holds that no snapshot comes twice."""
    found, job = writer.row(_SCHEDULE, {"key_": event.schedule}), writer.row(_JOB, {"job_": event.job})
    if found is None or job is None or found[3] >= found[4] or tuple(found[1:3]) != tuple(job):
        raise DoesNotFit("schedules", event.schedule)
    move(writer, schedules, event.schedule, ["active"], "active", recorded.at, runs=found[3] + 1)
    add(writer, schedule_runs, schedule=event.schedule, snapshots=event.snapshots, job=event.job, entry=recorded.index)


@projects(ev.ScheduleStopped)
def _schedule_stopped(writer: Writer, recorded: ev.Recorded, event: ev.ScheduleStopped) -> None:
    move(writer, schedules, event.schedule, ["active"], "stopped", recorded.at, reason=event.reason)


def delivered(writer: Writer, event: ev.ProductDelivered, at: str) -> tuple[str, ...]:
    """The releases in what is delivered of a product. DoesNotFit unless it is served, this version of it stands, and the recipient is
    entitled."""
    stands = writer.row(_STANDS, {"key_": event.product})
    parts = tuple(str(row[0]) for row in writer.rows(_HOLDS, {"key_": event.product, "version_": event.version}))
    entitled = writer.row(_ENTITLED, {"key_": event.product, "builder_": event.recipient, "at_": at})
    if stands is None or stands[0] not in SERVED or not parts or parts[-1] != event.release or entitled is None:
        raise DoesNotFit("products", f"{event.product}/{event.version}")
    return parts


def _in_state(writer: Writer, product: str, kind: str) -> None:
    stands = writer.row(_STANDS, {"key_": product})
    if stands is None or stands[0] not in before(kind):
        raise DoesNotFit("products", product)
