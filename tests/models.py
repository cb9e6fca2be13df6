"""Data for models: persons with features that mean something, others that keep to no declaration, and requests over them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from policies.catalogue import Bounds, Catalogue, Column, Dataset, Share, Snapshot, Title, Unit
from sandbox.finish.finish import Released
from sandbox.fit_steps import DrawStep, fitted
from sandbox.noise.fit import draw_step
from sandbox.plan.fit.ask import FitAsk
from sandbox.plan.fit.compile import compile_fit
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw.fit_rows import Prepared, prepared
from sandbox.raw.fit_run import added
from sandbox.raw.fit_units import shard_sums
from sandbox.raw.totals import ExactTotals

WORDS = Title(zh="示例", en="example")
GROUPS = ("a", "b", "c{")
COLUMNS = (
    Column(name="u", type="integer", title=WORDS, uses=("filter",)),
    Column(name="x", type="number", title=WORDS, low=-2, high=3, decimals=4),
    Column(name="w", type="integer", title=WORDS, low=0, high=100),
    Column(name="y", type="number", title=WORDS, low=-10, high=10, decimals=3),
    Column(name="b", type="boolean", title=WORDS),
    Column(name="n", type="integer", title=WORDS, low=0, high=20),
    Column(name="r", type="text", title=WORDS, domain=GROUPS),
    Column(name="born", type="date", title=WORDS),
    Column(name="open", type="number", title=WORDS),
)
TRUE = {"linear": (1.5, 2.0, -0.03), "logistic": (-1.0, 0.8, 0.01), "poisson": (0.2, 0.4, 0.004)}
TARGETS = {"linear": "y", "logistic": "b", "poisson": "n"}


def catalogue(rows_per_unit: int | None = 1, *, rows_per_group: int = 5, rows: int = 10_000) -> Catalogue:
    people = Dataset(
        name="people",
        title=WORDS,
        registration_no="-",
        source_body=WORDS,
        acquired_on=date(2026, 1, 1),
        updated_on=date(2026, 1, 1),
        grade="general-1",
        share=Share(attribute="unconditional", reason=WORDS, basis="-"),
        unit=Unit(column="u", space="person", title=WORDS),
        bounds=Bounds(groups_per_unit=3, rows_per_group=rows_per_group, rows_per_unit=rows_per_unit),
        approximate_rows=rows,
        columns=COLUMNS,
    )
    areas = people.model_copy(update={"name": "areas", "unit": None, "bounds": None, "columns": COLUMNS[6:7]})
    return Catalogue((Snapshot(dataset=people, version=1, digest="0" * 64), Snapshot(dataset=areas, version=1, digest="1" * 64)))


def asked(model: str, **changes: Any) -> FitAsk:
    """A request; keyword arguments replace its fields."""
    base: dict[str, Any] = {
        "model": model,
        "source": "people",
        "features": [{"name": "x"}, {"name": "w"}],
        "privacy": {"rho": "0.1"},
    }
    more: dict[str, Any] = {"clusters": 3} if model == "kmeans" else {"target": {"name": TARGETS[model]}}
    return FitAsk.model_validate({**base, **more, **changes})


def plan_of(model: str, rows: int | None = 1, **changes: Any) -> FitPlan:
    """`rows`: how many of one person the catalogue declares."""
    return compile_fit(asked(model, **changes), catalogue(rows))


def people(count: int, seed: int = 1, rows: int = 1) -> pa.Table:
    """Rows that follow TRUE, `rows` of each person."""
    draw = np.random.default_rng(seed)
    x = np.round(np.clip(draw.normal(0.5, 0.8, count), -2, 3), 4)
    w = draw.integers(0, 101, count)
    linear = {name: a + b * x + c * w for name, (a, b, c) in TRUE.items()}
    return pa.table(
        {
            "u": np.arange(count) // rows,
            "x": x,
            "w": w,
            "y": np.round(np.clip(linear["linear"] + draw.normal(0, 1, count), -10, 10), 3),
            "b": draw.random(count) < 1 / (1 + np.exp(-linear["logistic"])),
            "n": np.clip(draw.poisson(np.exp(linear["poisson"])), 0, 20),
            "r": pa.array(draw.choice(GROUPS, count)),
            "born": pa.array([date(2000, 1, 1)] * count),
            "open": draw.normal(size=count),
        }
    )


def wild(seed: int, persons: int, most_rows: int) -> pa.Table:
    """Rows that keep to no declared range: NULL, NaN, infinities, ends, values far outside, units of none, one and many rows."""
    draw = random.Random(seed)
    floats: Sequence[float | None] = (None, float("nan"), float("inf"), float("-inf"), -0.0, 1e300, -1e300, 5e-324, -2.0, 3.0, 0.5, 1.23456)
    whole: Sequence[int | None] = (None, 0, 1, 20, 50, 100, 101, -1, 2**62, -(2**62))
    units = [unit for unit in range(persons) for _ in range(draw.choice((1, 1, 2, most_rows)))]
    draw.shuffle(units)

    def of(choices: Sequence[Any], plain: Callable[[], Any]) -> list[Any]:
        return [draw.choice(choices) if draw.random() < 0.4 else plain() for _ in units]

    return pa.table(
        {
            "u": pa.array([None if draw.random() < 0.02 else unit for unit in units], pa.int64()),
            "x": pa.array(of(floats, lambda: draw.uniform(-3, 4)), pa.float64()),
            "w": pa.array(of(whole, lambda: draw.randint(-5, 105)), pa.int64()),
            "y": pa.array(of(floats, lambda: draw.uniform(-12, 12)), pa.float64()),
            "b": pa.array(of((None, True), lambda: draw.random() < 0.3), pa.bool_()),
            "n": pa.array(of(whole, lambda: draw.randint(0, 25)), pa.int64()),
            "r": pa.array(of((None, "", "d", "'"), lambda: draw.choice(GROUPS)), pa.string()),
            "born": pa.array([date(2000, 1, 1)] * len(units)),
            "open": pa.array(of(floats, draw.random), pa.float64()),
        }
    )


def scanned(plan: FitPlan, table: pa.Table) -> Mapping[str, pa.Table]:
    return {scan.alias: table.select(list(scan.columns)) for scan in plan.scans}


def summed(plan: FitPlan, place: int, parameters: Sequence[int], rows: Prepared) -> ExactTotals:
    return added(plan, place, iter([shard_sums(plan, plan.steps[place], parameters, rows)]))


def run(plan: FitPlan, table: pa.Table, draw: DrawStep = draw_step) -> Released:
    """All steps over one table."""
    rows = prepared(plan, scanned(plan, table))
    return fitted(plan, summed(plan, 0, plan.start, rows), lambda place, parameters: summed(plan, place, parameters, rows), draw)
