"""Grouping sets that add up: the least-squares solution by its definition, rounding by its rules, and only where rows cannot be missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.catalogue import Catalogue, Snapshot
from sandbox.finish.consistent import consistent, fit, rounded
from sandbox.finish.finish import finish
from sandbox.noise import keys as wire
from sandbox.noisy import NoisyTable
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.explain import explain
from sandbox.plan.lattice import variance_after
from sandbox.plan.model import Plan
from sandbox.plan.spread import discrete_half_width
from sandbox.plan.view import Lattice
from tests.questions import CATALOGUE

ROLLUP = ((0, 1), (0,), ())
CUBE = ((0, 1), (0,), (1,), ())
SQL = "SELECT city, year, COUNT(*) AS n, SUM(days) AS s, AVG(fee) AS a FROM visits GROUP BY "


def lattice(sets: tuple[tuple[int, ...], ...], sizes: tuple[int, ...], variances: tuple[float, ...]) -> Lattice:
    return Lattice(tuple(range(len(sets))), sets, sizes, (tuple("t0" for _ in sets),), (variances,))


def design(of: Lattice) -> Any:
    """One row for each cell of each set: which cells of the whole product it adds up."""
    numbered, rows = np.arange(math.prod(of.sizes)).reshape(of.sizes), []
    for keys in of.sets:
        for cell in np.ndindex(*(of.sizes[key] for key in keys)):
            where: list[Any] = [slice(None)] * len(of.sizes)
            for key, value in zip(keys, cell, strict=True):
                where[key] = value
            row = np.zeros(numbered.size)
            row[numbered[tuple(where)].ravel()] = 1
            rows.append(row)
    return np.array(rows)


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    every = [keys for keys in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)) if all(key < len(sizes) for key in keys)]
    sets = tuple(draw(st.lists(st.sampled_from(every), min_size=2, max_size=5, unique=True)))
    return lattice(sets, sizes, tuple(draw(st.floats(0.5, 500)) for _ in sets))


def tables(of: Lattice, values: Any) -> list[Any]:
    found, at = [], 0
    for keys in of.sets:
        size = math.prod(of.sizes[key] for key in keys)
        found.append(values[at : at + size].reshape([of.sizes[key] if key in keys else 1 for key in range(len(of.sizes))]))
        at += size
    return found


@settings(max_examples=120, deadline=None, derandomize=True)
@given(of=lattices(), seed=st.integers(0, 2**32 - 1))
def test_it_is_the_least_squares_solution_and_never_less_exact(of: Lattice, seed: int) -> None:
    a = design(of)
    weights = np.concatenate([np.full(math.prod(of.sizes[k] for k in keys), 1 / v) for keys, v in zip(of.sets, of.variances[0], strict=True)])
    noisy = np.random.default_rng(seed).normal(0, 50, len(a))
    inverse = np.linalg.pinv(a.T @ (weights[:, None] * a))
    wanted, covariance = a @ inverse @ a.T @ (weights * noisy), a @ inverse @ a.T
    fitted = fit(of, 0, tables(of, noisy))
    assert np.allclose(np.concatenate([table.ravel() for table in fitted]), wanted, atol=1e-7)
    for number, (table, variance) in enumerate(zip(tables(of, np.diag(covariance)), of.variances[0], strict=True)):
        assert np.allclose(table, variance_after(of, 0, number), rtol=1e-6)
        assert variance_after(of, 0, number) <= variance * (1 + 1e-9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), a=st.integers(1, 5), b=st.integers(1, 5))
def test_children_fill_their_parents_and_nothing_moves_by_two(seed: int, a: int, b: int) -> None:
    of = lattice(ROLLUP, (a, b), (9.0, 4.0, 1.0))
    fitted = fit(of, 0, tables(of, np.random.default_rng(seed).normal(0, 30, a * b + a + 1).round()))
    cells, rows, whole = rounded(of, fitted)
    assert (cells.sum(axis=1, keepdims=True) == rows).all()
    assert rows.sum() == whole.sum()
    assert max(np.abs(made - exact).max() for made, exact in zip((cells, rows, whole), fitted, strict=True)) < 2


def test_a_cube_is_rounded_cell_by_cell() -> None:
    of = lattice(CUBE, (3, 4), (4.0, 2.0, 2.0, 1.0))
    fitted = fit(of, 0, tables(of, np.random.default_rng(5).normal(0, 30, 20).round()))
    cells, by_a, by_b, whole = rounded(of, fitted)
    assert np.abs(cells.sum(axis=1, keepdims=True) - by_a).max() <= (4 + 1) / 2
    assert np.abs(cells.sum(axis=0, keepdims=True) - by_b).max() <= (3 + 1) / 2
    assert np.abs(cells.sum() - whole).max() <= (12 + 1) / 2
    assert all(np.abs(made - exact).max() <= 0.5 for made, exact in zip((cells, by_a, by_b, whole), fitted, strict=True))


def declared(*, nullable: bool = False) -> Catalogue:
    """The visits, their public keys never NULL."""
    snapshots = []
    for snapshot in CATALOGUE.values():
        columns = tuple(
            column.model_copy(update={"nullable": nullable}) if column.name in ("city", "year") else column
            for column in snapshot.dataset.columns
        )
        snapshots.append(Snapshot(dataset=snapshot.dataset.model_copy(update={"columns": columns}), version=1, digest="0" * 64))
    return Catalogue(tuple(snapshots))


def compiled(sets: str, catalogue: Catalogue | None = None, **ask: Any) -> Plan:
    return compile_job(SQL + sets, declared() if catalogue is None else catalogue, Ask.model_validate({"privacy": {"rho": "1"}, **ask}))


def test_sets_of_a_query_are_tied_where_no_row_can_be_missing() -> None:
    assert [len(of.parts) for of in compiled("ROLLUP (city, year)").lattices] == [3]
    assert [len(of.parts) for of in compiled("CUBE (year, city)").lattices] == [4]
    assert [of.sets for of in compiled("GROUPING SETS ((year), (city, year), (city))").lattices] == [((0,), (0, 1), (1,))]
    assert compiled("ROLLUP (city, year)", CATALOGUE).lattices == ()  # a NULL city is in the total, and in no city
    private = "SELECT COUNT(*) AS n FROM visits GROUP BY ROLLUP (city, dept)"  # private keys are left out when few
    assert [of.parts for of in compile_job(private, declared(), Ask.model_validate({"privacy": {"rho": "1"}})).lattices] == [(1, 2)]
    mixed = compile_job(SQL + "GROUPING SETS ((city, year), (city, dept), (city))", declared(), Ask.model_validate({"privacy": {"rho": "1"}}))
    assert [of.parts for of in mixed.lattices] == [(0, 2)]
    joined = "SELECT h.level, city, COUNT(*) AS n FROM visits v LEFT JOIN hospitals h ON h.hospital = v.hospital GROUP BY ROLLUP (city, level)"
    assert [of.sets for of in compile_job(joined, declared(), Ask.model_validate({"privacy": {"rho": "1"}})).lattices] == [((0,), ())]


def test_half_widths_are_those_after_it_and_it_is_said() -> None:
    tied, loose = compiled("ROLLUP (city, year)"), compiled("ROLLUP (city, year)", declared(nullable=True))
    assert [output.mechanism for output in tied.outputs if output.label == "n"] == ["discrete Gaussian, made to add up"]
    assert [output.mechanism for output in loose.outputs if output.label == "n"] == ["discrete Gaussian"]
    (of,) = tied.lattices
    finest = math.sqrt(variance_after(of, 0, 0) + 0.25)
    assert math.sqrt(of.variances[0][0]) > finest
    assert f'{float(discrete_half_width(finest))}e0 AS "x5"' in tied.finish_sql
    assert "add up" in " ".join(explain(tied)["en"])  # type: ignore[arg-type]
    assert "add up" not in " ".join(explain(loose)["en"])  # type: ignore[arg-type]
    assert tied.digest != loose.digest


@pytest.mark.parametrize("pure", [False, True])
def test_an_answer_adds_up_and_is_nearer_to_the_truth(*, pure: bool) -> None:
    """Of 240 rows in 12 cells, noised 250 times: sums agree in every answer, half-widths hold, and errors are smaller than without it."""
    sql = "SELECT city, year, COUNT(*) AS n FROM visits GROUP BY ROLLUP (city, year)"
    ask = Ask.model_validate({"privacy": {"epsilon": "1", "delta": "0"} if pure else {"rho": "0.05"}})
    rng = np.random.default_rng(3)
    errors: dict[str, list[float]] = {"tied": [], "loose": []}
    inside = asked = 0
    for name, catalogue in (("tied", declared()), ("loose", declared(nullable=True))):
        plan = compile_job(sql, catalogue, ask)
        for _ in range(250):
            drawn = []
            for part in plan.parts:
                keys = wire.product(part.keys) if part.keys else pa.table({})
                size = wire.product_size(part.keys)
                noise = (rng.laplace if pure else rng.normal)(0, part.draws[0].scale, size)
                drawn.append(NoisyTable.of(part, keys, {"t0": [int(value) for value in np.rint(240 // size + noise)]}))
            rows = finish(plan, drawn).table.to_pylist()
            found = {(row["city"], row["year"]): row["n"] for row in rows}
            true = {key: 240 // (3 if key[0] else 1) // (4 if key[1] else 1) for key in found}
            assert len(found) == 12 + 3 + 1
            errors[name] += [(found[key] - true[key]) ** 2 for key in true]
            if name == "tied":
                cities = {key[0] for key in found} - {None}
                assert all(sum(n for key, n in found.items() if key[0] == c and key[1] is not None) == found[c, None] for c in cities)
                assert sum(found[c, None] for c in cities) == found[None, None]
                asked += len(rows)
                inside += sum(abs(row["n"] - true[row["city"], row["year"]]) <= row["n__half_width"] for row in rows)
    assert 0.94 * asked <= inside <= 0.985 * asked
    assert np.mean(errors["tied"]) < 0.97 * np.mean(errors["loose"])


def test_tables_wait_until_every_set_is_drawn() -> None:
    of = lattice(ROLLUP, (1, 1), (1.0, 1.0, 1.0))
    drawn = [pa.table({"t0": [3]}), pa.table({"t0": [6]}), pa.table({"t0": [9]})]
    assert consistent([of], drawn[:2]) == drawn[:2]
    assert [table.column("t0").to_pylist() for table in consistent([of], drawn)] == [[6], [6], [6]]
