"""Exact totals: the same whatever the shards, the workers, their order and their deaths; refused or failed without a word about rows."""

from __future__ import annotations

import os
import pickle
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from infra.vault import Vault
from infra.workers import ANYWHERE, InlineWorkers, Terms, Workers
from policies.catalogue import Snapshot
from policies.problem import Problem
from sandbox.plan.model import INT64_MAX, Key, Total
from sandbox.raw.run import exact_totals, run_shard, shard_tasks, totals_of_tables, warm
from sandbox.raw.totals import combine
from tests.visits import CITIES, by_city, column, dataset, ingested, plan, rows, scan

Item = TypeVar("Item")
Result = TypeVar("Result")
ANY = Snapshot(dataset=dataset(), version=1, digest="0" * 64)  # never opened: the tables are given


class Backwards(InlineWorkers):
    """Finishes the last shard first."""

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
        yield from reversed(list(super().stream(fn, reversed(list(items)))))


class Shuffled(InlineWorkers):
    """Gives results back in another order than that of the shards."""

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
        results = list(super().stream(fn, items))
        yield from results[1::2] + results[::2]


def code_of(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    assert caught.value.__cause__ is None
    assert caught.value.code != "job_failed" or caught.value.__context__ is None
    return caught.value


def expected(table: pa.Table) -> dict[str | None, tuple[int, int]]:
    """Count and sum of fee in cents by city with no bound that binds, in plain Python."""
    count: Counter[str | None] = Counter()
    cents: defaultdict[str | None, int] = defaultdict(int)
    for row in table.select(["city", "fee"]).to_pylist():
        count[row["city"]] += 1
        cents[row["city"]] += int((row["fee"] or Decimal(0)) * 100)
    return {city: (count[city], cents[city]) for city in count}


UNBOUNDED = "SELECT city AS k0, COUNT(*) AS t0, SUM(CAST(fee * 100 AS BIGINT)) AS t1 FROM v GROUP BY city"


def test_totals_are_exact(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    snapshot = ingested(vault, tmp_path, rows(500), dataset(rows=8), shard_rows=1).snapshot
    totals = exact_totals(by_city(snapshot, UNBOUNDED), vault, inline_workers, 1).table
    assert {row["k0"]: (row["t0"], row["t1"]) for row in totals.to_pylist()} == expected(rows(500))
    assert totals.schema.types == [pa.string(), pa.int64(), pa.int64()]


def test_shards_and_order_change_nothing(vault: Vault, tmp_path: Path) -> None:
    seen = []
    for version, shards in enumerate((1, 8, 64), 1):  # 7 is not a power of two; parts are
        snapshot = ingested(vault, tmp_path, rows(3000, 400), dataset(rows=shards), version=version, shard_rows=1).snapshot
        assert len(vault.open("visits", version).parts) == shards
        for pool in (InlineWorkers(), Backwards(), Shuffled()):
            seen.append(exact_totals(by_city(snapshot), vault, pool, 42).table)
    whole = totals_of_tables(by_city(snapshot), {"v": rows(3000, 400)}, 42).table
    assert all(table.equals(whole) for table in seen)


def test_any_cut_into_parts_gives_the_same_totals() -> None:
    """Seven shards, made by hand: units kept together, nothing else promised."""
    table = rows(3000, 400)
    made = by_city(ANY)
    whole = totals_of_tables(made, {"v": table}, 3).table
    from sandbox.raw.engine import query
    from sandbox.raw.totals import shard_query

    units = [unit.as_py() % 7 for unit in table.column("person_id")]
    partials = [query(shard_query(made), {"v": table.filter(pa.array([unit == n for unit in units]))}, {"seed": 3}) for n in range(7)]
    assert all(partial.num_rows for partial in partials)
    assert combine(made, partials).table.equals(whole)
    assert combine(made, reversed(partials)).table.equals(whole)


def test_the_seed_chooses_the_groups(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    snapshot = ingested(vault, tmp_path, rows(3000, 100)).snapshot
    tables = [exact_totals(by_city(snapshot), vault, inline_workers, seed).table for seed in (1, 1, 2, 2**64 - 1)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert not tables[0].equals(tables[3])


def test_real_workers_give_what_one_process_gives(vault: Vault, tmp_path: Path, workers: Workers) -> None:
    snapshot = ingested(vault, tmp_path, rows(3000, 400), dataset(rows=8), shard_rows=1).snapshot
    warm(workers)
    made = by_city(snapshot)
    once = exact_totals(made, vault, workers, 7).table
    assert once.equals(exact_totals(made, vault, InlineWorkers(), 7).table)
    os.kill(workers.pids()[1], signal.SIGKILL)
    assert exact_totals(made, vault, workers, 7).table.equals(once)


def test_a_query_without_keys_has_one_row_even_of_nothing(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    for version, table in enumerate((rows(50), rows(50).slice(0, 0)), 1):
        snapshot = ingested(vault, tmp_path, table, dataset(rows=4), version=version, shard_rows=1).snapshot
        made = plan(
            [scan(snapshot, ("person_id", "days"))],
            [],
            [Total("t0", "count", 0, 1, 9), Total("t1", "sum", 0, 400, 400)],
            "SELECT COUNT(*) AS t0, SUM(days) AS t1 FROM v",
        )
        totals = exact_totals(made, vault, inline_workers, 1).table.to_pylist()
        assert totals == [{"t0": table.num_rows, "t1": sum(table.column("days").to_pylist())}]


def test_every_stored_type_reaches_the_query_as_itself(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    names = [item.name for item in snapshot.dataset.columns]
    types = ", ".join(f"typeof({name})" for name in names)
    made = plan(
        [scan(snapshot, names)], [Key("k0", "text", ("one",))], [Total("t0", "units", 0, 1, 1)],
        f"SELECT concat_ws(',', {types}) AS k0, 1 AS t0 FROM v LIMIT 1",
    )  # fmt: skip
    found = exact_totals(made, vault, inline_workers, 1).table.column("k0").to_pylist()
    assert found == ["BIGINT,VARCHAR,DECIMAL(18,2),DOUBLE,BIGINT,DATE,TIMESTAMP,BOOLEAN,VARCHAR"]


def test_totals_saturate_at_64_bits_and_only_at_the_end() -> None:
    made = plan([], [Key("k0", "integer", (1, 2, 3))], [Total("t0", "sum", -1, 1, 1)], "SELECT * FROM v")
    huge = INT64_MAX
    partials = [
        pa.table({"k0": [1, 2, 3], "t0": pa.array([huge * 5, -huge * 5, huge * 5], pa.decimal128(38, 0))}),
        pa.table({"k0": [1, 2, 3], "t0": pa.array([1, -1, -huge * 5 - 7], pa.decimal128(38, 0))}),
    ]
    expected = {"k0": [1, 2, 3], "t0": [huge, -huge - 1, -7]}
    assert combine(made, partials).table.to_pydict() == expected
    assert combine(made, partials[::-1]).table.to_pydict() == expected


def test_many_partials_are_folded_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.raw.totals._FOLD_ROWS", 10)
    made = plan([], [Key("k0", "integer", (0,))], [Total("t0", "sum", -1, 1, 1)], "SELECT * FROM v")
    partials = (pa.table({"k0": [n % 4, None], "t0": pa.array([n, 1], pa.decimal128(38, 0))}) for n in range(100))
    totals = {row["k0"]: row["t0"] for row in combine(made, partials).table.to_pylist()}
    assert totals == {None: 100, **{k: sum(n for n in range(100) if n % 4 == k) for k in range(4)}}


def test_a_public_table_is_read_whole_with_every_shard(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    public = dataset((column("city", "text"), column("level", "integer")), unit=None, name="cities", rows=2)
    levels = ingested(vault, tmp_path, pa.table({"city": list(CITIES), "level": [1, 2, 1]}), public, shard_rows=1).snapshot
    snapshot = ingested(vault, tmp_path, rows(300), dataset(rows=4), shard_rows=1).snapshot
    made = plan(
        [scan(snapshot, ("person_id", "city")), scan(levels, ("city", "level"), "l")],
        [Key("k0", "integer", (1, 2))],
        [Total("t0", "count", 0, 1, 3)],
        "SELECT l.level AS k0, COUNT(*) AS t0 FROM v JOIN l ON v.city = l.city GROUP BY l.level",
    )
    totals = exact_totals(made, vault, inline_workers, 1).table.to_pydict()
    by = {city: count for city, (count, _) in expected(rows(300)).items()}
    assert totals == {"k0": [1, 2], "t0": [by[CITIES[0]] + by[CITIES[2]], by[CITIES[1]]]}


def test_tables_of_one_space_meet_on_the_unit_whatever_their_shards(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    visits = ingested(vault, tmp_path, rows(600, 90), dataset(rows=16), shard_rows=1).snapshot
    people = pa.table({"person_id": pa.array([n * 10**12 - 5 for n in range(120)], pa.int64()), "level": [n % 3 for n in range(120)]})
    declared = dataset((column("person_id", "integer", uses=("filter",)), column("level", "integer")), name="people", rows=4)
    persons = ingested(vault, tmp_path, people, declared, shard_rows=1).snapshot
    made = plan(
        [scan(visits, ("person_id",)), scan(persons, ("person_id", "level"), "p")],
        [Key("k0", "integer", (0, 1, 2))],
        [Total("t0", "count", 0, 1, 3), Total("t1", "count", 0, 1, 3)],
        "SELECT p.level AS k0, COUNT(v.person_id) AS t0, COUNT(*) AS t1 FROM p LEFT JOIN v ON p.person_id = v.person_id GROUP BY p.level",
    )
    totals = exact_totals(made, vault, inline_workers, 1).table
    whole = totals_of_tables(made, {"v": rows(600, 90), "p": people}, 1).table
    assert totals.equals(whole)
    assert len(shard_tasks(made, vault, 1, 0)) == 4


def test_a_snapshot_other_than_planned_is_refused_before_reading(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    other = by_city(snapshot.model_copy(update={"digest": "f" * 64}))
    problem = code_of(lambda: exact_totals(other, vault, inline_workers, 1))
    assert (problem.code, problem.fields["reason"]) == ("data_snapshot_refused", "digest_differs")
    gone = by_city(snapshot.model_copy(update={"version": 9}))
    problem = code_of(lambda: exact_totals(gone, vault, inline_workers, 1))
    assert (problem.code, problem.fields["reason"]) == ("data_snapshot_refused", "version_missing")


FAILURES = {
    "a value that does not convert": "SELECT city AS k0, SUM(CAST(note AS BIGINT)) AS t0, 0 AS t1 FROM v GROUP BY city",
    "an overflow": "SELECT city AS k0, COUNT(*) AS t0, SUM(person_id * 9223372036854775807) AS t1 FROM v GROUP BY city",
    "no such column": "SELECT nothing AS k0, 1 AS t0, 1 AS t1 FROM v",
    "no such syntax": "SELEC",
    "two statements": "SELECT city AS k0, 1 AS t0, 1 AS t1 FROM v) AS shard; SELECT * FROM (SELECT 1",
    "out of memory": "SELECT city AS k0, COUNT(*) AS t0, SUM(n) AS t1 FROM v, range(100000000) AS r(n) GROUP BY city, n",
}


@pytest.mark.parametrize("sql", FAILURES.values(), ids=FAILURES.keys())
def test_every_failure_is_the_same_failure(
    vault: Vault, tmp_path: Path, inline_workers: InlineWorkers, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr("sandbox.raw.engine.MEMORY_BYTES", 32 * 2**20)
    snapshot = ingested(vault, tmp_path, rows(30)).snapshot
    made = plan(
        [scan(snapshot, ("person_id", "city", "note"))],
        [Key("k0", "text", CITIES)],
        [Total("t0", "count", 0, 1, 3), Total("t1", "count", 0, 1, 3)],
        sql,
    )
    for act in (lambda: exact_totals(made, vault, inline_workers, 1), lambda: totals_of_tables(made, {"v": rows(30)}, 1)):
        problem = code_of(act)
        assert (problem.code, problem.fields, problem.parts) == ("job_failed", {}, ())


def test_a_damaged_part_fails_like_everything_else(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    path = Path(vault.open("visits", 1).parts[0].path)
    data = bytearray(path.read_bytes())
    data[100::100] = bytes(byte ^ 1 for byte in data[100::100])  # somewhere in every column
    path.write_bytes(data)
    assert code_of(lambda: exact_totals(by_city(snapshot), vault, inline_workers, 1)).code == "job_failed"


def test_exact_totals_show_nothing_and_are_not_written_down() -> None:
    totals = totals_of_tables(by_city(ANY), {"v": rows(10)}, 1)
    for shown in (repr(totals), str(totals), f"{totals}", f"{totals!r:>40}"):
        assert shown.strip() == "ExactTotals(redacted)"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(totals, protocol)
    assert not hasattr(totals, "__dict__")
    assert totals.table.num_rows > 0


def test_a_task_does_not_show_seed_or_keys(vault: Vault, tmp_path: Path) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    (task,) = shard_tasks(by_city(snapshot), vault, 987654321, 1)
    assert "987654321" not in repr(task)
    assert "key=" not in repr(task)
    assert task.sources[0].columns == ("person_id", "city", "fee")


def test_only_the_columns_asked_for_are_decrypted(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.vault import Part

    snapshot = ingested(vault, tmp_path).snapshot
    asked: list[Any] = []
    read = Part.read
    monkeypatch.setattr(Part, "read", lambda self, columns=None: asked.append(columns) or read(self, columns))  # type: ignore[func-returns-value]
    (task,) = shard_tasks(by_city(snapshot), vault, 1, 2**20)
    first, second = run_shard(task), run_shard(task)
    assert first is not None
    assert first.equals(second)
    assert asked == [["person_id", "city", "fee"]]  # once: the second time they were at hand
