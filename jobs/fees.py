"""Fees in the register: what a release or a delivery costs under its licence's tariff, posted in the transaction that publishes or delivers.

A licence without a tariff costs nothing and nothing is posted. Answers given again and jobs that published nothing are never charged for:
nothing new left. The tariff is the one in the licence's present version, so an amended one holds from its amendment on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, String, bindparam, select

from infra.prepared import Prepared, fetch
from infra.tables import documents, fee_totals, licences, metering, openings, releases
from jobs import directory
from jobs.events import FeeLine, FeePosted, FeeShare
from jobs.register import Act
from jobs.slots import parse_time
from policies.fees import USAGE_OF_DELIVERY, Fee, Usage, fee_of, usage_of_release
from policies.licence import Licence
from policies.loss import Loss
from policies.period import Period
from policies.tariff import Item, Tariff

SYSTEM = "system"


_TOTALS = Prepared(
    select(fee_totals.c.item, fee_totals.c.quantity).where(
        fee_totals.c.licence == bindparam("licence_", type_=String),
        fee_totals.c.period == bindparam("period_", type_=String),
        fee_totals.c.tariff == bindparam("tariff_", type_=String),
    )
)
_MEASURED = ("licence", "operator", "scenario", "rows", "bytes", "compute_ms", "pico_rho", "atto_delta")
_USED = Prepared(
    select(*(metering.c[name] for name in _MEASURED), openings.c.content, documents.c.digest, documents.c.body)
    .join(releases, releases.c.id == metering.c.release)
    .join(openings, openings.c.commitment == releases.c.record)
    .join(licences, licences.c.id == metering.c.licence)
    .join(documents, documents.c.digest == licences.c.document)
    .where(metering.c.release == bindparam("release_", type_=String))
)


def totals(connection: Connection, licence: str, period: Period, tariff: str) -> dict[str, int]:
    """What of each item was charged for in a period so far."""
    return {row.item: row.quantity for row in fetch(connection, _TOTALS, _so_far(licence, period, tariff))}


def _so_far(licence: str, period: Period, tariff: str) -> dict[str, str]:
    return {"licence_": licence, "period_": str(period), "tariff_": tariff}


def posting(fee: Fee) -> dict[str, object]:
    """The fields of an event that say what a fee consists of."""
    return {
        "lines": tuple(FeeLine(item=line.item, measure=line.measure, quantity=line.quantity, fen=line.fen) for line in fee.lines),
        "free": fee.free,
        "fen": fee.fen,
        "shares": tuple(FeeShare(body=body, fen=fen) for body, fen in fee.shares),
    }


def post(act: Act, release: str, *, delivery: int | None = None) -> None:
    """Append the fee of a release, right after its publication; or, right after it, of the delivery that entry `delivery` records."""
    event = due(act, release, delivery=delivery)
    if event is not None:
        act.append(event)


def due(act: Act, release: str, *, delivery: int | None = None) -> FeePosted | None:
    """The fee; None without a tariff. A delivery is a call, under the licence the release was made under."""
    ((licence, operator, scenario, rows, size, slot_ms, pico_rho, atto_delta, record, document, body),) = act.writer.rows(
        _USED, {"release_": release}
    )
    tariff = directory.licence_in(document, bytes(body)).tariff
    if tariff is None:
        return None
    usage: Usage = USAGE_OF_DELIVERY
    if delivery is None:
        usage = usage_of_release(rows=rows, bytes=size, slot_ms=slot_ms or 0, loss=Loss(pico_rho, atto_delta))
    datasets = tuple(sorted({source["dataset"] for source in json.loads(bytes(record))["sources"]}))
    period = Period.holding(tariff.period, parse_time(act.at))
    before = dict(act.writer.rows(_TOTALS, _so_far(licence, period, tariff.digest)))
    fee = fee_of(tariff, usage, scenario=scenario, datasets=datasets, before=before)
    return FeePosted.model_validate(
        {
            "by": SYSTEM,
            "cause": "release" if delivery is None else "delivery",
            "licence": licence,
            "operator": operator,
            "release": release,
            "delivery": delivery,
            "scenario": scenario,
            "period": str(period),
            "licence_document": document,
            "tariff": tariff.digest,
            "datasets": datasets,
            **posting(fee),
        }
    )


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """What a job would cost now. `open_items` are priced by what only the answer tells, its rows and bytes: they come on top."""

    tariff: Tariff
    fee: Fee
    open_items: tuple[Item, ...]


def quoted(
    connection: Connection, licence: Licence, *, scenario: str, slot_ms: int, loss: Loss, datasets: Iterable[str], at: str
) -> FeeQuote | None:
    """None: the licence has no tariff."""
    tariff = licence.tariff
    if tariff is None:
        return None
    usage = usage_of_release(rows=0, bytes=0, slot_ms=slot_ms, loss=loss)
    unknown = ("row", "byte")
    known = {measure: count for measure, count in usage.items() if measure not in unknown}
    before = totals(connection, licence.id, Period.holding(tariff.period, parse_time(at)), tariff.digest)
    fee = fee_of(tariff, known, scenario=scenario, datasets=datasets, before=before)
    coming = (tariff.item_for(measure, scenario) for measure in usage if measure in unknown)
    return FeeQuote(tariff, fee, () if fee.free else tuple(item for item in coming if item is not None))
