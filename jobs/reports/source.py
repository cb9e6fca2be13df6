"""What reports are made from: the log's entries up to a size, and the documents they name. Nothing that changes afterwards is read.

Tables are read where their rows are written once and stamped with their entry (metering, fees), and sums that are kept of such rows, less
what came after the source; whatever has a state that moves is followed through its entries instead. Entries are read as the JSON they are:
they were checked when they were written, and the audit checks them again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import BigInteger, Connection, String, bindparam, func, literal_column, select, union_all

from infra.journal.tree import range_at
from infra.prepared import Prepared, fetch
from infra.tables import documents, entries
from jobs.sequencer import tile_reader
from jobs.slots import parse_time

PAGE, CHUNK, AT_ONCE, WAYS = 2_000, 500, 64, 16
LAST = 2**63 - 1
_START, _END, _MOST = (bindparam(name, type_=BigInteger) for name in ("start", "end", "most"))
_PLACES = [f"place_{number}" for number in range(WAYS)]
_AT = Prepared(
    select(entries.c.position, entries.c.body).where(entries.c.position.in_([bindparam(name, type_=BigInteger) for name in _PLACES]))
)

_DIGESTS = [f"digest_{number}" for number in range(AT_ONCE)]
_DOCUMENTS = Prepared(
    select(documents.c.digest, documents.c.body).where(documents.c.digest.in_([bindparam(name, type_=String) for name in _DIGESTS]))
)


def _kinds_there() -> Prepared:
    """Each kind that the log has, with the first and the last of its entries: the index is asked for one kind after the other."""
    kind = select(func.min(entries.c.kind).label("kind")).cte("found", recursive=True)
    after = select(func.min(entries.c.kind)).where(entries.c.kind > kind.c.kind).scalar_subquery()
    kind = kind.union_all(select(after).where(kind.c.kind.is_not(None)))
    first, last = (select(end(entries.c.position)).where(entries.c.kind == kind.c.kind).scalar_subquery() for end in (func.min, func.max))
    return Prepared(select(kind.c.kind, first, last).where(kind.c.kind.is_not(None)))


_KINDS_THERE = _kinds_there()


@lru_cache(maxsize=64)
def of_kinds(count: int) -> Prepared:
    """Entries of so many kinds (`kind_0` and so on) in order: kind by kind as the index has them, and merged; PostgreSQL does so when it is
    told each kind's order. Of kinds in a list SQLite sorts all rows for every page of them, and PostgreSQL may look through the whole log."""
    columns = entries.c.position, entries.c.kind, entries.c.body
    within = entries.c.position >= _START, entries.c.position < _END
    kinds = (bindparam(f"kind_{number}", type_=String) for number in range(count))
    each = [select(*columns).where(entries.c.kind == kind, *within).order_by(entries.c.position) for kind in kinds]
    found = union_all(*(select(one.subquery()) for one in each)).order_by(literal_column("position")) if count > 1 else each[0]
    return Prepared(found.limit(_MOST))


@dataclass(slots=True)
class Entry:
    index: int
    kind: str
    event: Mapping[str, Any]

    @property
    def at(self) -> str:
        return str(self.event["at"])

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
        self._there: dict[str, tuple[int, int]] | None = None
        self.at: str = self._at([size - 1])[0]
        self.moment: datetime = parse_time(self.at)  # when the newest entry was written
        self.root = range_at(size, tile_reader(connection, size)).root().hex()

    def _at(self, places: Iterable[int]) -> list[str]:
        """When entries were written, at most WAYS of them."""
        unknown = [place for place in places if place not in self._times]
        if unknown:
            asked = unknown + unknown[-1:] * (WAYS - len(unknown))
            for row in fetch(self.connection, _AT, dict(zip(_PLACES, asked, strict=True))):
                self._times[row.position] = str(from_json(row.body)["at"])
        return [self._times[place] for place in places]

    def at_of(self, index: int) -> datetime:
        """When an entry was written."""
        return parse_time(self._at([index])[0])

    def first_at(self, moment: str) -> int:
        """The first entry at this time or later, `size` if there is none: time in the log never runs backwards, so looking at a few places that
        divide what is left finds it."""
        if self.at < moment:
            return self.size
        low, high = 0, self.size
        while low < high:
            places = range(low, high, -(-(high - low) // WAYS))
            before = bisect_left(self._at(places), moment)
            if not before:
                return low
            low, high = places[before - 1] + 1, places[before] if before < len(places) else high
        return low

    def entries(self, kinds: tuple[str, ...], start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Those of these kinds from `start` until before `end`, in order."""
        return self._in_order(kinds, start, min(self.size, self.size if end is None else end))

    def _in_order(self, kinds: Iterable[str], start: int, end: int) -> Iterator[Entry]:
        """Kinds that have no entry there are not asked for: PostgreSQL takes a fifth of a millisecond to plan for each."""
        if self._there is None:
            self._there = {kind: (first, last) for kind, first, last in fetch(self.connection, _KINDS_THERE, {})}
        there = [kind for kind in dict.fromkeys(kinds) if (span := self._there.get(kind)) is not None and span[0] < end and start <= span[1]]
        if not there:
            return
        asked: dict[str, Any] = {f"kind_{number}": kind for number, kind in enumerate(there)}
        statement = of_kinds(len(asked))
        while True:
            page = fetch(self.connection, statement, {**asked, "start": start, "end": end, "most": PAGE})
            for position, kind, body in page:
                yield Entry(position, kind, from_json(body))
            if len(page) < PAGE:
                return
            start = page[-1].position + 1

    def since(self, index: int, *kinds: str) -> Iterator[Entry]:
        """Entries of these kinds from `index` on, those that came after the source, too: what sums that are kept today must be held against."""
        return self._in_order(kinds, index, LAST)

    def counts(self, kinds: tuple[str, ...], start: int, end: int) -> Counter[str]:
        """How many entries of each of these kinds there are from `start` until before `end`."""
        query = select(entries.c.kind, func.count()).where(entries.c.kind.in_(kinds))
        query = query.where(entries.c.position >= start, entries.c.position < min(end, self.size))
        return Counter({kind: count for kind, count in self.connection.execute(query.group_by(entries.c.kind))})

    def documents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Content that entries name, as far as it is held; it cannot be another later."""
        wanted, found = sorted(set(digests)), dict[str, bytes]()
        for start in range(0, len(wanted), AT_ONCE):
            asked = wanted[start : start + AT_ONCE]
            asked += asked[-1:] * (AT_ONCE - len(asked))
            found.update(tuple(row) for row in fetch(self.connection, _DOCUMENTS, dict(zip(_DIGESTS, asked, strict=True))))
        return found
