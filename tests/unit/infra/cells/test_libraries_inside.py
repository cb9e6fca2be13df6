"""What analysts write with the locked libraries works in a cell: without clocks, threads, /proc, or files of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa
import pytest

from infra.cells.base import Cargo, Cell, Limits
from tests.cells import a_backend
from tests.unit.infra.cells.test_bwrap import package

PROGRAM = """
import datetime, random, statistics, time, uuid, warnings
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.compute as pc
from scipy import optimize, stats
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

def run(rows, parameters):
    return globals()[rows.schema.metadata[b"what"].decode()](rows, rows["x"].to_numpy(), rows["g"].to_numpy())

def to_pandas(rows, x, g): return rows.to_pandas()["x"].mean()
def arrow_groups(rows, x, g): return pc.max(rows.group_by("g").aggregate([("x", "mean")])["x_mean"]).as_py()
def arrow_filter(rows, x, g): return rows.filter(pc.field("x") > 500).num_rows
def arrow_join(rows, x, g): return rows.join(rows.select(["x"]), "x").num_rows
def pandas_groups(rows, x, g): return rows.to_pandas().groupby("g")["x"].median().max()
def pandas_days(rows, x, g): return pd.Series(1, pd.date_range("2024-01-01", periods=40)).resample("MS").sum().iloc[0]
def svd(rows, x, g): return np.linalg.svd(np.diag([3.0, 1.0]))[1][0]
def generator(rows, x, g): return 0.0 <= np.random.default_rng().random() < 1.0
def seeded(rows, x, g): return random.random() == random.Random(0).random()
def minimum(rows, x, g): return round(optimize.minimize(lambda at: (at - 3.0) ** 2, 0.0).x[0], 3)
def normal(rows, x, g): return stats.norm.cdf(0.0)
def line(rows, x, g): return round(LinearRegression().fit(x[:, None], 2.0 * x).coef_[0], 6)
def logistic(rows, x, g): return LogisticRegression().fit(x[:, None], x > 500).predict([[900.0]])[0]
def forest(rows, x, g): return RandomForestRegressor(n_estimators=3).fit(x[:, None], x * 0 + 2).predict([[1.0]])[0]
def boosted(rows, x, g): return GradientBoostingRegressor(n_estimators=3).fit(x[:, None], x * 0 + 2).predict([[1.0]])[0]
def histograms(rows, x, g): return round(HistGradientBoostingRegressor(max_iter=3).fit(x[:, None], x * 0 + 2).predict([[1.0]])[0], 6)
def clusters(rows, x, g): return len(KMeans(2, n_init=1).fit(x[:, None]).cluster_centers_)
def today(rows, x, g): return datetime.datetime.now().year
def seconds(rows, x, g): return time.time() + time.perf_counter() + time.monotonic_ns()
def names(rows, x, g): return len(str(uuid.uuid4()))
def median(rows, x, g): return statistics.median(x.tolist())
def warned(rows, x, g): warnings.warn("x"); return 1
def threads(rows, x, g):
    from concurrent.futures import ThreadPoolExecutor
    return ThreadPoolExecutor(2).submit(lambda: 1.0).result()
"""
EXPECTED = {
    "to_pandas": 499.5, "arrow_groups": 502.0, "arrow_filter": 499.0, "arrow_join": 1000.0, "pandas_groups": 502.0, "pandas_days": 31.0,
    "svd": 3.0, "generator": 1.0, "seeded": 1.0, "minimum": 3.0, "normal": 0.5, "line": 2.0, "logistic": 1.0, "forest": 2.0, "boosted": 2.0,
    "histograms": 2.0, "clusters": 2.0, "today": 1970.0, "seconds": 0.0, "names": 36.0, "median": 499.5, "warned": 1.0, "threads": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    cargo = Cargo(package(main=PROGRAM), "main:run", libraries=("numpy", "pandas", "pyarrow", "scipy", "sklearn"))
    with a_backend("bwrap").open(cargo, Limits(memory_mb=256, cpu_s=10, wall_s=20.0), talkative=True) as opened:
        yield opened


@pytest.mark.parametrize("what", EXPECTED)
def test_it_works_inside(cell: Cell, what: str) -> None:
    found, text = answered(cell, what)
    assert found == EXPECTED[what], text


LEAN = """
import sys
import numpy as np, pyarrow as pa, pyarrow.compute as pc

def run(rows, parameters):
    return globals()[rows.schema.metadata[b"what"].decode()](rows)

def columns(rows): return rows["x"].to_numpy().mean()
def made(rows): return pc.sum(pa.array([1.0, 2.0])).as_py() + pa.table({"a": [3]}).num_rows
def groups(rows): return pc.max(rows.group_by("g").aggregate([("x", "mean")])["x_mean"]).as_py()
def loaded(rows): return "pandas" in sys.modules
def converted(rows): return getattr(rows, "to_" + "pandas")()["x"].mean()
"""


@pytest.fixture(scope="module")
def lean() -> Iterator[Cell]:
    cargo = Cargo(package(main=LEAN), "main:run", libraries=("numpy", "pyarrow"))
    with a_backend("bwrap").open(cargo, Limits(memory_mb=256, cpu_s=10, wall_s=20.0), talkative=True) as opened:
        yield opened


@pytest.mark.parametrize(("what", "expected"), {"columns": 499.5, "made": 4.0, "groups": 502.0, "loaded": 0.0, "converted": None}.items())
def test_a_program_that_names_no_pandas_has_none(lean: Cell, what: str, expected: float | None) -> None:
    """pyarrow would load it at the first array: every fork would take twice as long."""
    found, text = answered(lean, what)
    assert found == expected, text
    assert expected is not None or "pandas" in text


def answered(cell: Cell, what: str) -> tuple[float | None, str]:
    rows = pa.table({"x": [float(number) for number in range(1000)], "g": [number % 7 for number in range(1000)]})
    rows = rows.replace_schema_metadata({"what": what})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    told = cell.rehearse(bytes(sink.getvalue()))
    return None if told.frame is None else struct.unpack("<d", told.frame)[0], told.text
