"""How events change the tables: people and keys."""

from __future__ import annotations

from infra.prepared import Writer
from infra.tables import (
    api_keys,
    principals,
)
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import add, move


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
    )


@projects(ev.KeyRevoked)
def _key_revoked(writer: Writer, recorded: ev.Recorded, event: ev.KeyRevoked) -> None:
    move(writer, api_keys, event.prefix, ["active"], "revoked", recorded.at)


projects(ev.LogKeyAnnounced)(nothing)
projects(ev.LogKeyRetired)(nothing)
