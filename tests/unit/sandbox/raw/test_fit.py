"""Steps of models behind the wall: integers that neither order nor shards can change, exact clipping, curves."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers, Workers
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.plan.fit.compile import compile_fit
from sandbox.plan.fit.curves import POINTS, curve_table
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw import fit_units, kept, run
from sandbox.raw.fit_rows import PreparedCache, prepared
from sandbox.raw.fit_run import check_fit_plan, exact_step, step_of_tables
from sandbox.raw.fit_units import BLOCK_ROWS, Block, clipped, on_curve, shard_sums
from sandbox.raw.ingest import ingest
from tests.models import asked, catalogue, people, plan_of, scanned, wild

MODELS = ("linear", "logistic", "poisson", "kmeans")
FEATURES = [{"name": "x", "missing": 1}, {"name": "w"}, {"name": "r", "categories": "declared"}]


def sums(plan: FitPlan, table: pa.Table) -> list[list[int]]:
    rows = prepared(plan, scanned(plan, table))
    return [shard_sums(plan, step, plan.start, rows) for step in plan.steps]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("clip", [None, "0.4"])
def test_any_order_and_any_shards_give_the_same_vector(model: str, clip: str | None) -> None:
    plan = plan_of(model, None, features=FEATURES, clip=clip)
    table = wild(5, 60, 6)
    whole = sums(plan, table)
    assert any(any(vector) for vector in whole)
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    assert sums(plan, shuffled) == whole
    for shards in (7, 64):
        at = np.array([hash((unit, 3)) % shards for unit in table["u"].to_pylist()])
        parts = [sums(plan, table.filter(pa.array(at == shard))) for shard in range(shards)]
        assert [[sum(values) for values in zip(*step, strict=True)] for step in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("model", MODELS)
def test_what_is_skipped_for_units_of_one_row_changes_nothing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(model, features=FEATURES)
    table = people(3000)
    quick = sums(plan, table)
    monkeypatch.setattr(fit_units, "_AT_ONCE", {})
    assert sums(plan, table) == quick
    made = Block.__init__

    def several(self: Block, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]  # as they come
        self.alone = False

    monkeypatch.setattr(Block, "__init__", several)
    assert sums(plan, table) == quick


@pytest.mark.parametrize("model", MODELS)
def test_blocks_of_any_size_give_the_same_vector(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(model, None, features=FEATURES)
    table = wild(9, 40, 6)
    whole = sums(plan, table)
    for size in (1, 2, 37):
        monkeypatch.setattr(fit_units, "BLOCK_ROWS", size)
        assert sums(plan, table) == whole


def test_products_of_a_block_are_exact_in_doubles() -> None:
    """The bounds that exactness rests on, at their worst."""
    plan = plan_of("logistic", features=[{"name": f"f{place}", "expression": "x"} for place in range(50)])
    rows = BLOCK_ROWS
    ends = np.where(np.arange(rows)[:, None] % 3 == 0, -(2**16), 2**16).astype(np.int64).repeat(50, axis=1)
    block = Block(plan, ends, np.full(rows, 2**20), np.arange(rows), [60 * 2**20] * 51)
    assert block.eta().tolist() == (block.design @ np.array(block.parameters)).tolist()
    assert (block.residuals() @ block.design).tolist() == fit_units._gradient_at_once(block).tolist()
    coarse, weight = block.curvature()
    assert ((coarse * weight[:, None]).T @ coarse)[np.triu_indices(51)].tolist() == fit_units._hessian_at_once(block).tolist()
    moments = Block(plan_of("linear", features=[{"name": "x"}] + [{"name": f"f{n}", "expression": "x"} for n in range(49)]), ends,
                    np.full(rows, -(2**16)), np.arange(rows), [0, 16])  # fmt: skip
    assert (moments.moment.T @ moments.moment)[np.triu_indices(52)].tolist() == fit_units._moments_at_once(moments).tolist()


def test_clipping_holds_the_cap_exactly_and_leaves_short_vectors_alone() -> None:
    draw = np.random.default_rng(1)
    for cap in (3, 1000, 2**24 + 1, 2**40):
        vectors = np.concatenate([draw.integers(-cap * 2, cap * 2, (400, 5)), draw.integers(-cap // 5 - 1, cap // 5 + 1, (200, 5))])
        vectors = np.concatenate([vectors, np.array([[2**62, -(2**62), 0, 1, -1], [cap, 0, 0, 0, 0], [0, 0, 0, 0, 0]])])
        made = clipped(vectors, cap)
        for before, after in zip(vectors.tolist(), made.tolist(), strict=True):
            was, now = sum(x * x for x in before), sum(x * x for x in after)
            assert now <= cap * cap
            if was <= (cap - (cap >> 29) - 2) ** 2:
                assert after == before
            assert all(abs(a) <= abs(b) and a * b >= 0 for a, b in zip(after, before, strict=True))
            if was > cap * cap and cap > 1000:
                assert now > (cap * 0.999) ** 2  # no more is taken than has to be


@pytest.mark.parametrize("most", [Fraction(1, 2), Fraction(20), Fraction(100_000)])
def test_curves_are_within_a_part_in_a_million(most: Fraction) -> None:
    first, points = curve_table("poisson", most)
    eta = np.linspace(math.log(most) - 20, math.log(most) + 5, 5001)
    made = on_curve(first, np.array(points), np.rint(eta * 2**36).astype(np.int64)) / 2**20
    off = np.abs(made - np.minimum(1, np.exp(eta) / float(most)))
    assert off[np.abs(eta - math.log(most)) > 1 / POINTS].max() < 2e-6 + 1 / (8 * POINTS**2)
    assert off.max() < 1 / (2 * POINTS)  # at the kink, where the target's largest value is reached between two points
    first, points = curve_table("logistic", Fraction(1))
    made = on_curve(first, np.array(points), np.rint((eta := np.linspace(-30, 30, 5001)) * 2**36).astype(np.int64)) / 2**20
    assert np.abs(made - 1 / (1 + np.exp(-eta))).max() < 2e-6
    assert points[0] == 0
    assert points[-1] == 2**20
    assert list(points) == sorted(points)


def test_rows_without_a_value_are_left_out_or_filled() -> None:
    table = people(4).set_column(1, "x", pa.array([None, float("nan"), 0.5, 9.0]))
    dropped = prepared(plan_of("linear"), scanned(plan_of("linear"), table))
    assert dropped.features[:, 0].tolist() == [0, 2**16]  # the middle, and the end that 9 counts as
    plan = plan_of("linear", features=[{"name": "x", "missing": -2}, {"name": "w"}])
    assert prepared(plan, scanned(plan, table)).features[:, 0].tolist() == [-(2**16), -(2**16), 0, 2**16]


def test_rows_of_no_category_are_left_out() -> None:
    table = people(4).set_column(6, "r", pa.array(["a", "c{", "z", None]))
    plan = plan_of("linear", features=[{"name": "x"}, {"name": "r", "categories": "declared"}])
    assert prepared(plan, scanned(plan, table)).features[:, 1:].tolist() == [[-(2**16), -(2**16)], [-(2**16), 2**16]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, Catalogue, pa.Table]:
    folder = tmp_path_factory.mktemp("models")
    table = people(4000, rows=2)
    pq.write_table(table, folder / "people.parquet")
    declared = catalogue(2, rows=4000)["people"].dataset
    vault = Vault(folder / "vault", bytes(32))
    given = {"vault": vault, "version": 1, "catalogue_public": Catalogue(()), "random": os.urandom, "shard_rows": 300}
    report = ingest(declared, [folder / "people.parquet"], **given)  # type: ignore[arg-type]  # named by tests
    return vault, Catalogue((report.snapshot,)), table


@pytest.mark.parametrize("model", MODELS)
def test_workers_over_stored_shards_give_what_one_table_gives(
    model: str, stored: tuple[Vault, Catalogue, pa.Table], workers: Workers, inline_workers: InlineWorkers
) -> None:
    vault, known, table = stored
    plan = compile_fit(asked(model, features=FEATURES[:2]), known)
    assert len(vault.open("people", 1).parts) > 7
    for place in range(len(plan.steps)):
        once = step_of_tables(plan, place, plan.start, scanned(plan, table)).table
        assert exact_step(plan, place, plan.start, vault, inline_workers).table == once
        if place < 2:
            assert exact_step(plan, place, plan.start, vault, workers).table == once


def test_rows_kept_for_the_next_step_are_the_oldest_to_go() -> None:
    plan = plan_of("linear")
    made = prepared(plan, scanned(plan, people(100)))
    cache = PreparedCache()
    for name in "abc":
        cache.keep(name, made, 2 * made.nbytes)
    assert [name for name in "abc" if cache.get(name) is not None] == ["b", "c"]
    assert cache.nbytes == 2 * made.nbytes


def test_rows_kept_for_the_next_step_leave_less_room_for_columns(stored: tuple[Vault, Catalogue, pa.Table]) -> None:
    vault, known, _ = stored
    plan = compile_fit(asked("linear"), known)
    (sources, *_) = run.sources_of(plan.scans, vault)
    run._cache.clear()
    room = 10**6
    run.decrypted(sources[0], room)
    assert 0 < run._cache.nbytes <= room
    kept.beside.append(lambda: room)
    try:
        run._cache.clear()
        run.decrypted(sources[0], room)
        assert run._cache.nbytes == 0
    finally:
        kept.beside.pop()


def test_failures_behind_the_wall_are_constant_and_totals_say_nothing() -> None:
    plan = plan_of("linear")
    with pytest.raises(Problem, match="job_failed") as failed:
        step_of_tables(plan, 0, plan.start, {"s0": pa.table({"u": [1]})})
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
    assert "redacted" in repr(step_of_tables(plan, 0, plan.start, scanned(plan, people(5))))


def test_duckdb_reads_the_rows_as_the_plan_says() -> None:
    for model in MODELS:
        check_fit_plan(plan_of(model, None, features=FEATURES))
    plan = plan_of("linear")
    for sql in (
        plan.rows_sql.replace("SELECT u,", "SELECT 1 AS u,", 1),
        "SELECT count(*) AS u, 1::BIGINT AS f0, 1::BIGINT AS f1, 1::BIGINT AS f2 FROM s0",
        "SELECT u FROM s0",
    ):
        with pytest.raises(Problem, match="plan_doubted"):
            check_fit_plan(replace(plan, rows_sql=sql))
