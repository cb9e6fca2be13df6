"""What a cell's zygote does with the libraries before any block: shipped beside it, called once.

To import is not enough: pandas imports parts of itself at the first `groupby`, numpy its random numbers when they are first named. What is
not there before the fork is loaded again in every block, and pages first written to after it are copied in every block.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

SCIPY = ("scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats")
SKLEARN = ("cluster", "ensemble", "linear_model", "model_selection", "pipeline", "preprocessing", "tree")


def stop_clocks() -> None:
    """Libraries that note when they began would fail without a clock; with one that stands still they work. The kernel refuses whoever looks
    for a better one."""
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: 0.0)
        setattr(time, f"{name}_ns", lambda: 0)
    time.sleep = lambda _seconds: None


def one_thread(arrow: Any) -> None:
    """pyarrow asks for threads where it may have none: what converts and what runs plans is called without. Both are methods of classes in C,
    whose own dict takes what the class does not."""
    executed = importlib.import_module("pyarrow.acero").Declaration
    for owner, name in ((arrow.lib._PandasConvertible, "to_pandas"), (executed, "to_table")):
        original = getattr(owner, name)
        gc.get_referents(owner.__dict__)[0][name] = _alone(original)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


def _alone(original: Any) -> Any:
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        return original(self, *arguments, **{**named, "use_threads": False})

    call.__doc__ = original.__doc__
    return call


class Absent:
    """Stands in the way of a library that the program does not name. pyarrow looks for pandas at its first array and loads it wherever it is
    found; a fork with it takes twice as long."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.partition(".")[0] == self._name:
            raise ModuleNotFoundError(f"{self._name} is not among the libraries that the program imports", name=fullname)


def load(libraries: Sequence[str], shape: str) -> None:
    """pyarrow and numpy always, to read blocks with; the rest where the program names them."""
    pandas = "pandas" in libraries or shape == "pandas"
    if not pandas:
        sys.meta_path.insert(0, Absent("pandas"))
    importlib.import_module("numpy.random")
    arrow = importlib.import_module("pyarrow")
    for name in ("pyarrow.compute", "pyarrow.ipc", "numpy.linalg", "numpy.fft"):
        importlib.import_module(name)
    arrow.set_cpu_count(1)
    one_thread(arrow)
    table = arrow.table({"a": [1, 2, 3], "b": [0.5, 1.5, None], "c": ["x", "y", "x"]})
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    read = arrow.ipc.open_stream(sink.getvalue()).read_all()
    arrow.compute.sum(read["a"])
    read["a"].to_numpy()
    read.group_by("c").aggregate([("a", "sum")])
    importlib.import_module("numpy").asarray([[2.0, 1.0], [1.0, 3.0]]).dot([1.0, 1.0])
    importlib.import_module("numpy.linalg").solve([[2.0, 1.0], [1.0, 3.0]], [1.0, 1.0])
    if pandas:
        _load_pandas(read)
    if "scipy" in libraries:
        for name in SCIPY:
            importlib.import_module(name)
    if "sklearn" in libraries:
        _load_sklearn()


def _load_sklearn() -> None:
    """threadpoolctl looks through /proc once, which is gone by the time of the first block."""
    used = {name: importlib.import_module(f"sklearn.{name}") for name in SKLEARN}
    columns, values = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    used["cluster"].KMeans(2, n_init=1).fit(columns)
    used["linear_model"].LogisticRegression().fit(columns, values)
    used["linear_model"].LinearRegression().fit(columns, values)
    used["ensemble"].HistGradientBoostingRegressor(max_iter=1).fit(columns, values)
    used["ensemble"].RandomForestRegressor(n_estimators=1).fit(columns, values)


def _load_pandas(read: Any) -> None:
    pandas = importlib.import_module("pandas")
    rows = read.to_pandas()
    rows.groupby("c").agg({"a": "sum", "b": "mean"}).reset_index()
    rows.groupby("c")["b"].median().sort_values()
    rows.describe()
    rows.merge(rows, on="c").sort_values("a_x")
    rows.assign(day=pandas.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])).set_index("day").resample("D")["a"].sum()
    rows.pivot_table(index="c", values="b", aggfunc="mean")
    rows["b"].rolling(2).mean().quantile(0.5)
    pandas.cut(rows["a"], 2).value_counts()
    pandas.get_dummies(rows["c"])
    repr(rows)
