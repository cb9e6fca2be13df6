"""Blocks through a real cell: what leaves is what the program computes on each block, and defaults where it computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from infra.cells.base import Backend
from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Catalogue, Snapshot
from sandbox.program.ask import RunAsk
from sandbox.program.cargo import cargo_of, limits_of
from sandbox.program.compile import ProgramPlan, compile_run
from sandbox.program.package import Package, read_package
from sandbox.raw.blocks import Bay, exact_frames, exact_unit_totals, key_of
from sandbox.raw.blocks import dealt as deal
from tests import visits
from tests.cells import a_backend
from tests.fake_cells import table_of
from tests.programs import packed

MANIFEST = """
name = "two"
version = "1"
title = {zh = "两表", en = "two"}
entry = "lib/main.py:run"
rows = "pandas"
[[outputs]]
name = "rows"
title = {zh = "行数", en = "rows"}
low = 0
high = 1000
[[outputs]]
name = "days"
title = {zh = "天数", en = "days"}
low = 0
high = 400
"""
MAIN = """
from lib.sums import total

def run(rows, parameters):
    if rows["b"]["days"].max() < 0 or len(rows["a"]) % 5 == 0:
        raise ValueError("no")
    assert list(rows) == ["a", "b"] and set(rows["a"]["person_id"]) == set(rows["b"]["person_id"])
    return {"days": rows["a"]["days"].mean(), "rows": total(rows)}
"""
SUMS = "def total(tables):\n    return sum(len(table) for table in tables.values())\n"
UNITS = MANIFEST.replace("entry", 'mode = "units"\nentry').replace(
    "[[outputs]]", '[key]\nname = "k"\ntitle = {zh = "k", en = "k"}\ntype = "integer"\ndomain = [7, 9]\n[[outputs]]', 1
)
PER_UNIT = 'def run(rows, parameters):\n    return [9 if len(rows) > 3 else 7, len(rows), rows["days"].sum()]\n'


@pytest.fixture(scope="module")
def backend() -> Backend:
    return a_backend("bwrap")


def ingested(vault: Vault, folder: Path, names: tuple[str, ...]) -> Catalogue:
    columns = [column.model_copy(update={"uses": (*column.uses, "program")}) for column in visits.COLUMNS]
    snapshots: list[Snapshot] = []
    for place, name in enumerate(names):
        (folder / name).mkdir()
        declared = visits.dataset(columns, rows=400, name=name)
        report = visits.ingested(vault, folder / name, visits.rows(400, 50), declared, shard_rows=200 // (1 + place))
        snapshots.append(report.snapshot)
    return Catalogue(tuple(snapshots))


def planned(package: Package, catalogue: Catalogue, **more: Any) -> ProgramPlan:
    tables = [{"dataset": name, "columns": ["days", "note", "born"]} for name in catalogue]
    asked = {"program": package.digest, "tables": tables, "seconds": 20, "privacy": {"rho": "0.1"}, **more}
    return compile_run(RunAsk.model_validate(asked), package.manifest, catalogue, libraries="0" * 64)


def bay(plan: ProgramPlan, package: Package, backend: Backend) -> Bay:
    return Bay("job-1", backend, cargo_of(package, plan.run, [scan.dataset for scan in plan.scans], ["pandas"]), limits_of(plan.run))


def test_blocks_of_two_tables_in_a_cell(vault: Vault, tmp_path: Path, backend: Backend) -> None:
    package = read_package(packed({"program.toml": MANIFEST, "lib/main.py": MAIN, "lib/sums.py": SUMS}))
    catalogue = ingested(vault, tmp_path, ("a", "b"))
    plan = planned(package, catalogue, blocks=7)
    frames = exact_frames(plan.plan, plan.run, vault, InlineWorkers(), bay(plan, package, backend), 5)
    found = sorted(map(tuple, np.column_stack([frames.table.column(place).to_numpy() for place in range(2)]).tolist()))
    wanted = []
    versions = {scan.alias: vault.open(scan.dataset, 1).parts for scan in plan.scans}
    whole = {scan.alias: pa.concat_tables([part.read(list(scan.columns)) for part in versions[scan.alias]]) for scan in plan.scans}
    count = min(len(parts) for parts in versions.values())
    assert count > 1, "the tables have several shards, not equally many"
    rows, days = plan.run.clamps
    for group in range(count):
        shares = {
            alias: pa.concat_tables([part.read(list(whole[alias].column_names)) for part in versions[alias][group::count]]) for alias in whole
        }
        own = 7 // count + (1 if group < 7 % count else 0)
        for block in deal(plan.scans, shares, own, key_of(5)):
            table = table_of(block)
            a, b = (pa.Table.from_batches([pa.RecordBatch.from_struct_array(table.column(name).chunk(0).values)]) for name in ("a", "b"))
            if len(a) % 5 == 0:
                wanted.append((rows.default, days.default))
            else:
                mean = float(np.mean(a.column("days").to_numpy()))
                wanted.append(tuple(plan.run.fixed([np.array([len(a) + len(b), mean], "<f8").tobytes()])[0].tolist()))
    assert found == sorted(wanted)
    assert any(one == (rows.default, days.default) for one in wanted) or len(wanted) == 7


def test_units_in_a_cell_and_what_each_costs(vault: Vault, tmp_path: Path, backend: Backend) -> None:
    package = read_package(packed({"program.toml": UNITS, "lib/main.py": PER_UNIT}))
    plan = planned(package, ingested(vault, tmp_path, ("a",)), combine="sum")
    totals = exact_unit_totals(plan.plan, plan.run, vault, InlineWorkers(), bay(plan, package, backend), 5, rows=400)
    table = visits.rows(400, 50)
    by_person: dict[int, list[int]] = {}
    for person, days in zip(table.column("person_id").to_pylist(), table.column("days").to_pylist(), strict=True):
        by_person.setdefault(person, []).append(days)
    sums: dict[int, list[int]] = {}
    for given in by_person.values():
        key = 9 if len(given) > 3 else 7
        one = plan.run.fixed([np.array([0, len(given), sum(given)], "<f8").tobytes()])[0]
        sums[key] = [before + int(more) for before, more in zip(sums.get(key, [0, 0]), one[1:], strict=True)]
    assert {row["k0"]: [row["t0"], row["t1"]] for row in totals.table.to_pylist()} == sums
    assert json.loads(plan.run.parameters) == {}
