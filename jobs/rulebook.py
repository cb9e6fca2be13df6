"""The policy in force: the text the bureau last changed it to, on the floor and schema of this program; before any change, the one shipped.

Each decision asks the register which text that is, in its own transaction, so a change is in force in every server process at once. A text
that was accepted once and does not fit the program any more (an upgrade changed the schema) refuses everything until it is changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

import rfc8785
import structlog
from sqlalchemy import Connection, literal_column, select

from infra.database import reading
from infra.prepared import Prepared, fetch
from infra.tables import documents, policy_versions
from jobs.register import Register
from policies.authority import Authority, shipped
from policies.change import in_force as _read
from policies.decide import AUTHORITY

log = structlog.get_logger("yunei.policy")


@dataclass(frozen=True, slots=True)
class Version:
    """A text that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    policy: str
    before: str
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None


def policy_document(rules: str, cases: str) -> bytes:
    """Rules and the cases they were tried on, as RFC 8785 canonical JSON."""
    return cast(bytes, rfc8785.dumps({"rules": rules, "cases": cases}))


def read_document(body: bytes) -> tuple[str, str]:
    """Rules and cases."""
    data = json.loads(body)
    return data["rules"], data["cases"]


_since = policy_versions.c.since
_NOW = Prepared(select(policy_versions.c.document).where(_since.is_not(None)).order_by(_since.desc()).limit(literal_column("1")))


def document_in_force(connection: Connection) -> str | None:
    """The digest of the document in force; None: the policy this program comes with."""
    found = fetch(connection, _NOW, {})
    return str(found[0].document) if found else None


def in_force(connection: Connection) -> Authority:
    document = document_in_force(connection)
    return AUTHORITY if document is None else held(connection, document)


def held(connection: Connection, document: str) -> Authority:
    """The policy that a document of the register states."""
    found = _KNOWN.get(document)
    if found is None:
        body = connection.execute(select(documents.c.body).where(documents.c.digest == document)).scalar_one()
        if len(_KNOWN) >= 16:
            _KNOWN.clear()
        found = _KNOWN[document] = _authority(document, bytes(body))
    return found


_KNOWN: dict[str, Authority] = {}  # by document: a text never changes


def _authority(document: str, body: bytes) -> Authority:
    try:
        return _read(read_document(body)[0])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        log.error("policy_unusable", document=document, error=str(error)[:500])
        return Authority("", shipped("schema.cedarschema"))  # it permits nothing


def versions(register: Register) -> list[Version]:
    """Every text ever proposed, the newest first."""
    with reading(register.engine) as connection:
        rows = connection.execute(select(policy_versions).order_by(policy_versions.c.entry.desc()))
        return [Version(**row._mapping) for row in rows]


def texts(register: Register, document: str | None) -> tuple[str, str] | None:
    """Rules and cases of a document, None: of the policy shipped. None when there is no such version."""
    if document is None:
        return shipped("authority.cedar"), shipped("authority.toml")
    with reading(register.engine) as connection:
        query = select(documents.c.body).join(policy_versions, policy_versions.c.document == documents.c.digest)
        body = connection.execute(query.where(documents.c.digest == document).limit(1)).scalar_one_or_none()
    return None if body is None else read_document(bytes(body))
