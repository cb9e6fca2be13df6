"""Texts that two supervisors change: which one is in force, and every one ever proposed.

Their tables have the columns of `Proposal`, and one for the digest of what the text says, under a name of the table's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection, Table, select

from infra.database import reading
from infra.tables import documents
from jobs.register import Register


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    name: str
    version: int
    before: str
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None
    text: str


@dataclass(frozen=True, slots=True)
class InForce:
    """`document` is the digest of the text, `digest` that of what it says; `body` the text as it was stored, which a later program may read
    otherwise."""

    document: str
    digest: str
    since: int
    body: bytes = field(repr=False)


Kind = TypeVar("Kind", bound=Proposal)


class Changes(Generic[Kind]):
    """Of the texts in `table`, whose column `digest` holds what a text says; `kind` is a row of it, with its text."""

    def __init__(self, table: Table, digest: str, kind: type[Kind]) -> None:
        self._table, self._kind = table, kind
        self._every = select(table, documents.c.body).join(documents, documents.c.digest == table.c.document)
        self._now = (
            select(table.c.document, table.c[digest].label("digest"), table.c.since, documents.c.body)
            .join(documents, documents.c.digest == table.c.document)
            .where(table.c.since.is_not(None))
            .order_by(table.c.since.desc())
            .limit(1)
        )

    def now(self, connection: Connection) -> InForce | None:
        """None before any change."""
        row = connection.execute(self._now).one_or_none()
        return None if row is None else InForce(row.document, row.digest, row.since, bytes(row.body))

    def document_in_force(self, connection: Connection) -> str | None:
        """The digest of the text in force; None before any change."""
        now = self.now(connection)
        return None if now is None else now.document

    def versions(self, register: Register) -> list[Kind]:
        """Every text ever proposed, the newest first."""
        with reading(register.engine) as connection:
            rows = connection.execute(self._every.order_by(self._table.c.entry.desc())).all()
        names = [column.name for column in self._table.columns]
        return [self._kind(**{name: getattr(row, name) for name in names}, text=bytes(row.body).decode()) for row in rows]
