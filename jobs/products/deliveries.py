"""Handing products out: whether a builder may have one now, and writing down that it has it.

A delivery is asked for once and is one entry in the log, with its fee, before the first byte leaves; every request for bytes that follows from
it is that delivery, as long as its ticket lasts. What stops deliveries (recall, freeze, the end of an entitlement or of a licence) is asked
again at each of those requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from infra.database import reading
from infra.tables import deliveries, licences
from jobs import events as ev
from jobs import fees, freezes
from jobs.acts.products import PRODUCT_UNKNOWN, PRODUCT_VERSION
from jobs.freezes import FREEZE_HOLDS
from jobs.papers import RESULTS_WITHDRAWN
from jobs.products import seen
from jobs.products.copies import Copies
from jobs.products.seen import Entitlement, Product, Version
from jobs.products.store import Copy
from jobs.register import Register
from jobs.slots import parse_time
from policies.freeze import stopped
from policies.problem import declare
from policies.product import SERVED, SHOWN
from policies.quota import begin, renewal
from sandbox.finish.streams import Form

PRODUCT_RECALLED = declare(
    "product_recalled",
    zh=("产品已召回", "产品 {product} 第 {version} 版已召回：{reason}。", "请停止使用已取得的数据，并留意产品目录中的说明。"),
    en=(
        "The product was recalled",
        "Version {version} of product {product} was recalled: {reason}.",
        "Stop using the data you have obtained, and see the notes in the product catalogue.",
    ),
)
PRODUCT_NOT_ENTITLED = declare(
    "product_not_entitled",
    zh=("没有取用资格", "您没有取用产品 {product} 的资格，或资格已到期。", "请向产品的运营单位申请取用资格。"),
    en=(
        "Not entitled",
        "You are not entitled to product {product}, or your entitlement has ended.",
        "Ask the product's operator for an entitlement.",
    ),
)
PRODUCT_QUOTA = declare(
    "product_quota_used",
    zh=("本月交付次数已用完", "产品 {product} 本月可交付 {quota} 次，已用完；{retry_at} 起可再取。", "请等到下月，或向运营单位申请更多次数。"),
    en=(
        "This month's deliveries are used up",
        "Product {product} may be delivered {quota} times a month, all of which are used; the next delivery is possible from {retry_at}.",
        "Wait until next month, or ask the operator for more deliveries.",
    ),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered, by its entry in the log."""

    entry: int
    product: str
    version: int
    recipient: str
    form: Form
    sha256: str
    delivered_at: str


def may_have(connection: Connection, product: str, version: int | None, builder: str, at: str) -> tuple[Product, Version, Entitlement]:
    """The version to be handed out (None: the newest that stands). Raises what keeps this builder from having it at this moment."""
    found = seen.product(connection, product)
    if found is None or found.state not in SHOWN:
        raise PRODUCT_UNKNOWN(product=product)
    held = seen.entitlement(connection, product, builder)
    if held is None or not held.holds_at(at):
        raise PRODUCT_NOT_ENTITLED(product=product)
    wanted = found.version(version)
    if wanted is None and version is not None:
        raise PRODUCT_VERSION(product=product, version=version)
    if wanted is None or wanted.state != "current" or found.state not in SERVED:
        told = wanted or found.versions[-1]
        raise PRODUCT_RECALLED(product=product, version=told.number, reason=told.reason or found.reason or "—")
    access = connection.execute(select(licences.c.access).where(licences.c.id == wanted.licence)).scalar_one()
    if access == "withdrawn":
        raise RESULTS_WITHDRAWN()
    now = freezes.frozen(connection)
    datasets = [source["dataset"] for source in wanted.document["sources"]]
    if now and (holding := stopped(now, operators=[found.operator, builder], licences=[wanted.licence], datasets=datasets)):
        raise FREEZE_HOLDS(what=", ".join(holding))
    return found, wanted, held


def open_delivery(
    register: Register, copies: Copies, product: str, version: int | None, builder: str, form: Form, *, again_s: float = 0
) -> tuple[Delivery, Copy]:
    """Have it delivered: the copy is made, the delivery written down and charged for. One of the same, not older than `again_s` seconds, is
    taken up again instead."""
    now = register.clock()
    with reading(register.engine) as connection:
        _, wanted, held = may_have(connection, product, version, builder, ev.rfc3339(now))
        earlier = _earlier(connection, wanted, builder, form, now - timedelta(seconds=again_s)) if again_s else None
        if earlier is None:
            _within_quota(connection, held, now)
    copy = copies.bytes_for(wanted, builder, form)
    if earlier is not None and earlier.sha256 == copy.sha256:
        return earlier, copy
    with register.transaction() as act:
        _, standing, held = may_have(act.connection, product, wanted.number, builder, act.at)
        _within_quota(act.connection, held, parse_time(act.at))
        entry = act.append(
            ev.ProductDelivered(
                by=builder,
                release=standing.releases[-1],
                recipient=builder,
                format=form,
                sha256=copy.sha256,
                product=product,
                version=standing.number,
            )
        )
        fees.post(act, standing.releases[-1], delivery=entry)
    return Delivery(entry, product, standing.number, builder, form, copy.sha256, act.at), copy


def _within_quota(connection: Connection, held: Entitlement, now: datetime) -> None:
    if held.deliveries_a_month is not None and delivered_this_month(connection, held.product, held.builder, now) >= held.deliveries_a_month:
        retry_at = renewal("month", now).isoformat()
        raise PRODUCT_QUOTA(product=held.product, quota=held.deliveries_a_month, retry_at=retry_at)


def delivered_this_month(connection: Connection, product: str, builder: str, now: datetime) -> int:
    query = select(func.count()).where(
        deliveries.c.product == product,
        deliveries.c.recipient == builder,
        deliveries.c.delivered_at >= ev.rfc3339(begin("month", now)),
    )
    return int(connection.execute(query).scalar_one())


def _earlier(connection: Connection, version: Version, builder: str, form: Form, since: datetime) -> Delivery | None:
    query = (
        select(deliveries)
        .where(
            deliveries.c.product == version.product,
            deliveries.c.recipient == builder,
            deliveries.c.delivered_at >= ev.rfc3339(since),
            deliveries.c.version == version.number,
            deliveries.c.format == form,
        )
        .order_by(deliveries.c.entry.desc())
        .limit(1)
    )
    return next((_delivery(row) for row in connection.execute(query)), None)


def delivery(connection: Connection, entry: int) -> Delivery | None:
    row = connection.execute(select(deliveries).where(deliveries.c.entry == entry, deliveries.c.product.is_not(None))).one_or_none()
    return None if row is None else _delivery(row)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(row.entry, row.product, row.version, row.recipient, row.format, row.sha256, row.delivered_at)


def deliveries_of(connection: Connection, *, product: str | None = None, recipient: str | None = None, limit: int = 100) -> list[Delivery]:
    """Newest first."""
    query = select(deliveries).where(deliveries.c.product.is_not(None)).order_by(deliveries.c.entry.desc()).limit(limit)
    if product is not None:
        query = query.where(deliveries.c.product == product)
    if recipient is not None:
        query = query.where(deliveries.c.recipient == recipient)
    return [_delivery(row) for row in connection.execute(query)]
