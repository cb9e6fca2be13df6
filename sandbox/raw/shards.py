"""Rows on their way to parts: a private dataset's by unit, a public one's in turn.

They wait in memory, then in runs of an encrypted scratch, each with a checkpoint. At last each shard is sorted by unit and written, several
shards at once. Memory holds about `WAITING_BYTES`, a run being written, and a shard for each thread, however many rows come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.scratch import Scratch
from infra.vault import Draft, Part, Vault, Version
from policies.catalogue import Dataset
from sandbox.raw.checks import Crowds
from sandbox.raw.digest import PartDigest, content_digest
from sandbox.raw.faults import Faults
from sandbox.raw.partition import shard_of, split
from sandbox.raw.rules import Tally

Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING_BYTES = 128 * 2**20


class KeptElsewhere(Exception):
    """Kept rows lie in other shards than their units' hashes say."""


@dataclass(frozen=True, slots=True)
class Written:
    """One shard's new part: the digest of its rows, and what was met on the way."""

    digest: bytes
    faults: Faults
    tally: Tally


class Shards:
    """The shards of a version being written; `after`: the version whose parts it keeps. `resumed` is what the last checkpoint said, if an
    interrupted ingest is gone on with."""

    def __init__(
        self,
        dataset: Dataset,
        vault: Vault,
        schema: pa.Schema,
        count: int,
        after: Version | None,
        scratch: Callable[[], Scratch],
        *,
        look: bool,
    ) -> None:
        self._name, self._schema, self._after = dataset.name, schema, after
        unit = dataset.unit_column
        self._unit = None if unit is None else unit.name
        self._crowds = Crowds(dataset)
        self.count = count
        self._key = vault.derive(f"partition/{dataset.space}") if dataset.unit else b""
        self._digest_key = vault.derive("snapshot-digest")
        self._waiting: list[list[pa.Table]] = [[] for _ in range(count)]
        self._bytes = 0
        self._open = scratch
        self.scratch = scratch() if look else None
        self.resumed: Any = None if self.scratch is None else self.scratch.state
        self._turn = 0 if self.resumed is None else int(self.resumed["turn"])

    def add(self, table: pa.Table, state: Callable[[], dict[str, Any]]) -> None:
        """Rows, and what a checkpoint would have to say once they are in."""
        if table.num_rows:
            parts = [(self._turn % self.count, table)] if self._unit is None else split(table, self._unit, self._key, self.count)
            for shard, rows in parts:
                self._waiting[shard].append(rows)
            self._turn += 1
            self._bytes += table.nbytes
        if self._bytes > WAITING_BYTES:
            if self.scratch is None:
                self.scratch = self._open()
            self.scratch.spill(dict(enumerate(self._waiting)), state() | {"turn": self._turn})
            self._waiting = [[] for _ in range(self.count)]
            self._bytes = 0

    def finish(self, draft: Draft, pool: ThreadPoolExecutor, threads: int, faults: Faults, tally: Tally) -> tuple[str, list[str]]:
        """Write all parts; the content digest of the version and of each new part."""
        digests: list[bytes] = []
        for written in in_turn(pool, threads, range(self.count), lambda shard: self._write(draft, shard)):
            faults.merge(written.faults)
            tally.merge(written.tally)
            digests.append(written.digest)
        kept = (
            [[] for _ in digests]
            if self._after is None
            else [[bytes.fromhex(part_content(part)) for part in shard] for shard in self._after.shards]
        )
        contents = [digest for older, new in zip(kept, digests, strict=True) for digest in (*older, new)]
        return content_digest(self._digest_key, self._name, self._schema, contents, self.count), [digest.hex() for digest in digests]

    def _write(self, draft: Draft, shard: int) -> Written:
        part, written = PartDigest(self._schema), Written(b"", Faults(), Tally())
        with draft.part(shard, self._schema) as writer:
            rows = self._rows(shard, written)
            part.add(rows)
            writer.write(rows)
        return Written(part.digest(), written.faults, written.tally)

    def _rows(self, shard: int, written: Written) -> pa.Table:
        waiting, self._waiting[shard] = self._waiting[shard], []
        spilled = [] if self.scratch is None else self.scratch.read(shard)
        rows = pa.concat_tables([self._schema.empty_table(), *spilled, *waiting]).combine_chunks()
        if self._unit is None:
            return rows
        # Stable: rows of one unit stay in the order they came in.
        ordered = rows.take(pc.sort_indices(rows, sort_keys=[(self._unit, "ascending")])).combine_chunks()
        return self._crowds.held(ordered, written.faults, written.tally, self._kept_units(shard))

    def _kept_units(self, shard: int) -> pa.ChunkedArray | None:
        """The unit of every kept row of the shard. Raises KeptElsewhere: then a unit's new rows would not be met with its old ones."""
        if self._after is None or self._unit is None:
            return None
        units = pa.chunked_array([chunk for part in self._after.shards[shard] for chunk in part.read([self._unit]).column(0).chunks])
        if self.count > 1 and len(units) and bool(np.any(shard_of(units, self._key, self.count) != shard)):
            raise KeptElsewhere
        return units


def part_content(part: Part) -> str:
    """The digest of a part's rows: as its manifest says, or, where an older one does not, from the rows."""
    if part.content:
        return part.content
    rows = part.read()
    digest = PartDigest(rows.schema)
    digest.add(rows)
    return digest.digest().hex()


def in_turn(pool: ThreadPoolExecutor, threads: int, items: Iterable[Item], work: Callable[[Item], Result]) -> Iterator[Result]:
    """What `work` makes of each item, in their order, so many at once; items are taken as they are needed."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
