"""A dataset, its versions, and the catalogue of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator, model_validator

from policies.catalogue.base import Grade, Identifier, KeyValue, Model, Name, Registration, Title
from policies.catalogue.blocks import MOST_PERIODS, WORDS, Block, Window, composite, period_of, unit_words
from policies.catalogue.column import Column
from policies.problem import declare
from policies.quota import Pace
from policies.reasons import explained, parse_toml, reasons_of, wrong

data_catalogue_invalid = declare(
    "data_catalogue_invalid",
    zh=("目录文件有误", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改目录文件，再次登记；本次未登记任何内容。"),
    en=(
        "The catalogue file has errors",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed and register again. Nothing was registered.",
    ),
)


class Via(Model):
    """Where a row's unit is found: its `column` holds a value of `references`, a unique column (`table.column`) of a private dataset ingested
    before, and the row belongs to whom that row does. So a path may go on from table to table. `on_missing`: what becomes of rows that
    refer to no row there."""

    column: Name
    references: Annotated[str, StringConstraints(pattern=r"^\w+\.\w+$")]
    on_missing: Literal["refuse", "drop"] = "refuse"

    @property
    def table(self) -> str:
        return self.references.partition(".")[0]

    @property
    def key(self) -> str:
        return self.references.partition(".")[2]


class Unit(Model):
    """Whose rows these are. Tables of one `space` share one population ledger and may be joined on the unit.

    With `via`, `column` is where ingest writes the unit it has found: one of the dataset's columns, which files then need not have, or none,
    and then queries cannot name it. `type` is that of such a hidden column; ingest takes it from the table referred to.

    `pseudonym`: a keyed code is stored in the identifier's place, one key for each space. All tables of a space have it, or none: those that
    differ are not read together. Where the unit is found through a reference, ingest takes it from there.
    """

    column: Name
    space: Name
    title: Title
    on_null: Literal["refuse", "drop"] = "refuse"
    via: Via | None = None
    type: Literal["integer", "text"] | None = None
    pseudonym: bool = Field(
        default=False, description="入库时以密钥化的编码代替标识符，标识符本身不存储 · the identifier itself is never stored"
    )


class Bounds(Model):
    """Contribution bounds a job gets when it does not narrow them: the most keys of one answer, and rows within a key, a unit may touch.

    `rows_per_unit` is how many rows one unit has in the whole table, at most: ingest holds it (`over_rows`: refuses the data, or cuts what is
    over and counts it), so that joins of protected tables have a public worst case.
    """

    groups_per_unit: int = Field(ge=1, le=10_000)
    rows_per_group: int = Field(ge=1, le=1_000_000)
    rows_per_unit: int | None = Field(default=None, ge=1, le=1_000_000_000)
    over_rows: Literal["refuse", "cut"] = "refuse"


class Share(Model):
    """共享属性 (Government Data Regulation, draft 2020, art. 12)."""

    attribute: Literal["unconditional", "conditional", "none"]
    reason: Title
    basis: str = Field(min_length=1)


def _without_private_key(column: Column, grade: Grade | None) -> Column:
    if grade != "important" or "key" not in column.uses or column.domain is not None or column.domain_from is not None:
        return column
    if "uses" in column.model_fields_set:
        raise wrong(
            f"重要数据的列 {column.name} 没有公开取值，用途不能含 key",
            f"column {column.name} is graded important and has no public domain: it is not a key",
        )
    return column.model_copy(update={"uses": tuple(use for use in column.uses if use != "key")})


class Dataset(Model):
    """One registered public data resource. With a `unit` it is private; without, public: anyone may know its rows."""

    name: Name
    title: Title
    registration_no: str = Field(min_length=1, max_length=64)
    registration: Registration = Field(default="coded", description="登记状态：申请、受理、形式审核、公示、赋码；赋码后方可授权")
    source_body: Title
    steward: Identifier | None = Field(default=None, description="来源部门的数据提供方管理员；不写时任何数据提供方管理员都可代为同意")
    acquired_on: date
    updated_on: date
    grade: Grade
    share: Share
    unit: Unit | None = None
    bounds: Bounds | None = None
    approximate_rows: int = Field(ge=1, description="order of magnitude, public: sets shard count and slot, never checked against rows")
    columns: tuple[Column, ...] = Field(min_length=1, max_length=1000)
    synthetic: bool = Field(default=False, description="rows are invented and nobody is behind them: programs may run on them without a cell")
    pace: Pace = Pace()  # of the dataset's account: what all operators together may spend in a day, in a month
    block: Block | None = Field(
        default=None, description="预算按期计算：隐私单元为“单元—期” · budgets by period: the privacy unit is a unit and a period, no more"
    )

    complete_through: date | None = Field(
        default=None,
        description="至该日（含）的行已齐全，此后追加只收其后的行 · rows of days up to this one are all there: appends bring later ones only",
    )

    @field_validator("columns")
    @classmethod
    def _as_graded(cls, columns: tuple[Column, ...], info: ValidationInfo) -> tuple[Column, ...]:
        """Values of a column graded important are shown as keys only when they are public: without a declared domain it is no key, unless
        the table is public itself. Asked for all the same, that is a fault; by default the use is left out."""
        if info.data.get("unit") is None:
            return columns
        return tuple(_without_private_key(column, column.grade or info.data.get("grade")) for column in columns)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name.casefold() for column in self.columns]
        if len(set(names)) != len(names):
            raise wrong("列名须在大小写之外有别", "column names must differ in more than case")
        if (self.unit is None) != (self.bounds is None):
            raise wrong("unit 与 bounds 须同时给出", "unit and bounds are given together")
        if self.unit is not None:
            self._check_unit(self.unit)
        if self.block is not None:
            self._check_block(self.block)
        if self.complete_through is not None and (self.block is None or self.complete_through > self.updated_on):
            raise wrong(
                "complete_through 须与 block 同时声明，且不晚于 updated_on",
                "complete_through goes with a block, and is not after updated_on",
            )
        if self.updated_on < self.acquired_on:
            raise wrong("更新日期早于获取日期", "updated before acquired")
        return self

    def _check_unit(self, owner: Unit) -> None:
        unit = self.get(owner.column)
        if (unit is None and owner.via is None) or (unit is not None and unit.type not in ("integer", "text")):
            raise wrong(f"单元列 {owner.column} 须为 integer 或 text 列", f"unit column {owner.column} must be an integer or text column")
        if unit is not None and {"key", "aggregate"} & set(unit.uses):
            raise wrong(
                f"单元列 {unit.name} 可识别个体，用途不能含 key 或 aggregate",
                f"unit column {unit.name} identifies; it is never a key nor aggregated",
            )
        if unit is not None and (unit.domain is not None or unit.domain_from is not None):
            raise wrong(f"单元列 {unit.name} 不能公开取值", f"unit column {unit.name} identifies; its values are not made public as a domain")
        if unit is not None and owner.pseudonym and ("filter" in unit.uses or unit.low is not None):
            raise wrong(
                f"单元列 {unit.name} 以编码存储，没有取值范围，用途不能含 filter",
                f"unit column {unit.name} is stored under other names: it has no range and is not filtered by",
            )
        if owner.via is not None:
            reference = self.get(owner.via.column)
            if reference is None or reference.type not in ("integer", "text") or reference.out_of_range == "clamp" or reference is unit:
                raise wrong(
                    f"引用列 {owner.via.column} 须为另一 integer 或 text 列，且 out_of_range 须为 refuse",
                    f"referring column {owner.via.column} must be another integer or text column whose out_of_range is refuse",
                )
            if owner.via.table.casefold() == self.name.casefold():
                raise wrong("不能引用数据集自身", "a dataset does not find its unit in itself")

    def _check_block(self, block: Block) -> None:
        column = self.get(block.column)
        if self.unit is None or self.unit.via is not None or not self.unit.pseudonym:
            raise wrong(
                "预算按期计算的数据集须自有隐私单元列，且 unit.pseudonym 须为 true：存储的是“单元—期”的编码",
                "budgets by period need a unit column of the dataset's own with unit.pseudonym = true: a code of unit and period is stored",
            )
        if (
            column is None
            or column.type not in ("date", "timestamp")
            or column.nullable
            or not isinstance(column.high, date)
            or column.high.year == date.max.year  # its period has no end
            or column.out_of_range != "refuse"
        ):
            raise wrong(
                f"分期列 {block.column} 须为 date 或 timestamp 列，nullable = false，声明 low 与 high，且 out_of_range 须为 refuse",
                f"block column {block.column} must be a date or timestamp column with nullable = false, low and high, and out_of_range refuse",
            )
        window = self.periods
        if window is not None and len(window) > MOST_PERIODS:
            zh, en = WORDS[block.period]
            raise wrong(
                f"分期列 {column.name} 的范围含 {len(window)} 个{zh}，至多 {MOST_PERIODS} 期：请缩小范围，或用更长的期",
                f"block column {column.name} spans {len(window)} {en}s, at most {MOST_PERIODS} periods: narrow its range, or take longer ones",
            )

    @property
    def periods(self) -> Window | None:
        """All periods its rows can lie in, from the declared range of the block column; None where budgets are not by period."""
        column = None if self.block is None else self.get(self.block.column)
        if self.block is None or column is None or not isinstance(column.low, date) or not isinstance(column.high, date):
            return None
        return Window(column.name, self.block.period, period_of(self.block.period, column.low), period_of(self.block.period, column.high))

    @property
    def space(self) -> str | None:
        """The space of its privacy unit: with budgets by period that of unit and period, such as `person/month`. None of a public one."""
        if self.unit is None:
            return None
        return self.unit.space if self.block is None else composite(self.unit.space, self.block.period)

    @property
    def unit_title(self) -> Title | None:
        """Whom a promise about it protects, in words."""
        return None if self.unit is None else unit_words(self.unit.title, self.block)

    @property
    def unit_column(self) -> Column | None:
        """The column that holds the unit, declared or hidden; None of a public dataset."""
        if self.unit is None:
            return None
        hidden = Column(name=self.unit.column, type=self.unit.type or "integer", title=self.unit.title, uses=("filter", "join", "distinct"))
        return self.get(self.unit.column) or hidden

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns as the vault has them: a hidden unit column comes last."""
        unit = self.unit_column
        return self.columns if unit is None or unit in self.columns else (*self.columns, unit)

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
