"""What a cell's zygote does with the libraries before any block: shipped beside it, called once.

To import is not enough: pandas imports parts of itself at the first `groupby`, numpy its random numbers when they are first named. What is
not there before the fork is loaded again in every block, and pages first written to after it are copied in every block.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

SCIPY = ("scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats")
SKLEARN = ("cluster", "ensemble", "linear_model", "model_selection", "pipeline", "preprocessing", "tree")


def load(libraries: Sequence[str], shape: str) -> None:
    """pyarrow and numpy always, to read blocks with; the rest where the program names them."""
    importlib.import_module("numpy.random")
    arrow = importlib.import_module("pyarrow")
    for name in ("pyarrow.compute", "pyarrow.ipc", "numpy.linalg", "numpy.fft"):
        importlib.import_module(name)
    arrow.set_cpu_count(1)
    table = arrow.table({"a": [1, 2, 3], "b": [0.5, 1.5, None], "c": ["x", "y", "x"]})
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    read = arrow.ipc.open_stream(sink.getvalue()).read_all()
    arrow.compute.sum(read["a"])
    read["a"].to_numpy()
    importlib.import_module("numpy").asarray([[2.0, 1.0], [1.0, 3.0]]).dot([1.0, 1.0])
    importlib.import_module("numpy.linalg").solve([[2.0, 1.0], [1.0, 3.0]], [1.0, 1.0])
    if "pandas" in libraries or shape == "pandas":
        _load_pandas(read)
    if "scipy" in libraries:
        for name in SCIPY:
            importlib.import_module(name)
    if "sklearn" in libraries:
        for name in SKLEARN:
            importlib.import_module(f"sklearn.{name}")


def _load_pandas(read: Any) -> None:
    pandas = importlib.import_module("pandas")
    rows = read.to_pandas(use_threads=False)
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
