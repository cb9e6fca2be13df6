"""The content digest of a snapshot: equal for equal content, and saying nothing about it.

It covers, in order: the dataset's name, each column's name and stored type, the number of parts, and every value of every row as stored
(converted, clamped, partitioned, sorted by unit). It does not cover keys, file bytes, version number, or how rows were batched. It is an
HMAC under a key of the vault: digests stand in a public log, and a plain hash would let someone who knows all rows but one person's
test guesses about that person. So two vaults give the same rows different digests.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class PartDigest:
    """SHA-256 over the rows of one part, whatever the pieces they come in: per column one running hash of null flags, of text lengths
    and of values."""

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in schema]

    def add(self, table: pa.Table) -> None:
        for hashers, column in zip(self._columns, table.columns, strict=True):
            for chunk in column.chunks:
                _hash(*hashers, chunk)

    def digest(self) -> bytes:
        return hashlib.sha256(b"".join(hasher.digest() for hashers in self._columns for hasher in hashers)).digest()


def content_digest(key: bytes, dataset: str, schema: pa.Schema, parts: Iterable[bytes], shards: int | None = None) -> str:
    """64 hex digits from the parts' digests in order, shard by shard where a shard is of several."""
    parts = list(parts)
    layout = str(len(parts)) if shards in (None, len(parts)) else f"{shards}x{len(parts) // (shards or 1)}"
    head = [dataset, *(f"{column.name}:{column.type}" for column in schema), layout]
    return hmac.new(key, "\n".join(head).encode() + b"\0" + b"".join(parts), "sha256").hexdigest()


def _hash(nulls: Any, lengths: Any, values: Any, chunk: pa.Array) -> None:
    # A byte per null flag, and zeros under nulls: Arrow leaves what lies there, and the spare bits of a bitmap, undefined.
    nulls.update(chunk.is_null().cast(pa.uint8()).to_numpy())
    filled = chunk.fill_null(_zero(chunk.type)) if chunk.null_count else chunk
    if pa.types.is_string(chunk.type):
        lengths.update(np.ascontiguousarray(pc.binary_length(filled).to_numpy(), np.dtype("<i4")))
        offsets = np.frombuffer(filled.buffers()[1], np.int32)
        start, end = int(offsets[filled.offset]), int(offsets[filled.offset + len(filled)])
        values.update(memoryview(filled.buffers()[2])[start:end] if end > start else b"")
    elif pa.types.is_boolean(chunk.type):
        values.update(filled.cast(pa.uint8()).to_numpy())
    else:
        width = chunk.type.byte_width
        values.update(memoryview(filled.buffers()[1])[filled.offset * width : (filled.offset + len(filled)) * width])


def _zero(kind: pa.DataType) -> pa.Scalar:
    zero: object = "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else Decimal(0) if pa.types.is_decimal(kind) else 0
    return pa.scalar(zero, kind)
