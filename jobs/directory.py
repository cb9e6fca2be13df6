"""What stands in the register now: the catalogue, licences, principals, keys. Reading only."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from sqlalchemy import Connection, Row, select

from infra.tables import answers, api_keys, dataset_versions, datasets, documents, licences, principals
from jobs.documents import read_licence, read_snapshot
from policies.catalogue import Catalogue, Snapshot, Title
from policies.licence import Licence, LicenceState
from policies.roles import PrincipalStatus, Role

KEY_SCHEME = "yk"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may act: a body or a person in one role."""

    id: str
    role: Role
    title: Title
    status: PrincipalStatus
    registered_at: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key without its secret."""

    prefix: str
    principal: str
    status: str  # active, revoked
    issued_at: str


@dataclass(frozen=True, slots=True)
class LicenceRecord:
    licence: Licence
    state: LicenceState
    document: str
    granted_at: str
    changed_at: str


@lru_cache(maxsize=1024)
def _snapshot(document: str, body: bytes) -> Snapshot:
    return read_snapshot(body)


@lru_cache(maxsize=1024)
def _licence(document: str, body: bytes) -> Licence:
    return read_licence(body)


def catalogue(connection: Connection) -> Catalogue:
    """The current snapshot of every dataset that has one."""
    query = (
        select(dataset_versions.c.document, documents.c.body)
        .join(datasets, (datasets.c.id == dataset_versions.c.dataset) & (datasets.c.version == dataset_versions.c.version))
        .join(documents, documents.c.digest == dataset_versions.c.document)
        .order_by(datasets.c.id)
    )
    return Catalogue(tuple(_snapshot(row.document, bytes(row.body)) for row in connection.execute(query)))


@dataclass(frozen=True, slots=True)
class Registered:
    """A dataset as registered: its current version, and its unit space (None: public)."""

    name: str
    space: str | None
    version: int


def registered(connection: Connection) -> list[Registered]:
    query = select(datasets.c.name, datasets.c.space, datasets.c.version).order_by(datasets.c.id)
    return [Registered(row.name, row.space, row.version) for row in connection.execute(query)]


def snapshot(connection: Connection, dataset: str, version: int) -> Snapshot | None:
    """One ingested version, current or not."""
    query = (
        select(dataset_versions.c.document, documents.c.body)
        .join(documents, documents.c.digest == dataset_versions.c.document)
        .where(dataset_versions.c.dataset == dataset.casefold(), dataset_versions.c.version == version)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _snapshot(row.document, bytes(row.body))


_LICENCES = select(licences, documents.c.body).join(documents, documents.c.digest == licences.c.document)


def _licence_record(row: Row[tuple[object, ...]]) -> LicenceRecord:
    return LicenceRecord(_licence(row.document, bytes(row.body)), row.state, row.document, row.granted_at, row.changed_at)


def licence(connection: Connection, licence_id: str) -> LicenceRecord | None:
    row = connection.execute(_LICENCES.where(licences.c.id == licence_id)).one_or_none()
    return None if row is None else _licence_record(row)


def all_licences(connection: Connection, operator: str | None = None) -> list[LicenceRecord]:
    query = _LICENCES.order_by(licences.c.id)
    if operator is not None:
        query = query.where(licences.c.operator == operator)
    return [_licence_record(row) for row in connection.execute(query)]


def _principal(row: Row[tuple[object, ...]]) -> Principal:
    return Principal(row.id, row.role, Title(zh=row.title_zh, en=row.title_en), row.status, row.registered_at)


def principal(connection: Connection, principal_id: str) -> Principal | None:
    row = connection.execute(select(principals).where(principals.c.id == principal_id)).one_or_none()
    return None if row is None else _principal(row)


def all_principals(connection: Connection) -> list[Principal]:
    return [_principal(row) for row in connection.execute(select(principals).order_by(principals.c.id))]


def all_keys(connection: Connection) -> list[KeyRecord]:
    query = select(api_keys).order_by(api_keys.c.prefix)
    return [KeyRecord(row.prefix, row.principal, row.status, row.issued_at) for row in connection.execute(query)]


def secret_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def holder_of(connection: Connection, secret: str) -> Principal | None:
    """Whose key this is, when the secret is right and the key not revoked; else None, whatever was wrong. The holder may be suspended:
    look at `status`."""
    scheme, _, rest = secret.partition("_")
    prefix, separator, _ = rest.partition("_")
    if scheme != KEY_SCHEME or not separator or not secret.isascii() or len(secret) > 200:
        return None
    query = (
        select(principals, api_keys.c.secret_sha256)
        .join(api_keys, api_keys.c.principal == principals.c.id)
        .where(api_keys.c.prefix == prefix, api_keys.c.status == "active")
    )
    row = connection.execute(query).one_or_none()
    if row is None or not hmac.compare_digest(cast(str, row.secret_sha256), secret_digest(secret)):
        return None
    return _principal(row)


def answer_to(connection: Connection, question: str) -> str | None:
    """The release that answered this question first, or None."""
    return connection.execute(select(answers.c.release).where(answers.c.question == question)).scalar_one_or_none()
