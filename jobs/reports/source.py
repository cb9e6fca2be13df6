"""What reports are made from: the log's entries up to a size, and the documents they name. Nothing that changes afterwards is read.

Tables are read where their rows are written once and stamped with their entry (metering, fees); whatever has a state that moves is followed
through its entries instead. Entries are read as the JSON they are: they were checked when they were written, and the audit checks them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from infra.journal.tree import range_at
from infra.tables import documents, entries
from jobs.sequencer import tile_reader
from jobs.slots import parse_time

PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    index: int
    at: str
    kind: str
    event: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.event[name]

    def get(self, name: str) -> Any:
        return self.event.get(name)


class Source:
    """The first `size` entries of a register, `size` at least 1 and not above what it has."""

    def __init__(self, connection: Connection, size: int, origin: str) -> None:
        self.connection = connection
        self.size = size
        self.origin = origin
        self.at: str = self._at(size - 1)
        self.root = range_at(size, tile_reader(connection, size)).root().hex()

    @property
    def moment(self) -> datetime:
        """When the newest entry was written."""
        return parse_time(self.at)

    def _at(self, index: int) -> str:
        body = self.connection.execute(select(entries.c.body).where(entries.c.position == index)).scalar_one()
        return str(json.loads(bytes(body))["at"])

    def first_at(self, moment: str) -> int:
        """The first entry at this time or later, `size` if there is none: time in the log never runs backwards, so halving finds it."""
        low, high = 0, self.size
        while low < high:
            middle = (low + high) // 2
            if self._at(middle) < moment:
                low = middle + 1
            else:
                high = middle
        return low

    def entries(self, kinds: tuple[str, ...], start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Those of these kinds from `start` until before `end`, in order."""
        after, last = start - 1, min(self.size, self.size if end is None else end)
        query = select(entries.c.position, entries.c.kind, entries.c.body).where(entries.c.kind.in_(kinds)).order_by(entries.c.position)
        while True:
            page = self.connection.execute(query.where(entries.c.position > after, entries.c.position < last).limit(PAGE)).all()
            for row in page:
                event = json.loads(bytes(row.body))
                yield Entry(row.position, event["at"], row.kind, event)
            if len(page) < PAGE:
                return
            after = page[-1].position

    def document(self, digest: str) -> bytes | None:
        """Content that an entry names; it cannot be another later."""
        body = self.connection.execute(select(documents.c.body).where(documents.c.digest == digest)).scalar_one_or_none()
        return None if body is None else bytes(body)
