"""Products as they stand: what is said of them, their versions, who may have them. Reading only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select

from infra.tables import documents, entitlements, product_releases, product_versions, products
from policies.product import Description, ProductState


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `document` is what its entry in the log commits to (`jobs.products.record`); `state` "current" or "recalled"."""

    product: str
    number: int
    state: str
    entry: int
    licence: str
    document_sha256: str
    document: dict[str, Any]
    table_sha256: str
    rows: int
    bytes: int
    added_at: str
    reason: str | None
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """`versions` oldest first. `code` and `registered_entry` once it is registered; `reason` of its deprecation or recall."""

    id: str
    operator: str
    state: ProductState
    document_sha256: str
    description: Description
    code: str | None
    registered_entry: int | None
    successor: str | None
    reason: str | None
    drafted_at: str
    changed_at: str
    columns_sha256: str | None
    versions: tuple[Version, ...]

    def version(self, number: int | None = None) -> Version | None:
        """That one, recalled or not; the newest that stands."""
        if number is None:
            return next((each for each in reversed(self.versions) if each.state == "current"), None)
        return next((each for each in self.versions if each.number == number), None)


@dataclass(frozen=True, slots=True)
class Entitlement:
    product: str
    builder: str
    state: str  # open, ended
    until: str | None
    deliveries_a_month: int | None
    entitled_by: str
    changed_at: str

    def holds_at(self, at: str) -> bool:
        return self.state == "open" and (self.until is None or at < self.until)


def product(connection: Connection, id: str) -> Product | None:
    return next(iter(_products(connection, select(products, documents.c.body).where(products.c.id == id))), None)


def all_products(
    connection: Connection,
    *,
    operator: str | None = None,
    states: Iterable[ProductState] | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[Product]:
    """By id; of one `operator`, in certain `states`. With `after`, those that follow this id; at most `limit`."""
    query = select(products, documents.c.body).order_by(products.c.id).limit(limit)
    if after is not None:
        query = query.where(products.c.id > after)
    if operator is not None:
        query = query.where(products.c.operator == operator)
    if states is not None:
        query = query.where(products.c.state.in_(tuple(states)))
    return _products(connection, query)


def _products(connection: Connection, query: Any) -> list[Product]:
    rows = connection.execute(query.join(documents, documents.c.digest == products.c.document)).all()
    versions: dict[str, list[Version]] = {row.id: [] for row in rows}
    for version in _versions(connection, list(versions)):
        versions[version.product].append(version)
    return [
        Product(
            id=row.id,
            operator=row.operator,
            state=row.state,
            document_sha256=row.document,
            description=_description(bytes(row.body)),
            code=row.code,
            registered_entry=row.registered_entry,
            successor=row.successor,
            reason=row.reason,
            drafted_at=row.drafted_at,
            changed_at=row.changed_at,
            columns_sha256=row.columns,
            versions=tuple(versions[row.id]),
        )
        for row in rows
    ]


def _versions(connection: Connection, ids: list[str]) -> Iterable[Version]:
    parts: dict[tuple[str, int], list[str]] = {}
    held = select(product_releases).where(product_releases.c.product.in_(ids))
    for row in connection.execute(held.order_by(product_releases.c.product, product_releases.c.version, product_releases.c.position)):
        parts.setdefault((row.product, row.version), []).append(row.release)
    query = (
        select(product_versions, documents.c.body)
        .join(documents, documents.c.digest == product_versions.c.document)
        .where(product_versions.c.product.in_(ids))
        .order_by(product_versions.c.product, product_versions.c.version)
    )
    for row in connection.execute(query):
        yield _version(row, tuple(parts[row.product, row.version]))


def _version(row: Row[Any], releases: tuple[str, ...]) -> Version:
    return Version(
        product=row.product,
        number=row.version,
        state=row.state,
        entry=row.entry,
        licence=row.licence,
        document_sha256=row.document,
        document=_content(bytes(row.body)),
        table_sha256=row.table_sha256,
        rows=row.rows,
        bytes=row.bytes,
        added_at=row.added_at,
        reason=row.reason,
        releases=releases,
    )


@lru_cache(maxsize=1024)
def _description(body: bytes) -> Description:
    return Description.model_validate_json(body)


@lru_cache(maxsize=1024)
def _content(body: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body)
    return content


def entitlement(connection: Connection, product: str, builder: str) -> Entitlement | None:
    query = select(entitlements).where(entitlements.c.product == product, entitlements.c.builder == builder)
    row = connection.execute(query).one_or_none()
    return None if row is None else Entitlement(**row._mapping)


def entitlements_of(connection: Connection, *, product: str | None = None, builder: str | None = None) -> list[Entitlement]:
    query = select(entitlements).order_by(entitlements.c.product, entitlements.c.builder)
    if product is not None:
        query = query.where(entitlements.c.product == product)
    if builder is not None:
        query = query.where(entitlements.c.builder == builder)
    return [Entitlement(**row._mapping) for row in connection.execute(query)]
