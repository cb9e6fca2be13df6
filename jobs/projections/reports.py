"""How events change the tables: reports issued, and the orders they are issued by. One that is of more entries than there were, or of nobody,
does not fit; nor does a period of an order that is not its next one, or not over."""

from __future__ import annotations

from functools import partial

from sqlalchemy import String, bindparam, literal_column, select, update

from infra.prepared import Prepared, Writer
from infra.tables import kept_orders, licences, principals, report_files, report_orders, reports
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add, move
from jobs.slots import parse_time
from policies.period import Period

_key = bindparam("key_", type_=String)
_LICENCE = Prepared(select(licences.c.operator).where(licences.c.id == _key))
_OPERATOR = Prepared(select(principals.c.role).where(principals.c.id == _key))
_OPEN = literal_column("'open'", String)
_kind, _every, _subject = (bindparam(f"{name}_", type_=String) for name in ("kind", "every", "subject"))
_ORDER = Prepared(
    select(report_orders.c.kind, report_orders.c.every, report_orders.c.subject, report_orders.c.next).where(
        report_orders.c.id == _key, report_orders.c.state == _OPEN
    )
)
_SAME = select(report_orders.c.id).where(report_orders.c.kind == _kind, report_orders.c.every == _every, report_orders.c.state == _OPEN)
_SAME_OF_ALL = Prepared(_SAME.where(report_orders.c.subject.is_(None)))
_SAME_OF_ONE = Prepared(_SAME.where(report_orders.c.subject == _subject))
_REPORT = Prepared(select(reports.c.entry, reports.c.kind, reports.c.period, reports.c.subject).where(reports.c.id == _key))
_ADVANCE = Prepared(
    update(report_orders)
    .where(report_orders.c.id == _key, report_orders.c.next == bindparam("period_"), report_orders.c.state == _OPEN)
    .values(next=bindparam("following_"), changed_at=bindparam("at_"))
)


@projects(ev.ReportIssued)
def _report_issued(writer: Writer, recorded: ev.Recorded, event: ev.ReportIssued) -> None:
    if event.size > recorded.index:
        raise DoesNotFit("reports", event.report)
    row = {"id": event.report, "entry": recorded.index, "kind": event.report_kind, "period": event.period, "subject": event.subject}
    made = {"size": event.size, "root": event.root, "document": event.document, "issued_by": event.by, "issued_at": recorded.at}
    add(writer, reports, **row, **made, owner=_owner(writer, event))
    for file in event.files:
        add(writer, report_files, report=event.report, form=file.form, language=file.language or "", sha256=file.sha256)


def _owner(writer: Writer, event: ev.ReportIssued) -> str | None:
    if event.subject is None:
        return None
    if event.report_kind == "filing":
        licence = writer.row(_LICENCE, {"key_": event.subject})
        if licence is None:
            raise DoesNotFit("licences", event.subject)
        return str(licence[0])
    found = writer.row(_OPERATOR, {"key_": event.subject})
    if found is None or found[0] != "operator":
        raise DoesNotFit("principals", event.subject)
    return event.subject


@projects(ev.ReportOrdered)
def _ordered(writer: Writer, recorded: ev.Recorded, event: ev.ReportOrdered) -> None:
    told = {"kind_": event.report_kind, "every_": event.every}
    same = writer.row(_SAME_OF_ALL, told) if event.subject is None else writer.row(_SAME_OF_ONE, {**told, "subject_": event.subject})
    if same is not None or event.first != str(Period.holding(event.every, parse_time(recorded.at))):
        raise DoesNotFit("report_orders", event.order)
    if event.subject is not None:
        found = writer.row(_OPERATOR, {"key_": event.subject})
        if found is None or found[0] != "operator":
            raise DoesNotFit("principals", event.subject)
    row = {"id": event.order, "entry": recorded.index, "kind": event.report_kind, "every": event.every, "subject": event.subject}
    stamped = {"ordered_by": event.by, "ordered_at": recorded.at, "changed_at": recorded.at}
    add(writer, report_orders, **row, **stamped, next=event.first, state="open")


@projects(ev.ReportOrderKept)
def _kept(writer: Writer, recorded: ev.Recorded, event: ev.ReportOrderKept) -> None:
    order, report = writer.row(_ORDER, {"key_": event.order}), writer.row(_REPORT, {"key_": event.report})
    period = Period.parse(event.period)
    if order is None or report is None or event.by != "system" or recorded.at < ev.rfc3339(period.end):
        raise DoesNotFit("report_orders", event.order)
    kind, every, subject, following = order
    wanted = (recorded.index - 1, kind, following, subject)
    if (every, following) != (period.kind, event.period) or tuple(report) != wanted:
        raise DoesNotFit("report_orders", event.order)
    add(writer, kept_orders, order=event.order, period=event.period, report=event.report)
    moved = {"key_": event.order, "period_": event.period, "following_": str(period.following), "at_": recorded.at}
    writer.later(_ADVANCE, moved, 1, partial(DoesNotFit, "report_orders", event.order))


@projects(ev.ReportOrderEnded)
def _ended(writer: Writer, recorded: ev.Recorded, event: ev.ReportOrderEnded) -> None:
    move(writer, report_orders, event.order, ["open"], "ended", recorded.at, ended_by=event.by, reason=event.reason)
