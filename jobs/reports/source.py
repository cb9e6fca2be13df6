"""What reports are made from: the log's entries up to a size, and the documents they name. Nothing that changes afterwards is read.

Tables are read where their rows are written once and stamped with their entry (metering, fees), and sums that are kept of such rows, less
what came after the source; whatever has a state that moves is followed through its entries instead. Entries are read as the JSON they are:
they were checked when they were written, and the audit checks them again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from pydantic_core import from_json
from sqlalchemy import BigInteger, Connection, String, bindparam, func, select

from infra.journal.tree import range_at
from infra.prepared import Prepared, fetch
from infra.tables import documents, entries
from jobs.sequencer import tile_reader
from jobs.slots import parse_time

PAGE, CHUNK = 2_000, 500
LAST = 2**63 - 1
OF_KIND = Prepared(
    select(entries.c.position, entries.c.body)
    .where(
        entries.c.kind == bindparam("kind_", type_=String),
        entries.c.position >= bindparam("start", type_=BigInteger),
        entries.c.position < bindparam("end", type_=BigInteger),
    )
    .order_by(entries.c.position)
    .limit(bindparam("most", type_=BigInteger))
)
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
        return self._in_order(kinds, start, min(self.size, self.size if end is None else end))

    def _in_order(self, kinds: Iterable[str], start: int, end: int) -> Iterator[Entry]:
        """Kind by kind as the index has them, and merged here. Of kinds in a list SQLite sorts all rows for every page of them, and PostgreSQL
        may look through the whole log."""
        streams = [self._of_kind(kind, start, end) for kind in dict.fromkeys(kinds)]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("index"))

    def _of_kind(self, kind: str, start: int, end: int) -> Iterator[Entry]:
        while True:
            page = fetch(self.connection, OF_KIND, {"kind_": kind, "start": start, "end": end, "most": PAGE})
            for row in page:
                event = from_json(row.body)
                yield Entry(row.position, event["at"], kind, event)
            if len(page) < PAGE:
                return
            start = page[-1].position + 1

    def since(self, index: int, *kinds: str) -> Iterator[Entry]:
        """Entries of these kinds from `index` on, those that came after the source, too: what sums that are kept today must be held against."""
        return self._in_order(kinds, index, LAST)

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
            found |= {row.digest: bytes(row.body) for row in self.connection.execute(query).all()}
        return found
