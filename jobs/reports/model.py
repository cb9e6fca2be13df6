"""A report as data: sections of facts, tables with typed columns, figures and notes, every text in both languages.

Numbers are decimal strings in the unit their type names, so that no reader of JSON can round them; a name that people gave is a text, what the
program says is a pair of texts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, Self

from pydantic import Field, model_validator

from policies.catalogue.base import Title
from policies.model import Model

ReportKind = Literal["disclosure", "usage", "revenue", "filing", "incident"]
# text: as it is; count; bytes; ms; fen: hundredths of a yuan; rho: 1e-12; day: YYYY-MM-DD of China; moment: RFC 3339 in UTC
CellType = Literal["text", "count", "bytes", "ms", "fen", "rho", "day", "moment"]
NUMBERS: frozenset[CellType] = frozenset({"count", "bytes", "ms", "fen", "rho"})
Cell = str | Title | None
_SHAPES: dict[CellType, re.Pattern[str]] = {
    **dict.fromkeys(NUMBERS, re.compile(r"0|[1-9][0-9]*", re.ASCII)),
    "day": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII),
}


def fits(cell: Cell, type: CellType) -> bool:
    """
    >>> fits("12", "fen"), fits("1.2", "fen"), fits(None, "count"), fits("x", "text")
    (True, False, True, True)
    """
    shape = _SHAPES.get(type)
    return cell is None or shape is None or (isinstance(cell, str) and shape.fullmatch(cell) is not None)


class Column(Model):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Title
    type: CellType = "text"


class Table(Model):
    """Cells are of their column's type, or null. `note`: what the columns do not say."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Title
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[tuple[Cell, ...], ...]
    note: Title | None = None

    @model_validator(mode="after")
    def _typed(self) -> Self:
        width = len(self.columns)
        for row in self.rows:
            if len(row) != width:
                raise ValueError(f"table {self.name}: a row has {len(row)} cells for {width} columns")
        for place, column in enumerate(self.columns):
            if column.type not in _SHAPES:
                continue
            for cell in {row[place] for row in self.rows}:
                if not fits(cell, column.type):
                    raise ValueError(f"table {self.name}: {cell!r} is no {column.type}")
        return self


class Fact(Model):
    title: Title
    value: Cell
    type: CellType = "text"

    @model_validator(mode="after")
    def _typed(self) -> Self:
        if not fits(self.value, self.type):
            raise ValueError(f"{self.value!r} is no {self.type}")
        return self


class Figure(Model):
    """Columns, one for each label."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Title
    labels: tuple[str, ...]
    values: tuple[int, ...]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.labels) != len(self.values) or min(self.values, default=0) < 0:
            raise ValueError("a figure has a value of at least 0 for each label")
        return self


class Section(Model):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Title
    words: tuple[Title, ...] = ()
    facts: tuple[Fact, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


class Report(Model):
    """`size`, `root` (hex) and `as_of` (the newest entry's time) name the register that it was made from; `basis` the articles it serves."""

    format: Literal["yunei-report/v1"] = "yunei-report/v1"
    kind: ReportKind
    period: str | None
    subject: str | None
    subject_title: Title | None
    title: Title
    origin: str
    size: int = Field(ge=1)
    root: str = Field(pattern=r"^[0-9a-f]{64}$")
    as_of: str
    complete: bool  # the period was over when the newest entry was written
    basis: tuple[Title, ...]
    sections: tuple[Section, ...] = Field(min_length=1)
    notes: tuple[Title, ...]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [table.name for section in self.sections for table in section.tables]
        if len(set(names)) != len(names):
            raise ValueError("two tables have one name")
        return self


@lru_cache(maxsize=4096)
def pair(zh: str, en: str) -> Title:
    return Title(zh=zh, en=en)


@lru_cache(maxsize=1024)
def column(name: str, zh: str, en: str, type: CellType = "text") -> Column:
    return Column(name=name, title=pair(zh, en), type=type)


def fact(zh: str, en: str, value: Cell | int, type: CellType = "text") -> Fact:
    return Fact(title=pair(zh, en), value=str(value) if isinstance(value, int) else value, type=type)
