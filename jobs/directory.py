"""What stands in the register now: the catalogue, licences, principals, keys. Reading only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

from sqlalchemy import ColumnElement, Connection, Row, String, and_, bindparam, literal_column, or_, select

from infra.prepared import Prepared, fetch
from infra.tables import answers, dataset_versions, datasets, documents, licence_consents, licence_versions, licences, principals
from jobs.documents import read_licence, read_snapshot
from policies.catalogue import Catalogue, Registration, Snapshot, Title
from policies.licence import Licence, LicenceState
from policies.life import standing
from policies.roles import PrincipalStatus, Role


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may act: a body or a person in one role."""

    id: str
    role: Role
    title: Title
    status: PrincipalStatus
    registered_at: str


@dataclass(frozen=True, slots=True)
class LicenceRecord:
    """A licence and what was written of it. `state` is the state last written; `state_at` adds what the clock did since. `version` 0: an
    application; `access`: "withdrawn" when what was made under it is handed to nobody any more."""

    licence: Licence
    state: LicenceState
    document: str
    granted_at: str | None
    changed_at: str
    version: int
    signed: str | None
    access: str

    def state_at(self, now: datetime) -> LicenceState:
        return standing(self.state, self.licence.valid_from, self.licence.valid_until, now)


@dataclass(frozen=True, slots=True)
class LicenceVersion:
    """One document a licence had in force. `signed` names the signed note."""

    version: int
    document: str
    signed: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Consent:
    dataset: str  # case-folded
    reference: str
    by: str
    at: str


@lru_cache(maxsize=1024)
def _snapshot(document: str, body: bytes) -> Snapshot:
    return read_snapshot(body)


@lru_cache(maxsize=1024)
def licence_in(document: str, body: bytes) -> Licence:
    """The licence of a document that is held, by its digest; read once."""
    return read_licence(body)


_CURRENT: ColumnElement[str] = literal_column("'current'")
_WITHDRAWN: ColumnElement[str] = literal_column("'withdrawn'")
_CATALOGUE = Prepared(
    select(dataset_versions.c.document, documents.c.body)
    .join(datasets, (datasets.c.id == dataset_versions.c.dataset) & (datasets.c.version == dataset_versions.c.version))
    .join(documents, documents.c.digest == dataset_versions.c.document)
    .where(datasets.c.state == _CURRENT, dataset_versions.c.state == _CURRENT)
    .order_by(datasets.c.id)
)


def catalogue(connection: Connection) -> Catalogue:
    """The current snapshot of every dataset that has one and was not withdrawn."""
    return Catalogue(tuple(_snapshot(row.document, bytes(row.body)) for row in fetch(connection, _CATALOGUE, {})))


@cache
def _gone(count: int) -> Prepared:
    """Which of `count` versions that were seen may not be used any more."""
    names = [bindparam(f"name_{at}", type_=String) for at in range(count)]
    seen = [and_(dataset_versions.c.dataset == name, dataset_versions.c.version == bindparam(f"seen_{at}")) for at, name in enumerate(names)]
    return Prepared(
        select(datasets.c.id)
        .join(dataset_versions, dataset_versions.c.dataset == datasets.c.id)
        .where(
            or_(*(datasets.c.id == name for name in names)),
            or_(
                datasets.c.state == _WITHDRAWN,
                and_(dataset_versions.c.state == _WITHDRAWN, dataset_versions.c.version == datasets.c.version),
                and_(dataset_versions.c.state == _WITHDRAWN, or_(*seen)),
            ),
        )
    )


def standing_in(connection: Connection, older: Catalogue, names: Iterable[str] | None = None) -> Catalogue:
    """Of a catalogue seen before (of these `names` in it, else of all), the snapshots that may still be used: neither they, nor their dataset,
    nor its current version were withdrawn since."""
    seen = {name.casefold(): older[name] for name in (older if names is None else names) if name in older}
    if not seen:
        return Catalogue(())
    given: dict[str, object] = {}
    for at, (name, snapshot) in enumerate(seen.items()):
        given |= {f"name_{at}": name, f"seen_{at}": snapshot.version}
    gone = {row.id for row in fetch(connection, _gone(len(seen)), given)}
    return Catalogue(tuple(snapshot for name, snapshot in seen.items() if name not in gone))


@dataclass(frozen=True, slots=True)
class Registered:
    """A dataset as registered: its current version, unit space (None: public), how far its registration is, whether it was withdrawn."""

    name: str
    space: str | None
    version: int
    registration: Registration
    state: str  # current, withdrawn


def registered(connection: Connection) -> list[Registered]:
    query = select(datasets).order_by(datasets.c.id)
    return [Registered(row.name, row.space, row.version, row.registration, row.state) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One ingested version. `lineage` is the commitment to what it was made of."""

    version: int
    digest: str
    state: str  # current, withdrawn
    ingested_at: str
    ingested_by: str
    lineage: str | None


def versions_of(connection: Connection, dataset: str) -> list[VersionRecord]:
    """Oldest first."""
    query = select(dataset_versions).where(dataset_versions.c.dataset == dataset.casefold()).order_by(dataset_versions.c.version)
    return [
        VersionRecord(row.version, row.digest, row.state, row.ingested_at, row.ingested_by, row.lineage) for row in connection.execute(query)
    ]


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
_key = bindparam("key_", type_=String)
_LICENCE = Prepared(_LICENCES.where(licences.c.id == _key))
_PRINCIPAL = Prepared(select(principals).where(principals.c.id == _key))


def _licence_record(row: Row[tuple[object, ...]]) -> LicenceRecord:
    return LicenceRecord(
        licence=licence_in(row.document, bytes(row.body)),
        state=row.state,
        document=row.document,
        granted_at=row.granted_at,
        changed_at=row.changed_at,
        version=row.version,
        signed=row.signed,
        access=row.access,
    )


def licence(connection: Connection, licence_id: str) -> LicenceRecord | None:
    rows = fetch(connection, _LICENCE, {"key_": licence_id})
    return _licence_record(rows[0]) if rows else None


def all_licences(connection: Connection, operator: str | None = None) -> list[LicenceRecord]:
    query = _LICENCES.order_by(licences.c.id)
    if operator is not None:
        query = query.where(licences.c.operator == operator)
    return [_licence_record(row) for row in connection.execute(query)]


def licence_versions_of(connection: Connection, licence_id: str) -> list[LicenceVersion]:
    """Oldest first."""
    query = select(licence_versions).where(licence_versions.c.licence == licence_id).order_by(licence_versions.c.version)
    return [LicenceVersion(row.version, row.document, row.signed, row.by, row.at) for row in connection.execute(query)]


def consents_of(connection: Connection, licence_id: str) -> list[Consent]:
    query = select(licence_consents).where(licence_consents.c.licence == licence_id).order_by(licence_consents.c.dataset)
    return [Consent(row.dataset, row.reference, row.by, row.at) for row in connection.execute(query)]


def consents(connection: Connection, licence_id: str) -> dict[str, str]:
    """The number of each source body's consent, by case-folded dataset."""
    return {consent.dataset: consent.reference for consent in consents_of(connection, licence_id)}


def principal_of(row: Row[tuple[object, ...]]) -> Principal:
    return Principal(row.id, row.role, Title(zh=row.title_zh, en=row.title_en), row.status, row.registered_at)


def principal(connection: Connection, principal_id: str) -> Principal | None:
    rows = fetch(connection, _PRINCIPAL, {"key_": principal_id})
    return principal_of(rows[0]) if rows else None


def all_principals(connection: Connection) -> list[Principal]:
    return [principal_of(row) for row in connection.execute(select(principals).order_by(principals.c.id))]


def answer_to(connection: Connection, question: str) -> str | None:
    """The release that answered this question first, or None."""
    return connection.execute(select(answers.c.release).where(answers.c.question == question)).scalar_one_or_none()
