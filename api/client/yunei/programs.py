"""Programs for their authors: a folder to begin with, and a trial on invented rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from yunei.said import Said
from yunei.transport import Http
from yunei.words import Language

MANIFEST = """\
name = "{name}"
version = "0.1"
title = {{zh = "{name}", en = "{name}"}}
entry = "main.py:run"
mode = "{mode}"        # blocks: called on blocks of many units; units: called on the rows of one unit
rows = "pandas"        # or "arrow"

# Values that a job gives. A number needs a range, a text its choices.
# [[parameters]]
# name = "months"
# type = "integer"
# title = {{zh = "月数", en = "months"}}
# low = 1
# high = 24

# Numbers that leave. The narrower the range, the less noise: what lies outside counts as its nearer end.
[[outputs]]
name = "mean"
title = {{zh = "平均值", en = "mean"}}
low = 0
high = 100
"""
MAIN = '''\
"""{name}: called as run(rows, parameters) in a fresh process, without network, files or clock."""

import pandas as pd


def run(rows: pd.DataFrame, parameters: dict) -> dict:
    """`rows`: the columns that the job names, and the unit's, whose values mean nothing outside this call."""
    column = next(name for name in rows.columns if name != rows.columns[-1])
    return {{"mean": rows[column].mean()}}
'''
REQUEST = """\
# The body of a job of kind "program": yunei job check --request run.toml --licence … --scenario …
kind = "program"
program = ""           # the digest that submit told
combine = "mean"       # blocks: mean, median, winsorised; units: mean, sum
seconds = 1            # that one call may take: the schedule follows from it

[[tables]]
dataset = ""
columns = []

[parameters]

[privacy]
rho = "0.1"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Said):
    """One call on invented rows. `values` in order of the outputs, None for what was no finite number; all None: no frame came back. `text`:
    what it wrote and raised."""

    rows: int
    values: tuple[float | None, ...] | None
    text: str

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        values = data["values"]
        return cls(data=data, rows=int(data["rows"]), values=None if values is None else tuple(values), text=str(data["text"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Said):
    """`digest`: what the package would be registered as; `explanation`: what a run with this request would be."""

    digest: str
    outputs: tuple[str, ...]
    calls: tuple[Call, ...]
    explanation: Mapping[str, Any]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        calls = tuple(Call.read(each, language) for each in data["calls"])
        return cls(data=data, digest=str(data["digest"]), outputs=tuple(data["outputs"]), calls=calls, explanation=data["explanation"])


def new_program(folder: str | Path, *, name: str | None = None, mode: str = "blocks") -> list[Path]:
    """Write a program to begin with: `program.toml`, `main.py`, `run.toml`. FileExistsError when one of them is there."""
    root = Path(folder)
    named = name or root.resolve().name
    files = {
        root / "program.toml": MANIFEST.format(name=named, mode=mode),
        root / "main.py": MAIN.format(name=named),
        root / "run.toml": REQUEST,
    }
    for path in files:
        if path.exists():
            raise FileExistsError(17, "exists", str(path))
    root.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def tested(http: Http, package: bytes, run: Mapping[str, Any], language: Language) -> Trial:
    """`run`: a job's request; what only a job has (kind, licence, scenario, program) is left out."""
    asked = {name: value for name, value in run.items() if name not in ("kind", "licence", "scenario", "program")}
    body = {"package": base64.b64encode(package).decode(), "run": asked}
    return Trial.read(http.json("POST", "/v1/programs/test", body=body, extra_s=120.0), language)
