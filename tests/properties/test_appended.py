"""Versions that others were appended to keep the promise of one written at once: a unit's rows lie in several files and are still one unit's.

Rows are dealt at random to files, ingested into a real vault, and read as a job reads them.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Bounds, Catalogue, Dataset, Snapshot
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.model import Part, Scan
from sandbox.raw import run
from sandbox.raw.ingest import ingest
from sandbox.raw.run import exact_totals
from tests.conftest import MASTER_KEY
from tests.questions import moved
from tests.visits import CITIES, column, dataset

COLUMNS = (
    column("pid", "integer", uses=("filter", "join", "distinct")),
    column("city", "text", domain=CITIES),
    column("note", "text"),
    column("days", "integer", low=Decimal(0), high=Decimal(40)),
    column("fee", "decimal", decimals=2, low=Decimal(0), high=Decimal(90)),
)
QUERIES = (
    "SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY city",
    "SELECT note, COUNT(*) AS n, AVG(days) AS s FROM visits GROUP BY note",
    "SELECT city, COUNT(DISTINCT pid) AS n, COUNT(DISTINCT note) AS m FROM visits GROUP BY city",
    "SELECT COUNT(DISTINCT pid) AS n, MEDIAN(days) AS m FROM visits",
    "SELECT city, SUM(n) AS s FROM (SELECT pid, city, COUNT(*) AS n FROM visits GROUP BY pid, city) AS t WHERE n > 1 GROUP BY city",
    "SELECT p.city, COUNT(*) AS n FROM visits v JOIN more p ON p.pid = v.pid WHERE v.days > p.days GROUP BY p.city",
)
Rows = Sequence[Sequence[Any]]


def declared(name: str, *, rows: int) -> Dataset:
    made = dataset(COLUMNS, unit="pid", rows=rows, name=name)
    return made.model_copy(update={"bounds": Bounds(groups_per_unit=2, rows_per_group=2, rows_per_unit=60)})


def dealt(rng: random.Random) -> list[Rows]:
    """Rows of a few units, most of them with many, in three files."""
    files: list[list[Sequence[Any]]] = [[], [], []]
    for _ in range(rng.randrange(60, 120)):
        row = (rng.randrange(1, 7), rng.choice([*CITIES, None]), rng.choice("abcdef"), rng.randrange(41), Decimal(rng.randrange(9001)) / 100)
        rng.choice(files).append(row)
    return list(files)


@dataclass
class Bureau:
    folder: Path
    counter: int = 0

    def vault(self) -> Vault:
        self.counter += 1
        return Vault(self.folder / str(self.counter), MASTER_KEY)

    def put(self, vault: Vault, dataset: Dataset, files: Sequence[Rows]) -> Snapshot:
        """Each file appended to the ones before."""
        after = None
        for version, rows in enumerate(files, 1):
            lists = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
            kinds = [pa.int64(), pa.string(), pa.string(), pa.int64(), pa.decimal128(6, 2)]
            table = pa.table({c.name: pa.array(list(values), kind) for c, values, kind in zip(COLUMNS, lists, kinds, strict=True)})
            path = self.folder / f"{self.counter}-{dataset.name}-{version}.parquet"
            pq.write_table(table, path)
            report = ingest(
                dataset, [path], vault, version=version, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=1, after=after
            )
            after = report.snapshot
        assert after is not None
        return after


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau(tmp_path)


Totals = dict[tuple[Any, ...], tuple[Any, ...]]
Read = Callable[[Part, Vault], Totals]


def as_a_job(part: Part, vault: Vault) -> Totals:
    found, width = {}, len(part.keys)
    for row in exact_totals(part, vault, InlineWorkers(2**20), 9).table.to_pylist():
        values = tuple(row.values())
        found[values[:width]] = tuple(
            value if isinstance(value, int) else Counter({it["bin"]: it["n"] for it in value}) for value in values[width:]
        )
    return found


def answers(bureau: Bureau, files: Sequence[Rows], more: Sequence[Rows], read: Read = as_a_job) -> list[tuple[Part, Totals]]:
    """Every query's totals; of the second table in one piece, and in fewer shards."""
    vault = bureau.vault()
    catalogue = Catalogue((bureau.put(vault, declared("visits", rows=4), files), bureau.put(vault, declared("more", rows=2), more)))
    plans = [compile_job(sql, catalogue, Ask(privacy=Privacy(epsilon=Decimal(1)))) for sql in QUERIES]
    return [(part, read(part, vault)) for plan in plans for part in plan.parts]


def without(files: Sequence[Rows], pid: int) -> list[Rows]:
    return [[row for row in rows if row[0] != pid] for rows in files]


def violations(bureau: Bureau, seed: int, read: Read = as_a_job) -> list[str]:
    rng = random.Random(seed)
    files, more = dealt(rng), dealt(rng)[:2]
    found = []
    whole = answers(bureau, files, more, read)
    for pid in rng.sample(range(1, 7), 2):
        for (part, had), (_, has) in zip(whole, answers(bureau, without(files, pid), without(more, pid), read), strict=True):
            caps = [total.cap for total in part.totals]
            zero = (0,) * len(caps)
            steps = {key: list(map(moved, had.get(key, zero), has.get(key, zero))) for key in {**had, **has}}
            changed = sum(any(by) for by in steps.values())
            found += [f"{changed} keys"] if changed > part.groups_per_unit else []
            found += [f"{key}: {by} over {caps}" for key, by in steps.items() if any(step > cap for step, cap in zip(by, caps, strict=True))]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_unit_in_several_files_moves_no_more_than_promised(bureau: Bureau, seed: int) -> None:
    assert violations(bureau, seed) == []


def test_what_was_appended_answers_as_if_written_at_once(bureau: Bureau) -> None:
    files, more = dealt(random.Random(5)), dealt(random.Random(6))
    at_once = answers(bureau, [[row for rows in files for row in rows]], [[row for rows in more for row in rows]])
    assert [totals for _, totals in answers(bureau, files, more)] == [totals for _, totals in at_once]


def test_files_read_apart_would_break_it(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property sees a unit that is met twice: each file as a shard of its own."""

    def apart(scans: Sequence[Scan], vault: Vault) -> list[tuple[run.Source, ...]]:
        (scan,) = scans
        return [(run.Source(scan.alias, (file,), scan.columns, scan.window),) for file in vault.open(scan.dataset, scan.version).parts]

    def read(part: Part, vault: Vault) -> Totals:
        if len(part.scans) != 1:
            return {}
        with monkeypatch.context() as patched:
            patched.setattr(run, "sources_of", apart)
            return as_a_job(part, vault)

    assert any("over" in found or "keys" in found for seed in range(3) for found in violations(bureau, seed, read))
