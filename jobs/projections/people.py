"""How events change the tables: people, keys, subjects, sessions."""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam, literal_column, update

from infra.prepared import Prepared, Writer
from infra.tables import api_keys, principals, sessions, subjects
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add, move

_LIVE: ColumnElement[str] = literal_column("'active'")
_ENDS = Prepared(
    update(api_keys).where(api_keys.c.prefix == bindparam("key_"), api_keys.c.status == _LIVE).values(expires_at=bindparam("ends_"))
)
_LINK_AGAIN = Prepared(
    update(subjects)
    .where(subjects.c.digest == bindparam("key_"), subjects.c.status == literal_column("'unlinked'"))
    .values(principal=bindparam("who_"), issuer=bindparam("issuer_"), status=literal_column("'linked'"), linked_at=bindparam("at_"))
)


@projects(ev.PrincipalRegistered)
def _principal_registered(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalRegistered) -> None:
    add(
        writer,
        principals,
        id=event.principal,
        role=event.role,
        title_zh=event.title.zh,
        title_en=event.title.en,
        status="active",
        registered_at=recorded.at,
    )


@projects(ev.PrincipalSuspended)
def _principal_suspended(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalSuspended) -> None:
    move(writer, principals, event.principal, ["active"], "suspended", recorded.at)


@projects(ev.PrincipalResumed)
def _principal_resumed(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalResumed) -> None:
    move(writer, principals, event.principal, ["suspended"], "active", recorded.at)


@projects(ev.PrincipalClosed)
def _principal_closed(writer: Writer, recorded: ev.Recorded, event: ev.PrincipalClosed) -> None:
    move(writer, principals, event.principal, ["active", "suspended"], "closed", recorded.at)


projects(ev.AppointmentProposed)(nothing)


@projects(ev.KeyIssued)
def _key_issued(writer: Writer, recorded: ev.Recorded, event: ev.KeyIssued) -> None:
    add(
        writer,
        api_keys,
        prefix=event.prefix,
        principal=event.principal,
        secret_sha256=event.secret_sha256,
        status="active",
        issued_at=recorded.at,
        scopes=" ".join(event.scopes) if event.scopes is not None else None,
        expires_at=event.expires_at,
        certificate=event.certificate,
        replaces=event.replaces,
        proposal=event.proposal,
    )


@projects(ev.KeyExpirySet)
def _key_expiry_set(writer: Writer, _recorded: ev.Recorded, event: ev.KeyExpirySet) -> None:
    if writer.run(_ENDS, {"key_": event.prefix, "ends_": event.expires_at}) != 1:
        raise DoesNotFit("api_keys", event.prefix)


@projects(ev.KeyRevoked)
def _key_revoked(writer: Writer, recorded: ev.Recorded, event: ev.KeyRevoked) -> None:
    move(writer, api_keys, event.prefix, ["active"], "revoked", recorded.at)


@projects(ev.SubjectLinked)
def _subject_linked(writer: Writer, recorded: ev.Recorded, event: ev.SubjectLinked) -> None:
    again = {"key_": event.subject, "who_": event.principal, "issuer_": event.issuer, "at_": recorded.at}
    if not writer.run(_LINK_AGAIN, again):
        row = {"digest": event.subject, "principal": event.principal, "issuer": event.issuer}
        add(writer, subjects, **row, status="linked", linked_at=recorded.at)


@projects(ev.SubjectUnlinked)
def _subject_unlinked(writer: Writer, recorded: ev.Recorded, event: ev.SubjectUnlinked) -> None:
    move(writer, subjects, event.subject, ["linked"], "unlinked", recorded.at)


@projects(ev.SessionOpened)
def _session_opened(writer: Writer, recorded: ev.Recorded, event: ev.SessionOpened) -> None:
    row = {"id": event.session, "principal": event.principal, "secret_sha256": event.secret_sha256, "channel": event.channel}
    add(writer, sessions, **row, status="open", opened_at=recorded.at, expires_at=event.expires_at, key=event.key)


@projects(ev.SessionClosed)
def _session_closed(writer: Writer, recorded: ev.Recorded, event: ev.SessionClosed) -> None:
    move(writer, sessions, event.session, ["open"], "closed", recorded.at)


projects(ev.AccessRefused)(nothing)
projects(ev.LogKeyAnnounced)(nothing)
projects(ev.LogKeyRetired)(nothing)
