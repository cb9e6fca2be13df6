"""Marks of products: whether a version is marked, each recipient's copy of it, and the tracing of a file against its versions."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from infra.keys import KeyRing
from jobs.products.copies import BatchMark, Copies
from jobs.products.seen import Version
from jobs.watermark.cells import LEAST_CELLS, Marked, amplitudes, marked_columns
from jobs.watermark.code import Code
from jobs.watermark.embed import marking
from jobs.watermark.trace import Traced, accuse, evidence
from sandbox.finish.streams import batches_of

Unmarked = Literal["no_columns", "too_small"]
SAID: dict[Unmarked, tuple[str, str]] = {
    "no_columns": ("没有带噪声的数值列，或噪声过小，移动一个单位即已可见", "no column of numbers with noise enough to move them unseen"),
    "too_small": (f"可作标记的单元格不足 {LEAST_CELLS} 个", f"fewer than {LEAST_CELLS} cells that could carry a mark"),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a version is marked with. `why`: why it is not."""

    columns: tuple[Marked, ...]
    why: Unmarked | None


class Marks:
    """`jobs.products.Mark`: put it into `Copies.mark`. Keys follow from the key ring, so a copy can be made again and a file traced for as long
    as the ring is kept."""

    def __init__(self, key_ring: KeyRing, copies: Copies) -> None:
        self._key_ring = key_ring
        self._copies = copies
        self._kept: dict[str, Kept] = {}
        self._turn = threading.Lock()

    def __call__(self, version: Version, recipient: str) -> BatchMark | None:
        kept = self.kept(version)
        if kept.why is not None:
            return None
        return marking(kept.columns, self._code(version), self._names(version), recipient)

    def kept(self, version: Version) -> Kept:
        """Which columns of a version are marked; looked at once for each table."""
        name = f"{version.product}/{version.number}/{version.table_sha256}"
        with self._turn:
            found = self._kept.get(name)
        if found is None:
            found = _kept(marked_columns(version.document["table"]["columns"]), self._batches(version))
            with self._turn:
                self._kept[name] = found
        return found

    def trace(self, version: Version, file: pa.Table, recipients: Iterable[str], *, limit: float) -> Traced | None:
        """Whose copy of the version the file is. None: it has nothing in common with it that is marked."""
        kept = self.kept(version)
        batches = list(self._batches(version))
        if kept.why is not None or not batches:
            return None
        table = pa.Table.from_batches(batches)
        shared = {name.casefold() for name in table.schema.names} & {name.strip().casefold() for name in file.schema.names}
        if not any(column.name.casefold() in shared for column in kept.columns):
            return None
        seen = evidence(table, file, kept.columns, self._names(version))
        return accuse(seen, self._code(version), recipients, limit=limit)

    def _batches(self, version: Version) -> Iterable[pa.RecordBatch]:
        return batches_of([self._copies.bytes_for(version, None, "arrow").path])

    def _code(self, version: Version) -> Code:
        return Code(self._key_ring.derive("mark", f"{version.product}\n{version.number}\n{version.table_sha256}".encode()))

    def _names(self, version: Version) -> bytes:
        return self._key_ring.derive("mark-rows", version.table_sha256.encode())


def _kept(columns: tuple[Marked, ...], batches: Iterable[pa.RecordBatch]) -> Kept:
    cells = 0
    for batch in batches:
        cells += sum(int(np.count_nonzero(amplitudes(column, batch))) for column in columns)
        if cells >= LEAST_CELLS:
            return Kept(columns, None)
    return Kept(columns, "too_small" if cells else "no_columns")
