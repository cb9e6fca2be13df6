"""Sample and aggregate before noise: without one unit, at most one block is another one, and every total moves by at most its cap.

Programs here do what they like: give nothing, rubbish, or numbers past every range. Rows are random, units have some in several tables. Each
mutation below takes one safeguard away and must be noticed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.plan.model import Part, Total
from sandbox.program.ask import RunAsk
from sandbox.program.compile import ProgramPlan, compile_run
from sandbox.program.manifest import manifest_from_toml
from sandbox.program.run import Clamp
from sandbox.raw import blocks as room
from sandbox.raw.frames import ExactFrames, frame_totals
from sandbox.raw.totals import combine
from tests.fake_cells import table_of
from tests.questions import CATALOGUE

MANIFEST = """
name = "any"
version = "1"
title = {zh = "任意", en = "any"}
entry = "main.py:run"
[[outputs]]
name = "a"
title = {zh = "甲", en = "a"}
low = -3
high = 1000
[[outputs]]
name = "b"
title = {zh = "乙", en = "b"}
low = 0.5
high = 0.75
default = 0.6
"""
KEYED = MANIFEST.replace("[[outputs]]", '[key]\nname = "k"\ntitle = {zh = "类", en = "k"}\ntype = "text"\ndomain = ["x", "y"]\n[[outputs]]', 1)
TABLES = (
    {"dataset": "visits", "columns": ["fee", "days", "note", "urgent", "day", "seen", "score"]},
    {"dataset": "bills", "columns": ["amount"]},
)
Tables = dict[str, pa.Table]


def planned(combine: str = "mean", *, units: bool = False, tables: int = 2, blocks: int | None = 7) -> ProgramPlan:
    manifest = manifest_from_toml(KEYED.replace("entry", 'mode = "units"\nentry', 1) if units else MANIFEST)
    asked: dict[str, Any] = {"program": "a" * 64, "tables": TABLES[:tables], "combine": combine, "privacy": {"rho": "0.1"}}
    return compile_run(RunAsk.model_validate(asked | ({} if units else {"blocks": blocks})), manifest, CATALOGUE, libraries="0" * 64)


def data(seed: int, tables: int = 2) -> Tables:
    """Few units with many rows, some without any in one of the tables."""
    rng = random.Random(seed)
    units = [rng.randrange(-5, 40) for _ in range(rng.randrange(1, 60))]
    visits = sorted((None if rng.random() < 0.1 else unit for unit in units), key=lambda unit: (unit is None, unit))
    bills = sorted(rng.randrange(-5, 60) for _ in range(rng.randrange(60)))

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.2 else value

    def column(make: Callable[[], Any], kind: pa.DataType, rows: int) -> pa.Array:
        return pa.array([maybe(make()) for _ in range(rows)], kind)

    many = len(visits)
    first = {
        "fee": column(lambda: Decimal(rng.randrange(10**6)) / 100, pa.decimal64(18, 2), many),
        "days": column(lambda: rng.randrange(400), pa.int64(), many),
        "note": column(lambda: "甲乙丙丁"[: rng.randrange(5)], pa.string(), many),
        "urgent": column(lambda: rng.random() < 0.5, pa.bool_(), many),
        "day": column(lambda: rng.randrange(20_000), pa.int32(), many).cast(pa.date32()),
        "seen": column(lambda: rng.randrange(10**15), pa.int64(), many).cast(pa.timestamp("us")),
        "score": column(rng.random, pa.float64(), many),
        "pid": pa.array(visits, pa.int64()),
    }
    second = {
        "amount": column(lambda: Decimal(rng.randrange(10**5)) / 100, pa.decimal128(18, 2), len(bills)),
        "pid": pa.array(bills, pa.int64()),
    }
    made = {"s0": pa.table(first), "s1": pa.table(second)}
    return {alias: made[alias] for alias in ("s0", "s1")[:tables]}


def without(tables: Tables, unit: int) -> Tables:
    kept = {alias: [value != unit for value in table.column("pid").to_pylist()] for alias, table in tables.items()}
    return {alias: table.filter(pa.array(kept[alias], pa.bool_())) for alias, table in tables.items()}


def units_of(tables: Tables) -> list[int]:
    return sorted({value for table in tables.values() for value in table.column("pid").to_pylist() if value is not None})


def dealt(plan: ProgramPlan, tables: Tables, key: bytes) -> list[bytes]:
    return list(room.dealt(plan.plan.parts[0].scans, tables, plan.run.blocks, key))


def wild(block: bytes, floats: int) -> bytes | None:
    """A program that does the worst its block tells it to: a function of the block alone."""
    rng = np.random.default_rng([*list(block[-400:]), len(block)])
    kind = rng.integers(8)
    if kind == 0:
        return None
    if kind == 1:
        return bytes(rng.bytes(int(rng.integers(40))))
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308, -1e308, 0.6, 1.0, 0.0])
    return np.where(rng.random(floats) < 0.5, rng.choice(odd, floats), rng.normal(0, 500, floats)).astype("<f8").tobytes()


def exact(plan: ProgramPlan, part: Part, blocks: Sequence[bytes], read: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    found = room.numbers(plan.run, plan.plan.parts[0], [wild(block, plan.run.floats) for block in blocks])
    if plan.run.mode == "units":
        rows: list[dict[str, Any]] = combine(part, [found]).table.to_pylist()
        return rows
    made: list[dict[str, Any]] = frame_totals(part, plan.run, ExactFrames(found), read).table.to_pylist()
    return made


def binned(value: Any) -> Counter[int]:
    return Counter({row["bin"]: row["n"] for row in value})


def moved(total: Total, before: Any, after: Any) -> int:
    """How far apart two values of a total are: as numbers or, of histograms, as numbers of rows that came and went."""
    if total.kind != "quantile":
        return abs(int(before or 0) - int(after or 0))
    one, other = binned(before or []), binned(after or [])
    return sum((one - other).values()) + sum((other - one).values())


def faults(plan: ProgramPlan, tables: Tables, unit: int, key: bytes) -> list[str]:
    """What the promise says and these two databases break."""
    blocks, fewer = dealt(plan, tables, key), dealt(plan, without(tables, unit), key)
    wrong = []
    if plan.run.blocks:
        if len(blocks) != plan.run.blocks or len(fewer) != plan.run.blocks:
            wrong.append("another number of blocks")
        if sum(one != other for one, other in zip(blocks, fewer, strict=False)) > 1:
            wrong.append("more than one block")
    elif (Counter(blocks) - Counter(fewer) and (Counter(blocks) - Counter(fewer)).total() > 1) or Counter(fewer) - Counter(blocks):
        wrong.append("more than one unit")
    ends = {
        f"{end}{place}": [value] for place, clamp in enumerate(plan.run.clamps) for end, value in (("low", clamp.least), ("high", clamp.most))
    }
    read = {"spread": pa.table({name: [value[0] // 3] for name, value in ends.items()})}
    for part in plan.plan.parts:
        names = [each.name for each in part.keys]
        one, other = ({tuple(row[name] for name in names): row for row in exact(plan, part, given, read)} for given in (blocks, fewer))
        changed = [at for at in {**one, **other} if one.get(at) != other.get(at)]
        if len(changed) > part.groups_per_unit:
            wrong.append("more than one key")
        for at in changed:
            for total in part.totals:
                if moved(total, one.get(at, {}).get(total.name), other.get(at, {}).get(total.name)) > total.cap:
                    wrong.append(f"{total.name} past its cap")
    return wrong


PLANS = {
    "mean": planned(),
    "median": planned("median"),
    "winsorised": planned("winsorised"),
    "one table": planned(tables=1),
    "many blocks": planned(blocks=200),
    "two blocks": planned(blocks=2),
    "units, mean": planned(units=True),
    "units, sum": planned("sum", units=True, tables=1),
}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), name=st.sampled_from(sorted(PLANS)), at=st.integers(0, 10**6))
def test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap(seed: int, name: str, at: int) -> None:
    plan = PLANS[name]
    tables = data(seed, len(plan.scans))
    units = units_of(tables)
    if units:
        assert faults(plan, tables, units[at % len(units)], room.key_of(seed)) == []


def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks by the number of a unit among all, not by itself."""
    monkeypatch.setattr(room, "_block_of", lambda hashes, blocks: np.arange(len(hashes)) * blocks // max(1, len(hashes)))


def one_table_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units hashed in each table with another key."""
    real, count = room.hashes_of, iter(range(10**9))
    monkeypatch.setattr(room, "hashes_of", lambda units, key: real(units, (next(count) % 2).to_bytes(8, "big") + key[8:]))


def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's column as it is known to the whole shard."""
    real = room._piece

    def piece(scan: Any, rows: pa.Table, ranks: Any, low: int, high: int) -> pa.Table:
        return real(scan, rows, ranks, low, high).append_column(
            "index", pa.array(ranks[np.searchsorted(ranks, low) : np.searchsorted(ranks, high)])
        )

    monkeypatch.setattr(room, "_piece", piece)


def unclamped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed(self: Clamp, values: Any) -> Any:
        return (np.nan_to_num(values, posinf=1e8, neginf=-1e8).clip(-1e8, 1e8) * 10.0**self.decimals).astype(np.int64)

    monkeypatch.setattr(Clamp, "fixed", fixed)


def shared_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks as slices of one column: the values are right, the bytes tell of others."""
    monkeypatch.setattr(room, "plain", lambda column: column)


def bins_that_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    import sandbox.raw.frames as frames

    real = frames._bins
    monkeypatch.setattr(frames, "_bins", lambda total, column: real(total, np.repeat(column, 2)))


MUTATIONS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "blocks by place": (row_by_row, "mean"),
    "tables hashed apart": (one_table_apart, "many blocks"),
    "numbers of units leave their block": (numbered, "mean"),
    "no clamp": (unclamped, "mean"),
    "no clamp of units": (unclamped, "units, mean"),
    "slices instead of copies": (shared_buffers, "one table"),
    "histogram of blocks counted twice": (bins_that_count_twice, "median"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_safeguard_taken_away_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate, plan_name = MUTATIONS[name]
    plan = PLANS[plan_name]
    mutate(monkeypatch)
    for seed in range(60):
        tables = data(seed, len(plan.scans))
        for unit in units_of(tables)[:3]:
            if faults(plan, tables, unit, room.key_of(seed)):
                return
    pytest.fail("nothing noticed it")


def test_a_block_that_gives_nothing_still_counts() -> None:
    """Were it left out, the mean of the others would be divided by a number that depends on rows."""
    plan = PLANS["mean"]
    frames = [None, np.array([2000.0, 0.7], "<f8").tobytes(), b"short", np.array([-0.0, np.nan], "<f8").tobytes()]
    fixed = plan.run.fixed(frames)
    a, b = plan.run.clamps
    assert fixed[:, 0].tolist() == [a.default, a.most, a.default, round((0 - a.centre) * 10**a.decimals)]
    assert fixed[:, 1].tolist() == [b.default, round((0.7 - b.centre) * 10**b.decimals), b.default, b.default]


def test_blocks_are_even_and_hold_every_row_once() -> None:
    plan = planned(tables=1, blocks=10)
    units = np.repeat(np.arange(5_000), 2)
    table = data(1, 1)["s0"].slice(0, 1).take(pa.array(np.zeros(len(units), np.int64)))
    for name, values in (("days", np.arange(len(units))), ("pid", units)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    blocks = [table_of(block) for block in dealt(plan, {"s0": table}, room.key_of(9))]
    assert sorted(value for block in blocks for value in block.column("days").to_pylist()) == list(range(len(units)))
    assert all(400 < len(set(block.column("pid").to_pylist())) < 600 for block in blocks)
    first = blocks[0]
    kinds = [pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.float64(), pa.int64()]
    assert first.schema.types == kinds
    numbers = first.column("pid").to_pylist()
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(len(numbers) // 2)), "units are numbered from 0 within their block"
    assert [value // 2 for value in first.column("days").to_pylist()] != sorted(value // 2 for value in first.column("days").to_pylist())
