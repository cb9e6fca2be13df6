"""How events change the tables: licences, by the table of their life."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from infra.prepared import Prepared, Writer
from infra.tables import licence_consents, licence_versions, licences
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add, move
from policies.life import before

projects(ev.LicenceProposed)(nothing)

_STANDS = Prepared(select(licences.c.operator, licences.c.version, licences.c.state).where(licences.c.id == bindparam("key_")))
_TERM = Prepared(select(licences.c.valid_from, licences.c.valid_until).where(licences.c.id == bindparam("key_")))
_ACCESS = Prepared(update(licences).where(licences.c.id == bindparam("key_")).values(access=bindparam("to_")))


@projects(ev.LicenceApplied)
def _licence_applied(writer: Writer, recorded: ev.Recorded, event: ev.LicenceApplied) -> None:
    row = {"id": event.licence, "operator": event.operator, "state": "applied", "document": event.document}
    add(writer, licences, **row, changed_at=recorded.at, version=0, access="open")


@projects(ev.LicenceConsented)
def _licence_consented(writer: Writer, recorded: ev.Recorded, event: ev.LicenceConsented) -> None:
    row = {"licence": event.licence, "dataset": event.dataset.casefold(), "reference": event.reference}
    add(writer, licence_consents, **row, by=event.by, at=recorded.at)
    move(writer, licences, event.licence, before(event.kind), "consented" if event.complete else "applied", recorded.at)


@projects(ev.LicenceDeclined)
def _licence_declined(writer: Writer, recorded: ev.Recorded, event: ev.LicenceDeclined) -> None:
    move(writer, licences, event.licence, before(event.kind), "declined", recorded.at)


@projects(ev.LicenceGranted)
def _licence_granted(writer: Writer, recorded: ev.Recorded, event: ev.LicenceGranted) -> None:
    state = "active" if event.valid_from <= recorded.at else "granted"
    values: dict[str, Any] = {
        "document": event.document,
        "granted_at": recorded.at,
        "version": 1,
        "signed": event.signed,
        "valid_from": event.valid_from,
        "valid_until": event.valid_until,
    }
    applied = writer.row(_STANDS, {"key_": event.licence})
    if applied is None:
        add(writer, licences, id=event.licence, operator=event.operator, state=state, changed_at=recorded.at, access="open", **values)
    elif applied[0] != event.operator:
        raise DoesNotFit("licences", event.licence)
    else:
        move(writer, licences, event.licence, before(event.kind), state, recorded.at, **values)
    _version(writer, recorded, event, 1)


@projects(ev.LicenceAmended)
def _licence_amended(writer: Writer, recorded: ev.Recorded, event: ev.LicenceAmended) -> None:
    stands = writer.row(_STANDS, {"key_": event.licence})
    if stands is None or event.version != stands[1] + 1:
        raise DoesNotFit("licences", event.licence)
    state = str(stands[2])
    if state in ("granted", "active"):
        state = "active" if event.valid_from <= recorded.at else "granted"
    values = {name: getattr(event, name) for name in ("document", "version", "signed", "valid_from", "valid_until")}
    move(writer, licences, event.licence, before(event.kind), state, recorded.at, **values)
    _version(writer, recorded, event, event.version)


def _version(writer: Writer, recorded: ev.Recorded, event: ev.LicenceGranted | ev.LicenceAmended, version: int) -> None:
    row = {"licence": event.licence, "version": version, "document": event.document, "signed": event.signed}
    add(writer, licence_versions, **row, by=event.by, at=recorded.at)


@projects(ev.LicenceActivated)
def _licence_activated(writer: Writer, recorded: ev.Recorded, event: ev.LicenceActivated) -> None:
    _clock(writer, recorded, event.licence, 0)
    move(writer, licences, event.licence, before(event.kind), "active", recorded.at)


@projects(ev.LicenceSuspended)
def _licence_suspended(writer: Writer, recorded: ev.Recorded, event: ev.LicenceSuspended) -> None:
    move(writer, licences, event.licence, before(event.kind), "suspended", recorded.at)


@projects(ev.LicenceResumed)
def _licence_resumed(writer: Writer, recorded: ev.Recorded, event: ev.LicenceResumed) -> None:
    move(writer, licences, event.licence, before(event.kind), "active", recorded.at)


@projects(ev.LicenceExpired)
def _licence_expired(writer: Writer, recorded: ev.Recorded, event: ev.LicenceExpired) -> None:
    _clock(writer, recorded, event.licence, 1)
    move(writer, licences, event.licence, before(event.kind), "expired", recorded.at)


def _clock(writer: Writer, recorded: ev.Recorded, licence: str, which: int) -> None:
    """The term has begun (0), or is over (1)."""
    term = writer.row(_TERM, {"key_": licence})
    if term is None or term[which] is None or recorded.at < term[which]:
        raise DoesNotFit("licences", licence)


@projects(ev.LicenceRevoked)
def _licence_revoked(writer: Writer, recorded: ev.Recorded, event: ev.LicenceRevoked) -> None:
    move(writer, licences, event.licence, before(event.kind), "revoked", recorded.at)


@projects(ev.LicenceDisposed)
def _licence_disposed(writer: Writer, recorded: ev.Recorded, event: ev.LicenceDisposed) -> None:
    stands = writer.row(_STANDS, {"key_": event.licence})
    if stands is None or stands[2] not in before(event.kind):
        raise DoesNotFit("licences", event.licence)
    if event.products == "withdraw":
        writer.run(_ACCESS, {"key_": event.licence, "to_": "withdrawn"})
