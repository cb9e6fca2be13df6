"""How events change the tables: datasets and versions."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from infra.prepared import Prepared, Writer
from infra.tables import (
    dataset_versions,
    datasets,
)
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add


@projects(ev.DatasetRegistered)
def _dataset_registered(writer: Writer, recorded: ev.Recorded, event: ev.DatasetRegistered) -> None:
    row = {"id": event.dataset.casefold(), "name": event.dataset, "space": event.space, "version": 0, "registered_at": recorded.at}
    add(writer, datasets, **row, registration="coded", state="current")


_NEWER = Prepared(
    update(datasets).where(datasets.c.id == bindparam("key_"), datasets.c.version < bindparam("new_")).values(version=bindparam("new_"))
)


@projects(ev.VersionIngested)
def _version_ingested(writer: Writer, recorded: ev.Recorded, event: ev.VersionIngested) -> None:
    key = event.dataset.casefold()
    if writer.run(_NEWER, {"key_": key, "new_": event.version}) != 1:
        raise DoesNotFit("datasets", key)
    row = {"dataset": key, "version": event.version, "digest": event.digest, "document": event.document, "ingested_at": recorded.at}
    add(writer, dataset_versions, **row, state="current", ingested_by=event.by)
