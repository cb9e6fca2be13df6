"""The catalogue: what a dataset is, whose rows it holds, what may be done with each column.

A registered dataset carries what products made from it must later name (source body and acquisition date: Shanxi regulation on government
data, 2020 draft, art. 20 para. 2), its share attribute with reason and basis (art. 12), and a grade by GB/T 43697-2024. Everything the
engine may know before it reads a row is here and public: types, ranges, key domains, contribution bounds. What is not declared is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_serializer, field_validator, model_validator

from policies.problem import declare
from policies.reasons import PATTERNS, explained, parse_toml, reasons_of, wrong

data_catalogue_invalid = declare(
    "data_catalogue_invalid",
    zh=("目录文件有误", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改目录文件，再次登记；本次未登记任何内容。"),
    en=(
        "The catalogue file is not right",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Mend the places listed and register again; nothing has been registered.",
    ),
)


class Model(BaseModel):
    """Closed and frozen: an unknown field is an error, a built model never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# letters of any script, digits, underscore: safe as SQL name and file name
Name = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w{0,62}$")]
PATTERNS[r"^[^\W\d]\w{0,62}$"] = (
    "须以字母或汉字开头，只含字母、汉字、数字、下划线，至多 63 个字符",
    "starts with a letter of any script, then letters, digits and underscores, 63 characters at most",
)
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
    `domain_from` names a column of a public table (`table.column`) and is resolved into `domain` when the dataset is ingested. A
    public table's own keys need neither: its rows are known to everyone.
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

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, given: Any) -> Any:
        """JSON has no dates or decimals: read `low`, `high` and `domain` as the column's type says, so that a dump loads as it was."""
        if not isinstance(given, Mapping):
            return given
        read, kind = dict(given), given.get("type")
        for name in ("low", "high"):
            if given.get(name) is not None and kind in (*NUMERIC, "date", "timestamp"):
                read[name] = _decimal(name, given[name]) if kind in NUMERIC else _date(name, given[name])
        domain = given.get("domain")
        if isinstance(domain, (list, tuple)):
            if kind == "date":
                read["domain"] = tuple(_date("domain", value) for value in domain)
            elif kind == "integer":
                read["domain"] = tuple(int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else value for value in domain)
        return read

    @field_serializer("domain", when_used="json")
    def _exact(self, domain: tuple[KeyValue, ...] | None) -> list[bool | int | str] | None:
        """Integers past 2**53 as text: other readers of JSON would round them."""
        if domain is None:
            return None
        return [_json_key(value) for value in domain]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise wrong("low 与 high 须同时给出", "low and high are given together")
        if self.low is not None and self.high is not None:
            self._check_range(self.low, self.high)
        if self.type not in ("decimal", "number") and self.decimals:
            raise wrong(f"类型 {self.type} 没有小数位", f"decimals do not apply to {self.type}")
        if (self.domain is not None or self.domain_from is not None) and self.type not in KEYABLE:
            raise wrong(f"类型 {self.type} 不能作分组键，不能有 domain", f"a column of type {self.type} is never a key and has no domain")
        if self.domain is not None:
            wanted: type = {"integer": int, "text": str, "date": date, "boolean": bool}[self.type]
            if any(type(value) is not wanted for value in self.domain):
                raise wrong(f"domain 的取值须为 {self.type} 类型", f"its domain must be values of type {self.type}")
            if len(set(self.domain)) != len(self.domain) or not self.domain:
                raise wrong("domain 不能为空，取值不能重复", "its domain must be non-empty, each value once")
            if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in self.domain):
                raise wrong("domain 的整数须在 64 位以内", "integers of a domain must fit 64 bits")
        return self

    def _check_range(self, low: Decimal | date, high: Decimal | date) -> None:
        if self.type not in (*NUMERIC, "date", "timestamp"):
            raise wrong(f"类型 {self.type} 没有取值范围", f"a range does not fit type {self.type}")
        if low > high:  # type: ignore[operator]  # both Decimal or both date: `_typed` made them so
            raise wrong(f"low {low} 大于 high {high}", f"low {low} is above high {high}")
        for bound in (low, high):
            if isinstance(bound, Decimal):
                if self.type == "integer" and bound != bound.to_integral_value():
                    raise wrong("整数列的范围须为整数", "the range of an integer column must be whole")
                if abs(bound).scaleb(self.decimals) > 2**61:
                    raise wrong("范围乘以 10 的 decimals 次方须在 61 位以内", "the range times 10**decimals must fit 61 bits")


def _json_key(value: KeyValue) -> bool | int | str:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def _decimal(name: str, value: object) -> Decimal:
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))  # a float by its shortest text, which is what its author wrote
        except InvalidOperation:
            pass
        else:
            if number.is_finite():
                return number
    raise wrong(f"{name} 须为十进制数", f"{name} must be a decimal number")


def _date(name: str, value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise wrong(f"{name} 须为日期，例如 2025-01-31", f"{name} must be a date like 2025-01-31")


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
            raise wrong("列名须在大小写之外有别", "column names must differ in more than case")
        if (self.unit is None) != (self.bounds is None):
            raise wrong("unit 与 bounds 须同时给出", "unit and bounds are given together")
        if self.unit is not None:
            unit = self.get(self.unit.column)
            if unit is None or unit.type not in ("integer", "text"):
                raise wrong(
                    f"单元列 {self.unit.column} 须为 integer 或 text 列", f"unit column {self.unit.column} must be an integer or text column"
                )
            if {"key", "aggregate"} & set(unit.uses):
                raise wrong(
                    f"单元列 {unit.name} 可识别个体，用途不能含 key 或 aggregate",
                    f"unit column {unit.name} identifies; it is never a key nor aggregated",
                )
            if unit.domain is not None or unit.domain_from is not None:
                raise wrong(
                    f"单元列 {unit.name} 不能公开取值", f"unit column {unit.name} identifies; its values are not made public as a domain"
                )
        if self.updated_on < self.acquired_on:
            raise wrong("更新日期早于获取日期", "updated before acquired")
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


def with_domains(dataset: Dataset, domains: Mapping[str, Sequence[KeyValue]]) -> Dataset:
    """The dataset with the domain of the named columns put in place, validated anew. ValueError for a column it does not have."""
    unknown = [name for name in domains if dataset.get(name) is None]
    if unknown:
        raise ValueError(f"dataset {dataset.name} has no column {unknown[0]}")
    by_name = {name.casefold(): tuple(values) for name, values in domains.items()}
    columns = tuple(
        Column.model_validate(dict(column) | {"domain": by_name[column.name.casefold()]}) if column.name.casefold() in by_name else column
        for column in dataset.columns
    )
    return Dataset.model_validate(dict(dataset) | {"columns": columns})


def dataset_from_toml(text: str) -> Dataset:
    """The dataset a catalogue file declares. Raises `data_catalogue_invalid`, with one located part per fault."""
    document = parse_toml(text, data_catalogue_invalid)
    try:
        return Dataset.model_validate(document)
    except ValidationError as error:
        raise explained(data_catalogue_invalid, reasons_of(error, document)) from None


def datasets_of(document: object) -> list[Dataset]:
    """The datasets of a parsed catalogue: one, or several under `datasets`. Raises `data_catalogue_invalid`."""
    several = document.get("datasets") if isinstance(document, dict) else None
    made = []
    for one in several if isinstance(several, list) else [document]:
        try:
            made.append(Dataset.model_validate(one))
        except ValidationError as error:
            raise explained(data_catalogue_invalid, reasons_of(error, one if isinstance(one, dict) else {})) from None
    return made
