"""The job of kind `synthetic` from exact marginals to what is released, and the same over invented rows."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from policies.catalogue import Catalogue
from sandbox.dummy import invented
from sandbox.finish.finish import Released, ReleasedColumn
from sandbox.noise.marginals import Looks
from sandbox.plan.synthetic import Attribute, SyntheticPlan
from sandbox.raw.failure import JOB_FAILED
from sandbox.raw.marginals import ExactMarginals, marginals_of_table
from sandbox.synthetic.adapt import adapted
from sandbox.synthetic.plots import picture
from sandbox.synthetic.report import quality
from sandbox.synthetic.rows import synthetic_rows

MECHANISM = "synthetic"
QUALITY, PLOTS = "quality.json", "quality.svg"  # staged beside the table
DUMMY_ROWS = 20_000
MOST_DUMMY_ROWS = 200_000


def synthesised(plan: SyntheticPlan, totals: ExactMarginals, chance: np.random.Generator) -> Released:
    """Measure, fit, draw rows, and say how good they are. Called once per charge. Raises `plan_price_disagrees` before the totals are touched,
    `job_failed`, constant, after."""
    looks = Looks(plan, totals)
    try:
        fit = adapted(plan, looks)
        table, levels = synthetic_rows(plan, fit.model, chance)
        report = quality(plan, fit.measured, levels, fit.model.total)
        papers = {QUALITY: report.as_json(), PLOTS: picture(report).encode()}
        return Released(table, tuple(map(_column, plan.attributes)), papers)
    except Exception:
        failed = JOB_FAILED()
    raise failed  # outside the handler: no traceback keeps what was in hand


def _column(attribute: Attribute) -> ReleasedColumn:
    """`scale`: how far a number stands from the middle of its bin, as a standard deviation, in the narrowest bin: where it stands is chance."""
    low = high = scale = None
    if attribute.starts and attribute.type not in ("date", "timestamp"):
        grain = 10**attribute.decimals
        low, high = attribute.starts[0] / grain, (attribute.starts[-1] - 1) / grain
        scale = min(after - before for before, after in pairwise(attribute.starts)) / grain / math.sqrt(12)
    return ReleasedColumn(attribute.column, "value", MECHANISM, scale, low, high, None)


def dummy_synthetic(plan: SyntheticPlan, catalogue: Catalogue, *, seed: int = 0) -> Released:
    """What the job would look like over rows invented from the catalogue: the same noise at the same price, free."""
    rows = min(MOST_DUMMY_ROWS, max(DUMMY_ROWS, catalogue[plan.scan.dataset].dataset.approximate_rows))
    table = invented(plan.scan, plan.uses, catalogue, rows, seed)
    return synthesised(plan, marginals_of_table(plan, table, seed), np.random.default_rng(seed))


def explain(plan: SyntheticPlan) -> dict[str, Any]:
    """The quote's explanation: JSON-ready, with a sentence list in each language."""
    pairs = sum(len(columns) > 1 for columns in plan.candidates)
    cells = sum(plan.cells(columns) for columns in plan.candidates)
    zh = [
        f"由 {len(plan.attributes)} 列合成一张表；每个隐私单元至多计 {plan.rows_per_unit} 行，多出的按密钥哈希舍去。",
        f"先测每一列的分布，再在 {pairs} 组联合分布中逐轮选取模型误差最大的一组加噪测量，直至用完预留的预算；未用完的不退。",
        "只有测过的分布有保证；合成的行不对应任何真实的行。质量报告只与加噪测量比较，不另花预算。",
    ]
    en = [
        f"One table of {len(plan.attributes)} columns; at most {plan.rows_per_unit} rows of a unit count, "
        "chosen by a keyed hash where it has more.",
        f"Every column is measured, then round by round the one of {pairs} joint distributions that the model gets most wrong, "
        "with noise, until the loss reserved is used up; what is left stays charged.",
        "Only what was measured is vouched for; no row is anyone's. The quality report compares with noisy measurements alone "
        "and costs nothing.",
    ]
    levels = [{"column": one.column, "levels": one.size, "null": one.nullable} for one in plan.attributes]
    bounds = {"rows_per_unit": plan.rows_per_unit}
    return {"zh": zh, "en": en, "columns": levels, "marginals": len(plan.candidates), "cells": cells, "bounds": bounds}
