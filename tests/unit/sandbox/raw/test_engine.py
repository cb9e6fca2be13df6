"""The same words asked again: parsed once, bound to the tables of each time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest

from sandbox.raw import engine

COUNT = "SELECT a, COUNT(*) AS n FROM t WHERE a > $least GROUP BY a ORDER BY a"


def counted(values: list[int] | list[str], least: int | str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = engine.query(COUNT, {"t": pa.table({"a": values})}, {"least": least}).to_pylist()
    return rows


def test_words_that_were_parsed_before_mean_the_tables_and_parameters_of_now() -> None:
    assert counted([1, 2, 2], 0) == [{"a": 1, "n": 1}, {"a": 2, "n": 2}]
    assert counted([2, 2, 3], 2) == [{"a": 3, "n": 1}]
    assert counted(["x", "y"], "x") == [{"a": "y", "n": 1}], "of another type"
    with pytest.raises(duckdb.CatalogException):
        engine.query(COUNT, {}, {"least": 0})
    with pytest.raises(duckdb.BinderException):
        engine.query(COUNT, {"t": pa.table({"b": [1]})}, {"least": 0})
    assert counted([5], 0) == [{"a": 5, "n": 1}]


def test_threads_that_ask_the_same_words_get_each_its_own_answer() -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: counted([n] * n, 0), range(1, 200)))
    assert answers == [[{"a": n, "n": n}] for n in range(1, 200)]


def test_long_words_are_not_kept() -> None:
    engine._parsed_once.cache_clear()
    kept = engine._parsed_once.cache_info().currsize
    for _ in range(2):
        assert engine.query(f"SELECT 'x' AS n -- {'-' * engine.LONG}", {}).to_pylist() == [{"n": "x"}]
    assert engine._parsed_once.cache_info().currsize == kept
    engine.query("SELECT 'kept once' AS n", {})
    assert engine._parsed_once.cache_info().currsize == kept + 1


def test_of_several_statements_none_is_run_however_often_they_are_asked_for() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="one SELECT"):
            engine.query("SELECT 1; SELECT 2", {})
        with pytest.raises(ValueError, match="one SELECT"):
            engine.query("CREATE TABLE kept AS SELECT 1 AS a", {})
