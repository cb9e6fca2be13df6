"""One column of a dataset: its type, range, public keys and allowed uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_serializer, field_validator, model_validator

from policies.catalogue.base import KEYABLE, NUMERIC, USES, ColumnType, Grade, KeyValue, Model, Name, Title, Use
from policies.reasons import wrong


class Column(Model):
    """One column.

    `low`/`high` are inclusive and public; a numeric column can be summed only if it has both. `decimals` is how many digits after the
    point a value keeps: aggregates run on `round(value * 10**decimals)`. `domain` lists every key an answer may show (public keys);
    `domain_from` names a column of a public table (`table.column`) and is resolved into `domain` when the dataset is ingested. A
    public table's own keys need neither: its rows are known to everyone. `unique`: no value occurs twice, which ingest checks; other
    datasets may then find their unit by it.
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
    unique: bool = False

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
        if self.unique and (self.type not in ("integer", "text") or self.out_of_range == "clamp"):
            raise wrong(
                "unique 只用于 integer 或 text 列，且 out_of_range 须为 refuse",
                "unique is for integer and text columns whose out_of_range is refuse: mending would make two values one",
            )
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
