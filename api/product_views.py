"""From products as the register has them to what is shown of them over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from api.fee_views import yuan
from api.schemas.products import (
    DeliveryView,
    EntitlementView,
    FreshnessView,
    PriceOfDelivery,
    ProductColumn,
    ProductFile,
    ProductSource,
    ProductVersionView,
    ProductView,
    QualityView,
)
from jobs.products import Copies, shelf
from jobs.products.deliveries import Delivery
from jobs.products.seen import Entitlement, Product, Version


def product_view(
    connection: Connection, copies: Copies, product: Product, at: datetime, *, entitled: bool | None = None, whole: bool = True
) -> ProductView:
    """`whole`: with quality, which reads the table; in lists it is left out."""
    description, newest = product.description, product.version()
    fee = shelf.price(connection, newest, at) if newest is not None else None
    acquired = min((source["acquired_on"] for source in newest.document["sources"]), default=None) if newest is not None else None
    return ProductView(
        id=product.id,
        operator=product.operator,
        state=product.state,
        code=product.code,
        title=description.title,
        about=description.about,
        terms=description.terms,
        keywords=list(description.keywords),
        renewed=description.renewed,
        contact=description.contact,
        successor=product.successor,
        reason=product.reason,
        drafted_at=product.drafted_at,
        changed_at=product.changed_at,
        registered_index=product.registered_entry,
        entitled=entitled,
        freshness=FreshnessView(
            version_added_at=newest.added_at if newest is not None else None, acquired_on=acquired, renewed=description.renewed
        ),
        price=None if fee is None else PriceOfDelivery(yuan=yuan(fee.fen), free=fee.free),
        quality=[_quality(each) for each in shelf.quality(copies, newest)] if whole and newest is not None else [],
        versions=[version_view(version) for version in reversed(product.versions)],
    )


def _quality(quality: shelf.Quality) -> QualityView:
    percent = None if quality.percent is None else f"{quality.percent:.2f}"
    return QualityView(column=quality.column, relative_half_width_percent=percent, without_value=quality.missing)


def version_view(version: Version) -> ProductVersionView:
    document: dict[str, Any] = version.document
    return ProductVersionView(
        version=version.number,
        state="current" if version.state == "current" else "recalled",
        added_at=version.added_at,
        log_index=version.entry,
        releases=list(version.releases),
        licence=version.licence,
        scenario=document["scenario"],
        rows=version.rows,
        columns=columns_view(version),
        files=[ProductFile.model_validate({"format": form, **file}) for form, file in document["files"].items()],
        sources=[ProductSource.model_validate(source) for source in document["sources"]],
        reason=version.reason,
    )


def columns_view(version: Version) -> list[ProductColumn]:
    return [ProductColumn.model_validate(column) for column in version.document["table"]["columns"]]


def entitlement_view(entitlement: Entitlement) -> EntitlementView:
    return EntitlementView.model_validate({name: getattr(entitlement, name) for name in EntitlementView.model_fields})


def delivery_view(delivery: Delivery, **link: Any) -> DeliveryView:
    return DeliveryView(
        log_index=delivery.entry,
        product=delivery.product,
        version=delivery.version,
        recipient=delivery.recipient,
        format=delivery.form,
        sha256=delivery.sha256,
        delivered_at=delivery.delivered_at,
        **link,
    )
