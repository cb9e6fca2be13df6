"""Proofs and appends on a long log: the time to prove any of its entries, and to read one."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from infra.database import writing
from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import leaf_hash
from infra.journal.note import VerifierKey
from infra.journal.proof import Receipt, verify_inclusion
from infra.journal.tree import TILE_HEIGHT, CompactRange
from infra.prepared import Prepared, Writer
from infra.settings import Settings
from infra.tables import entries, log_hashes, log_head
from jobs import events as ev
from jobs.register import Register
from tests.bench.charges import append_us

BATCH = 10_000
PROOFS = 200


def bench(folder: Path, size: int = 1_000_000) -> dict[str, Any]:
    """On SQLite. The entries are put there as the register would have, without a transaction for each."""
    register = Register.open(Settings.model_validate({"home": folder}))
    try:
        lengthen(register, size)
        note = register.publish()
        checkpoint = Checkpoint.open(note, [VerifierKey.parse(register.vkey)])
        chance, taken = random.Random(0), []
        for index in [chance.randrange(checkpoint.size) for _ in range(PROOFS)]:
            started = time.perf_counter()
            text = register.receipt(index)
            taken.append((time.perf_counter() - started) * 1e3)
            receipt = Receipt.decode(text)
            verify_inclusion(index, checkpoint.size, leaf_hash(register.entry(index)), receipt.path, checkpoint.root)
        return {
            "entries": checkpoint.size,
            "proof_ms": round(statistics.median(taken), 2),
            "proof_p99_ms": round(statistics.quantiles(taken, n=100)[-1], 2),
            "append_us": append_us(register),
        }
    finally:
        register.close()


def lengthen(register: Register, size: int) -> None:
    """A million in some twenty seconds: canonical bytes from one example, rows by the ten thousand."""
    edge = CompactRange()
    before, after = ev.canonical(ev.JobReading(by="system", job="job-x", charge="c"), "2026-01-01T00:00:00.000000Z").split(b"job-x")
    entry, node_of = Prepared(insert(entries)), Prepared(insert(log_hashes))
    with writing(register.engine) as connection:
        writer = Writer(connection)
        for start in range(0, size, BATCH):
            rows, hashes = [], []
            for position in range(start, min(start + BATCH, size)):
                body = before + b"job-%d" % position + after
                leaf = leaf_hash(body)
                rows.append({"position": position, "kind": "job_reading", "body": body, "leaf": leaf})
                for node in edge.append(leaf):
                    level, rest = divmod(node.height, TILE_HEIGHT)
                    if level and not rest:
                        hashes.append({"level": level, "position": node.position, "hash": node.hash})
            writer.later_many(entry, rows)
            if hashes:
                writer.later_many(node_of, hashes)
        writer.flush()
        connection.execute(update(log_head).values(size=edge.size, edge=edge.to_bytes(), at="2026-01-01T00:00:00.000000Z"))
