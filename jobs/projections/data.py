"""How events change the tables: datasets and versions."""

from __future__ import annotations

from sqlalchemy import bindparam, exists, select, update

from infra.prepared import Prepared, Writer
from infra.tables import (
    dataset_versions,
    datasets,
    destructions,
)
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add
from policies.catalogue import REGISTRATIONS


@projects(ev.DatasetRegistered)
def _dataset_registered(writer: Writer, recorded: ev.Recorded, event: ev.DatasetRegistered) -> None:
    row = {"id": event.dataset.casefold(), "name": event.dataset, "space": event.space, "version": 0, "registered_at": recorded.at}
    add(writer, datasets, **row, registration=event.registration, state="current")


_NEWER = Prepared(
    update(datasets)
    .where(datasets.c.id == bindparam("key_"), datasets.c.version < bindparam("new_"), datasets.c.state == "current")
    .values(version=bindparam("new_"))
)


@projects(ev.VersionIngested)
def _version_ingested(writer: Writer, recorded: ev.Recorded, event: ev.VersionIngested) -> None:
    key = event.dataset.casefold()
    if writer.run(_NEWER, {"key_": key, "new_": event.version}) != 1:
        raise DoesNotFit("datasets", key)
    row = {"dataset": key, "version": event.version, "digest": event.digest, "document": event.document, "ingested_at": recorded.at}
    add(writer, dataset_versions, **row, state="current", ingested_by=event.by, lineage=event.lineage)


_REGISTERED = Prepared(
    update(datasets)
    .where(datasets.c.id == bindparam("key_"), datasets.c.registration == bindparam("from_"))
    .values(registration=bindparam("to_"))
)


@projects(ev.RegistrationMoved)
def _registration_moved(writer: Writer, _recorded: ev.Recorded, event: ev.RegistrationMoved) -> None:
    key, place = event.dataset.casefold(), REGISTRATIONS.index(event.to)
    before = REGISTRATIONS[place - 1] if place else ""
    if writer.run(_REGISTERED, {"key_": key, "from_": before, "to_": event.to}) != 1:
        raise DoesNotFit("datasets", key)


_WITHDRAWN = Prepared(update(datasets).where(datasets.c.id == bindparam("key_"), datasets.c.state == "current").values(state=bindparam("to_")))
_VERSION_WITHDRAWN = Prepared(
    update(dataset_versions)
    .where(
        dataset_versions.c.dataset == bindparam("key_"),
        dataset_versions.c.version == bindparam("version_"),
        dataset_versions.c.state == "current",
    )
    .values(state=bindparam("to_"))
)


@projects(ev.DatasetWithdrawn)
def _dataset_withdrawn(writer: Writer, _recorded: ev.Recorded, event: ev.DatasetWithdrawn) -> None:
    key = event.dataset.casefold()
    if event.version is None:
        changed = writer.run(_WITHDRAWN, {"key_": key, "to_": "withdrawn"})
    else:
        changed = writer.run(_VERSION_WITHDRAWN, {"key_": key, "version_": event.version, "to_": "withdrawn"})
    if changed != 1:
        raise DoesNotFit("datasets", key)


projects(ev.MasterKeyRotated)(nothing)
projects(ev.MasterKeyRetired)(nothing)
projects(ev.DatasetKeyRotated)(nothing)


@projects(ev.DestructionProposed)
def _destruction_proposed(writer: Writer, recorded: ev.Recorded, event: ev.DestructionProposed) -> None:
    row = {"entry": recorded.index, "dataset": event.dataset.casefold(), "version": event.version or 0, "reason": event.reason}
    add(writer, destructions, **row, proposed_by=event.by, proposed_at=recorded.at)


_WHOLE_GONE = exists(select(datasets.c.id).where(datasets.c.id == bindparam("key_"), datasets.c.state == "withdrawn"))
_VERSION_GONE = exists(
    select(dataset_versions.c.version).where(
        dataset_versions.c.dataset == bindparam("key_"),
        dataset_versions.c.version == bindparam("version_"),
        dataset_versions.c.state == "withdrawn",
    )
)
_DESTROYED = Prepared(
    update(destructions)
    .where(
        destructions.c.entry == bindparam("entry_"),
        destructions.c.dataset == bindparam("key_"),
        destructions.c.version == bindparam("version_"),
        destructions.c.proposed_by != bindparam("by_"),
        destructions.c.since.is_(None),
        _WHOLE_GONE | _VERSION_GONE,
    )
    .values(confirmed_by=bindparam("by_"), since=bindparam("since_"), confirmed_at=bindparam("at_"))
)


@projects(ev.DataDestroyed)
def _data_destroyed(writer: Writer, recorded: ev.Recorded, event: ev.DataDestroyed) -> None:
    key = event.dataset.casefold()
    given = {"entry_": event.proposal, "key_": key, "version_": event.version or 0, "by_": event.by, "since_": recorded.index}
    if writer.run(_DESTROYED, {**given, "at_": recorded.at}) != 1:
        raise DoesNotFit("destructions", key)
