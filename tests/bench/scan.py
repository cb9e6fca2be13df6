"""Reading encrypted shards against reading the same shards in plaintext: what encryption costs a cold scan, in processor time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.vault import JobKeys, Lock
from infra.vault.writing import parquet_writer
from tests.bench.engine import fastest, prepare

RUNS = 12


def bench(folder: Path, rows: int) -> dict[str, Any]:
    """All columns of all shards of the visits, written by the vault's own writer on both sides; the two are read in turn."""
    vault, _, _ = prepare(folder, rows)
    parts = vault.open("visits", 1).parts
    copies = folder / "plain"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    paths = [copies / f"{part.index}.parquet" for part in parts]
    for part, path in zip(parts, paths, strict=True):
        table = part.read()
        with parquet_writer(path, table, None) as writer:
            writer.write_table(table, row_group_size=max(1, table.num_rows))

    def encrypted() -> int:
        return sum(part.read().num_rows for part in parts)

    def plain() -> int:
        found = 0
        for path in paths:
            with pq.ParquetFile(path) as file:
                found += file.read(use_threads=False).num_rows
        return found

    assert encrypted() == plain() == rows
    lock, keys = Lock(), JobKeys()
    with lock.holding(keys.seal({part.sha256: part.opened_key() for part in parts}, [lock.public])):  # as a worker has them, for a job
        encrypted_s, plain_s = fastest(RUNS, encrypted, plain)
    return {
        "rows": rows,
        "shards": len(parts),
        "encrypted_s": round(encrypted_s, 3),
        "plain_s": round(plain_s, 3),
        "ratio": round(encrypted_s / plain_s, 2),
    }
