"""Decrypted columns that a worker keeps in memory, least recently used out first. Never on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import pyarrow as pa

from infra.vault import Part


class ColumnCache:
    """Columns of parts, by the SHA-256 of the encrypted file: a part that changed is another part. Threads may share it."""

    def __init__(self) -> None:
        self._columns: OrderedDict[tuple[str, str], pa.ChunkedArray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return self._bytes

    def table(self, part: Part, columns: Sequence[str], memory_bytes: int) -> pa.Table:
        """These columns of the part; only those not at hand are decrypted. Raises VaultError as `Part.read` does."""
        with self._lock:
            found = {column: self._touch((part.sha256, column)) for column in columns}
        missing = [column for column, array in found.items() if array is None]
        if missing:
            read = part.read(missing)
            fresh = {column: read.column(column) for column in missing}
            with self._lock:
                for column, array in fresh.items():
                    self._keep((part.sha256, column), array, memory_bytes)
            found |= fresh
        return pa.table({column: found[column] for column in columns})

    def clear(self) -> None:
        with self._lock:
            self._columns.clear()
            self._bytes = 0

    def _touch(self, key: tuple[str, str]) -> pa.ChunkedArray | None:
        if key in self._columns:
            self._columns.move_to_end(key)
        return self._columns.get(key)

    def _keep(self, key: tuple[str, str], array: pa.ChunkedArray, memory_bytes: int) -> None:
        if key not in self._columns and array.nbytes <= memory_bytes:
            self._columns[key] = array
            self._bytes += array.nbytes
        while self._bytes > memory_bytes:
            _, old = self._columns.popitem(last=False)
            self._bytes -= old.nbytes
