"""The catalogue: what a dataset is, whose rows it holds, what may be done with each column.

A registered dataset carries what the Shanxi Government Data Regulation (draft 2020) asks of a resource in the catalogue: source body and
acquisition date (art. 20), share attribute with reason and basis (art. 12), and a grade by GB/T 43697-2024. Everything the engine may
know before it reads a row is here and public: types, ranges, key domains, contribution bounds. What is not declared is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator


class Model(BaseModel):
    """Closed and frozen: an unknown field is an error, a built model never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Name = Annotated[
    str, StringConstraints(pattern=r"^[^\W\d]\w{0,62}$")
]  # letters of any script, digits, underscore: safe as SQL name and file name
ColumnType = Literal["integer", "decimal", "number", "text", "date", "timestamp", "boolean"]
Use = Literal["filter", "key", "aggregate", "join", "distinct"]
USES: tuple[Use, ...] = ("filter", "key", "aggregate", "join", "distinct")
Grade = Literal["core", "important", "general-4", "general-3", "general-2", "general-1"]
GRADES: tuple[Grade, ...] = ("core", "important", "general-4", "general-3", "general-2", "general-1")  # strictest first
NUMERIC: frozenset[ColumnType] = frozenset({"integer", "decimal", "number"})
KEYABLE: frozenset[ColumnType] = frozenset({"integer", "text", "date", "boolean"})
KeyValue = bool | int | date | str


class Title(Model):
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Column(Model):
    """One column.

    `low`/`high` are inclusive and public; a numeric column can be summed only if it has both. `decimals` is how many digits after the
    point a value keeps: aggregates run on `round(value * 10**decimals)`. `domain` lists every key an answer may show (public keys);
    `domain_from` names a column of a public table (`table.column`) and is resolved into `domain` when the dataset is ingested.
    """

    name: Name
    type: ColumnType
    title: Title
    grade: Grade | None = None  # None: the dataset's
    uses: tuple[Use, ...] = ("filter", "key", "aggregate", "distinct")
    nullable: bool = True
    low: Decimal | date | None = None
    high: Decimal | date | None = None
    decimals: int = Field(default=0, ge=0, le=9)
    out_of_range: Literal["refuse", "clamp"] = "refuse"
    domain: tuple[KeyValue, ...] | None = None
    domain_from: Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")] | None = None
    max_length: int = Field(default=256, ge=1, le=4096)

    @field_validator("uses")
    @classmethod
    def _known_once(cls, uses: tuple[Use, ...]) -> tuple[Use, ...]:
        return tuple(use for use in USES if use in uses)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"column {self.name}: low and high are given together")
        if self.low is not None and self.high is not None:
            want = Decimal if self.type in NUMERIC else date if self.type in ("date", "timestamp") else None
            if want is None or not isinstance(self.low, want) or not isinstance(self.high, want):
                raise ValueError(f"column {self.name}: a range does not fit type {self.type}")
            if self.low > self.high:  # type: ignore[operator]  # same type, just checked
                raise ValueError(f"column {self.name}: low {self.low} is above high {self.high}")
        if self.type in ("integer", "text", "boolean", "date", "timestamp") and self.decimals:
            raise ValueError(f"column {self.name}: decimals do not apply to {self.type}")
        if self.domain is not None:
            wanted: type = {"integer": int, "text": str, "date": date, "boolean": bool}.get(self.type, object)
            if self.type not in KEYABLE or any(type(value) is not wanted for value in self.domain):
                raise ValueError(f"column {self.name}: its domain must be values of type {self.type}")
            if len(set(self.domain)) != len(self.domain) or not self.domain:
                raise ValueError(f"column {self.name}: its domain must be non-empty, each value once")
        return self


class Unit(Model):
    """Whose rows these are. Tables of one `space` share one population ledger and may be joined on the unit."""

    column: Name
    space: Name
    title: Title
    on_null: Literal["refuse", "drop"] = "refuse"


class Bounds(Model):
    """Contribution bounds a job gets when it does not narrow them: the most keys of one answer, and rows within a key, a unit may touch."""

    groups_per_unit: int = Field(ge=1, le=10_000)
    rows_per_group: int = Field(ge=1, le=1_000_000)


class Share(Model):
    """共享属性 (Government Data Regulation, draft 2020, art. 12)."""

    attribute: Literal["unconditional", "conditional", "none"]
    reason: Title
    basis: str = Field(min_length=1)


class Dataset(Model):
    """One registered public data resource. With a `unit` it is private; without, public: anyone may know its rows."""

    name: Name
    title: Title
    registration_no: str = Field(min_length=1, max_length=64)
    source_body: Title
    acquired_on: date
    updated_on: date
    grade: Grade
    share: Share
    unit: Unit | None = None
    bounds: Bounds | None = None
    approximate_rows: int = Field(ge=1, description="order of magnitude, public: sets shard count and slot, never checked against rows")
    columns: tuple[Column, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name.casefold() for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"dataset {self.name}: column names must differ in more than case")
        if (self.unit is None) != (self.bounds is None):
            raise ValueError(f"dataset {self.name}: unit and bounds are given together")
        if self.unit is not None:
            unit = self.get(self.unit.column)
            if unit is None or unit.type not in ("integer", "text"):
                raise ValueError(f"dataset {self.name}: unit column {self.unit.column} must be an integer or text column")
            if {"key", "aggregate"} & set(unit.uses):
                raise ValueError(f"dataset {self.name}: unit column {unit.name} identifies; it is never a key nor aggregated")
        if self.updated_on < self.acquired_on:
            raise ValueError(f"dataset {self.name}: updated before acquired")
        return self

    @property
    def private(self) -> bool:
        return self.unit is not None

    def get(self, column: str) -> Column | None:
        """The column of that name, case-insensitively as SQL has it, or None."""
        folded = column.casefold()
        return next((candidate for candidate in self.columns if candidate.name.casefold() == folded), None)

    def grade_of(self, column: Column) -> Grade:
        return column.grade or self.grade


class Snapshot(Model):
    """A dataset as ingested: an immutable version whose content digest is part of the identity of every answer."""

    dataset: Dataset
    version: int = Field(ge=1)
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Catalogue(Mapping[str, Snapshot]):
    """The current snapshot of every dataset, looked up case-insensitively. Immutable: a new version is a new catalogue."""

    def __init__(self, snapshots: tuple[Snapshot, ...]) -> None:
        self._by_name = {snapshot.dataset.name.casefold(): snapshot for snapshot in snapshots}
        if len(self._by_name) != len(snapshots):
            raise ValueError("one snapshot per dataset")

    def __getitem__(self, name: str) -> Snapshot:
        return self._by_name[name.casefold()]

    def __iter__(self) -> Iterator[str]:
        return (snapshot.dataset.name for snapshot in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)
