"""What an analyst would ask, and – for the demo's right-hand column only – what the true answer is.

Nobody but a demo on open data can print a true value: the product has no way to. `truth` is computed here with pandas from the open
source files, by the key the answer's first column shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

Frames = Mapping[str, pd.DataFrame]
Truth = Callable[[Frames], dict[object, tuple[float, ...]]]


@dataclass(frozen=True, slots=True)
class Question:
    """`truth` gives, per key, the true values in the order of the answer's value columns."""

    zh: str
    en: str
    scenario: str
    sql: str
    truth: Truth
    bounds: Mapping[str, Any] = field(default_factory=dict)  # what the analyst narrows: ranges, groups_per_unit, rows_per_group


def by(frame: pd.DataFrame, key: str, **columns: tuple[str, str]) -> dict[object, tuple[float, ...]]:
    grouped = frame.groupby(key).agg(**columns)
    return {key: tuple(float(value) for value in row) for key, row in zip(grouped.index, grouped.itertuples(index=False), strict=True)}


def _patients(frames: Frames) -> dict[object, tuple[float, ...]]:
    return by(frames["nafld1"], "male", patients=("id", "size"), mean_bmi=("bmi", "mean"), mean_age=("age", "mean"))


def _diagnoses(frames: Frames) -> dict[object, tuple[float, ...]]:
    return by(frames["nafld3"], "event", patients=("id", "nunique"))


def _delays(frames: Frames) -> dict[object, tuple[float, ...]]:
    joined = frames["flights"].dropna(subset=["tailnum"]).merge(frames["airlines"], on="carrier")
    return by(joined, "name", aircraft=("tailnum", "nunique"), delay=("dep_delay", "mean"))


def _destinations(frames: Frames) -> dict[object, tuple[float, ...]]:
    return by(frames["flights"].dropna(subset=["tailnum"]), "dest", aircraft=("tailnum", "nunique"))


QUESTIONS = (
    Question(
        "按性别统计患者人数、平均体重指数和平均入组年龄（键公开：两个性别都会列出）",
        "Patients, mean body mass index and mean age by sex (public keys: both are listed)",
        "chronic-disease",
        "SELECT male, COUNT(*) AS patients, AVG(bmi) AS mean_bmi, AVG(age) AS mean_age\nFROM nafld1 GROUP BY male ORDER BY male",
        _patients,
        {"ranges": {"bmi": ("15", "60")}},
    ),
    Question(
        "每种诊断涉及多少患者（一名患者可计入多种诊断）",
        "How many patients have each diagnosis (one patient may count towards several)",
        "chronic-disease",
        "SELECT event, COUNT(DISTINCT id) AS patients\nFROM nafld3 GROUP BY event ORDER BY patients DESC",
        _diagnoses,
    ),
    Question(
        "各航空公司的航空器数量和平均起飞延误（与公开的航空公司代码表关联）",
        "Aircraft and mean departure delay by airline (joined with the public table of airlines)",
        "flight-operations",
        "SELECT a.name, COUNT(DISTINCT f.tailnum) AS aircraft, AVG(f.dep_delay) AS mean_delay\n"
        "FROM flights f JOIN airlines a ON f.carrier = a.carrier\nGROUP BY a.name ORDER BY aircraft DESC",
        _delays,
        {"groups_per_unit": 2, "rows_per_group": 10, "ranges": {"dep_delay": ("-30", "180")}},
    ),
    Question(
        "每个目的地有多少架航空器飞往（键不公开：航空器过少的目的地不予显示）",
        "How many aircraft fly to each destination (private keys: destinations with too few are not shown)",
        "flight-operations",
        "SELECT dest, COUNT(DISTINCT tailnum) AS aircraft\nFROM flights GROUP BY dest ORDER BY aircraft DESC LIMIT 8",
        _destinations,
    ),
)

REFUSED = "SELECT tailnum, COUNT(*) AS flights FROM flights GROUP BY tailnum"
BEYOND_BUDGET = "SELECT origin, COUNT(*) AS flights FROM flights GROUP BY origin"
