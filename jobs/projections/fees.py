"""How events change the tables: fees and settlements. What does not add up, or is charged for twice, does not fit.

The tables cannot know prices; that a fee is what its tariff says is recomputed from the licence's document by the audits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sqlalchemy import BigInteger, String, Table, bindparam, func, select, true

from infra.prepared import Prepared, Writer, adding
from infra.tables import (
    deliveries,
    fee_bodies,
    fee_counts,
    fee_items,
    fee_lines,
    fee_shares,
    fee_totals,
    fees,
    metering,
    releases,
    settlement_shares,
    settlements,
)
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add
from jobs.slots import parse_time
from policies.period import Period

_licence, _period = bindparam("licence_", type_=String), bindparam("period_", type_=String)
_RELEASE = Prepared(
    select(metering.c.licence, metering.c.operator, metering.c.scenario, releases.c.visible_at)
    .join(releases, releases.c.id == metering.c.release)
    .where(metering.c.release == bindparam("release_", type_=String))
)
_DELIVERY = Prepared(select(deliveries.c.release).where(deliveries.c.entry == bindparam("entry_", type_=BigInteger)))
_CLOSED = Prepared(select(settlements.c.carried_fen).where(settlements.c.licence == _licence, settlements.c.period == _period))
_POSTED = Prepared(select(func.coalesce(func.sum(fee_counts.c.fen), 0)).where(fee_counts.c.licence == _licence, fee_counts.c.period == _period))


def _growing(table: Table, *sums: str) -> Prepared:
    """Puts a row in, or adds to what is there."""
    return adding(table, select(*(bindparam(column.name, type_=column.type) for column in table.columns)).where(true()), sums)


_TOTAL, _ITEM = _growing(fee_totals, "quantity", "fen"), _growing(fee_items, "quantity", "fen")
_BODY, _COUNT = _growing(fee_bodies, "fen"), _growing(fee_counts, "fees", "fen")


@projects(ev.FeePosted)
def _fee_posted(writer: Writer, recorded: ev.Recorded, event: ev.FeePosted) -> None:
    lines, shares = sum(line.fen for line in event.lines), sum(share.fen for share in event.shares)
    if event.fen != lines or event.fen != shares or (event.free and event.fen):
        raise DoesNotFit("fees", event.subject)
    if writer.row(_CLOSED, {"licence_": event.licence, "period_": event.period}) is not None:
        raise DoesNotFit("settlements", f"{event.licence}/{event.period}")
    add(
        writer,
        fees,
        entry=recorded.index,
        cause=event.cause,
        subject=event.subject,
        licence=event.licence,
        operator=event.operator,
        release=event.release,
        scenario=event.scenario,
        period=event.period,
        tariff=event.tariff,
        free=event.free,
        fen=event.fen,
        posted_at=recorded.at,
        visible_at=_visible_at(writer, recorded, event),
    )
    own, free = {"licence": event.licence, "period": event.period}, event.free
    grow = partial(_grow, writer, event.subject)
    grow(_COUNT, {**own, "scenario": event.scenario or "", "free": free, "fees": 1, "fen": event.fen})
    for line in event.lines:
        amounts = {"quantity": line.quantity, "fen": line.fen}
        add(writer, fee_lines, fee=recorded.index, item=line.item, measure=line.measure, **amounts)
        grow(_ITEM, {**own, "item": line.item, "measure": line.measure, "free": free, **amounts})
        if not free:
            grow(_TOTAL, {**own, "tariff": event.tariff, "item": line.item, **amounts})
    for share in event.shares:
        add(writer, fee_shares, fee=recorded.index, body=share.body, fen=share.fen)
        grow(_BODY, {**own, "body": share.body, "fen": share.fen})


def _grow(writer: Writer, subject: str, statement: Prepared, values: Mapping[str, object]) -> None:
    writer.later(statement, values, 1, partial(DoesNotFit, "fees", subject))


def _visible_at(writer: Writer, recorded: ev.Recorded, event: ev.FeePosted) -> str:
    """When its operator may see it: with the release. DoesNotFit unless it is about a release, delivery or period there is."""
    if event.cause == "term":
        return recorded.at
    found = writer.row(_RELEASE, {"release_": event.release})
    if found is None or tuple(found[:3]) != (event.licence, event.operator, event.scenario):
        raise DoesNotFit("metering", str(event.release))
    if event.period != str(Period.holding(Period.parse(event.period).kind, parse_time(recorded.at))):
        raise DoesNotFit("fees", event.period)
    if event.cause == "release":
        return str(found[3])
    delivered = writer.row(_DELIVERY, {"entry_": event.delivery})
    if delivered is None or delivered[0] != event.release:
        raise DoesNotFit("deliveries", str(event.delivery))
    return recorded.at


@projects(ev.PeriodClosed)
def _period_closed(writer: Writer, recorded: ev.Recorded, event: ev.PeriodClosed) -> None:
    period = Period.parse(event.period)
    before = writer.row(_CLOSED, {"licence_": event.licence, "period_": str(Period(period.kind, period.number - 1))})
    posted = writer.rows(_POSTED, {"licence_": event.licence, "period_": event.period})[0][0]
    divided = sum(share.payable for share in event.shares), sum(share.carried for share in event.shares)
    if (event.posted, event.brought) != (int(posted), before[0] if before else 0) or divided != (event.payable, event.carried):
        raise DoesNotFit("settlements", f"{event.licence}/{event.period}")
    if parse_time(recorded.at) < period.end:
        raise DoesNotFit("settlements", event.period)
    add(
        writer,
        settlements,
        licence=event.licence,
        period=event.period,
        entry=recorded.index,
        allowed_fen=event.allowed,
        posted_fen=event.posted,
        brought_fen=event.brought,
        payable_fen=event.payable,
        carried_fen=event.carried,
        closed_by=event.by,
        closed_at=recorded.at,
    )
    for share in event.shares:
        row = {"licence": event.licence, "period": event.period, "body": share.body}
        add(writer, settlement_shares, **row, payable_fen=share.payable, carried_fen=share.carried)
