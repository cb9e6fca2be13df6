"""What reports are made from: the log's entries up to a size, and the documents they name. Nothing that changes afterwards is read.

Tables are read where their rows are written once and stamped with their entry (metering, fees), and sums that are kept of such rows, less
what came after the source; whatever has a state that moves is followed through its entries instead. Entries are read as the JSON they are:
they were checked when they were written, and the audit checks them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import BigInteger, Connection, bindparam, func, select

from infra.journal.tree import range_at
from infra.prepared import Prepared, fetch
from infra.tables import documents, entries
from jobs.sequencer import tile_reader
from jobs.slots import parse_time

PAGE, CHUNK = 2_000, 500
_ENTRY = Prepared(select(entries.c.body).where(entries.c.position == bindparam("position_", type_=BigInteger)))


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
        self._times: dict[int, str] = {}
        self.at: str = self._at(size - 1)
        self.moment: datetime = parse_time(self.at)  # when the newest entry was written
        self.root = range_at(size, tile_reader(connection, size)).root().hex()

    def _at(self, index: int) -> str:
        if index not in self._times:
            (row,) = fetch(self.connection, _ENTRY, {"position_": index})
            self._times[index] = str(from_json(bytes(row.body))["at"])
        return self._times[index]

    def at_of(self, index: int) -> datetime:
        """When an entry was written."""
        return parse_time(self._at(index))

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
                event = from_json(bytes(row.body))
                yield Entry(row.position, event["at"], row.kind, event)
            if len(page) < PAGE:
                return
            after = page[-1].position

    def since(self, index: int, *kinds: str) -> Iterator[Entry]:
        """Entries of these kinds from `index` on, those that came after the source, too: what sums that are kept today must be held against."""
        query = select(entries.c.position, entries.c.kind, entries.c.body).where(entries.c.kind.in_(kinds), entries.c.position >= index)
        for row in self.connection.execute(query.order_by(entries.c.position)):
            event = from_json(bytes(row.body))
            yield Entry(row.position, event["at"], row.kind, event)

    def count(self, kind: str, start: int, end: int) -> int:
        """How many entries of a kind there are from `start` until before `end`."""
        query = select(func.count()).select_from(entries).where(entries.c.kind == kind)
        query = query.where(entries.c.position >= start, entries.c.position < min(end, self.size))
        return int(self.connection.execute(query).scalar_one())

    def documents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Content that entries name, as far as it is held; it cannot be another later."""
        wanted = sorted(set(digests))
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), CHUNK):
            query = select(documents.c.digest, documents.c.body).where(documents.c.digest.in_(wanted[start : start + CHUNK]))
            found |= {row.digest: bytes(row.body) for row in self.connection.execute(query)}
        return found
