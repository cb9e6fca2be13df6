"""Released tables added up, key by key."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.finish.formats import encode
from sandbox.finish.summed import TablesDiffer, summed, table_of

KEYS = ("city", "urgent", "day")


def table(counts: dict[tuple[str | None, bool, date], int], *, order: int = 0, half: float = 3.0) -> pa.Table:
    """Rows in an order of their own."""
    rows = list(counts.items())
    random.Random(order).shuffle(rows)
    return pa.table(
        {
            "city": pa.array([key[0] for key, _ in rows], pa.string()),
            "urgent": [key[1] for key, _ in rows],
            "day": pa.array([key[2] for key, _ in rows], pa.date32()),
            "n": pa.array([count for _, count in rows], pa.int64()),
            "n__half_width": [half for _ in rows],
            "fee": [count / 8 for _, count in rows],
        }
    )


def some(seed: int) -> dict[tuple[str | None, bool, date], int]:
    drawn = random.Random(seed)
    cities = ("晋中", "太原", None)
    return {(city, urgent, date(2026, 1, day)): drawn.randrange(-50, 10**6) for city in cities for urgent in (True, False) for day in (1, 9)}


def read(added: pa.Table) -> dict[tuple[object, ...], tuple[int, float]]:
    return {tuple(row[name] for name in KEYS): (row["n"], row["fee"]) for row in added.to_pylist()}


def test_sums_are_those_of_plain_counting() -> None:
    parts = [some(seed) for seed in range(5)]
    whole: Counter[tuple[object, ...]] = Counter()
    for part in parts:
        whole.update(part)
    added = summed([table(part, order=place) for place, part in enumerate(parts)], KEYS, {"n__half_width": 7.5})
    assert read(added) == {key: (count, count / 8) for key, count in whole.items()}
    assert set(added.column("n__half_width").to_pylist()) == {7.5}
    assert added.schema == table(parts[0]).schema
    again = summed([table(part, order=place + 9) for place, part in enumerate(parts)], KEYS, {"n__half_width": 7.5})
    assert encode(again, "arrow") == encode(added, "arrow")  # whatever order the rows came in


def test_without_keys_there_is_one_row() -> None:
    one = pa.table({"n": [4], "n__half_width": [1.0]})
    assert summed([one, one, one], (), {"n__half_width": 2.0}).to_pylist() == [{"n": 12, "n__half_width": 2.0}]


def broken(case: str) -> Sequence[pa.Table]:
    whole = table(some(1))
    other = {
        "a key less": whole.slice(1),
        "another key": table({**dict(list(some(2).items())[1:]), ("大同", True, date(2026, 1, 1)): 4}),
        "a key twice": pa.concat_tables([whole, whole.slice(0, 1)]),
        "other columns": whole.rename_columns([*whole.column_names[:-1], "costs"]),
        "other types": whole.set_column(3, "n", whole.column("n").cast(pa.float64())),
        "no value": whole.set_column(3, "n", pa.array([None] * whole.num_rows, pa.int64())),
        "beyond 64 bits": whole.set_column(3, "n", pa.array([2**63 - 1] * whole.num_rows, pa.int64())),
    }[case]
    return [whole, other]


@pytest.mark.parametrize("case", ["a key less", "another key", "a key twice", "other columns", "other types", "no value", "beyond 64 bits"])
def test_tables_that_do_not_answer_one_question_are_not_added(case: str) -> None:
    with pytest.raises(TablesDiffer):
        summed(broken(case), KEYS, {})
    with pytest.raises(TablesDiffer):
        summed(broken(case)[::-1], KEYS, {})


def test_a_key_that_stands_twice_in_each_is_not_added() -> None:
    """Which of its rows belongs to which, nobody could say."""
    twice = pa.concat_tables([table(some(1)), table(some(2)).slice(0, 1)])
    with pytest.raises(TablesDiffer):
        summed([twice, twice], KEYS, {})


def test_a_table_without_keys_of_two_rows_is_not_added() -> None:
    with pytest.raises(TablesDiffer):
        summed([pa.table({"n": [1, 2]})], (), {})


def test_a_staged_table_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "table.arrow"
    path.write_bytes(encode(table(some(3)), "arrow", metadata={"yunei": "x"}))
    assert table_of(path).equals(table(some(3)))
    assert table_of(path).schema.metadata is None
