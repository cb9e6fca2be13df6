"""Which shard a unit's rows go to: a keyed hash, so all rows of one unit, in every table of its space, lie in the same shard.

The hash is part of what is on disk: changing it would part the rows of one unit. The key comes from the vault, per unit space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MAX_SHARDS = 512  # each keeps a file open while a dataset is ingested


def shard_count(approximate_rows: int, shard_rows: int) -> int:
    """How many shards a private dataset gets: a power of two, from public facts alone.

    >>> shard_count(400_000, 600_000), shard_count(10_000_000, 600_000), shard_count(10**12, 600_000)
    (1, 32, 512)
    """
    wanted = -(-approximate_rows // shard_rows)
    return min(MAX_SHARDS, 1 << (wanted - 1).bit_length())


def split(table: pa.Table, unit: str, key: bytes, shards: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each shard that has any, in their order. `key`: 32 bytes."""
    if shards == 1:
        yield 0, table
        return
    shard = shard_of(table.column(unit), key, shards)
    order = np.argsort(shard, kind="stable")
    rows = table.take(pa.array(order))
    numbers, starts = np.unique(shard[order], return_index=True)
    for number, start, end in zip(numbers, starts, [*starts[1:], table.num_rows], strict=True):
        yield int(number), rows.slice(int(start), int(end - start))


def shard_of(units: pa.ChunkedArray, key: bytes, shards: int) -> Any:
    """The shard of each unit as a numpy array of int64; `shards` is a power of two. Units are int64 or text, never null."""
    return (hashes_of(units, key) & np.uint64(shards - 1)).astype(np.int64)


def hashes_of(units: pa.ChunkedArray, key: bytes) -> Any:
    """A keyed hash of each unit as a numpy array of uint64. `key`: 16 bytes at least."""
    if pa.types.is_integer(units.type):
        return _mix(units.to_numpy().astype(np.uint64), key)
    # A slow good hash per distinct unit of a batch, not per row.
    encoded = pc.dictionary_encode(units.combine_chunks())
    texts = encoded.dictionary.to_pylist()
    distinct = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big") for text in texts]
    return np.array(distinct, np.uint64)[encoded.indices.to_numpy()]


def _mix(values: Any, key: bytes) -> Any:
    """SplitMix64's finaliser twice, keyed before each: even spread without knowing the key matters here, not secrecy."""
    with np.errstate(over="ignore"):
        for word in np.frombuffer(key[:16], np.dtype("<u8")):
            values = values + word
            values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            values = values ^ (values >> np.uint64(31))
    return values
