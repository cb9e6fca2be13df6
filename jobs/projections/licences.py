"""How events change the tables: licences."""

from __future__ import annotations

from infra.prepared import Writer
from infra.tables import (
    licences,
)
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import add, move

projects(ev.LicenceProposed)(nothing)


@projects(ev.LicenceGranted)
def _licence_granted(writer: Writer, recorded: ev.Recorded, event: ev.LicenceGranted) -> None:
    row = {"id": event.licence, "operator": event.operator, "state": "active", "document": event.document}
    add(writer, licences, **row, granted_at=recorded.at, changed_at=recorded.at, version=1, access="open")


@projects(ev.LicenceSuspended)
def _licence_suspended(writer: Writer, recorded: ev.Recorded, event: ev.LicenceSuspended) -> None:
    move(writer, licences, event.licence, ["active"], "suspended", recorded.at)


@projects(ev.LicenceResumed)
def _licence_resumed(writer: Writer, recorded: ev.Recorded, event: ev.LicenceResumed) -> None:
    move(writer, licences, event.licence, ["suspended"], "active", recorded.at)


@projects(ev.LicenceRevoked)
def _licence_revoked(writer: Writer, recorded: ev.Recorded, event: ev.LicenceRevoked) -> None:
    move(writer, licences, event.licence, ["active", "suspended"], "revoked", recorded.at)
