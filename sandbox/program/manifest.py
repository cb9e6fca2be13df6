"""`program.toml`: what a program is called, what it takes and what it may give out.

Outputs are declared with their ranges before anybody sees data: whatever a run returns is clamped into them, and the noise is calibrated to
them (sample and aggregate: Nissim, Raskhodnikova and Smith, STOC 2007). A parameter's values are bounded too, so that reviewers review all
that can be asked.

`mode` says what one call is given. `blocks`: the rows of many units, and what leaves is the middle of what the blocks give. `units`: the rows
of one unit, and what leaves is a mean or a sum over units, if a `key` is declared for each of its values.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from policies.catalogue import Model, Name, Title
from policies.licence import Identifier
from policies.reasons import PATTERNS, explained, parse_toml, reasons_of, wrong
from sandbox.program.problems import PROGRAM_INVALID

_ENTRY = r"^[A-Za-z_][A-Za-z0-9_/]{0,100}\.py:[A-Za-z_][A-Za-z0-9_]{0,60}$"
PATTERNS[_ENTRY] = ("形如 main.py:run", "looks like main.py:run")
Number = Annotated[Decimal, Field(max_digits=40)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LARGEST, SMALLEST = 10**12, Decimal("1e-9")  # of a range's ends, and of its width: what fixed point can hold
HALF_WIDTH = "__half_width"  # what stands beside an output in the answer


class Parameter(Model):
    """A value that a job gives. Numbers have a range, texts a list of choices."""

    name: Name
    type: Literal["integer", "decimal", "text", "boolean"]
    title: Title
    low: Number | None = None
    high: Number | None = None
    choices: tuple[Text, ...] | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        numeric = self.type in ("integer", "decimal")
        if numeric != (self.low is not None and self.high is not None) or (self.low is None) != (self.high is None):
            raise wrong("数值参数须写 low 与 high，其他类型不写", "a number has low and high, other types have neither")
        if (self.type == "text") != (self.choices is not None):
            raise wrong("文本参数须写 choices，其他类型不写", "a text has choices, other types have none")
        _ordered(self.low, self.high)
        if self.type == "integer" and any(bound != bound.to_integral_value() for bound in (self.low, self.high) if bound is not None):
            raise wrong("整数参数的范围须为整数", "the range of an integer is of integers")
        return self


class Output(Model):
    """A number that leaves. `default` stands in for one that did not come, came late or is no number; the middle of the range if not given."""

    name: Name
    title: Title
    low: Number
    high: Number
    default: Number | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _ordered(self.low, self.high)
        if max(abs(self.low), abs(self.high)) > LARGEST or self.high - self.low < SMALLEST:
            raise wrong(f"范围须在 ±{LARGEST} 以内，宽度不小于 {SMALLEST}", f"a range lies within ±{LARGEST} and is at least {SMALLEST} wide")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise wrong("default 须在范围之内", "default lies within the range")
        if self.name.casefold().endswith(HALF_WIDTH):
            raise wrong(f"名称不得以 {HALF_WIDTH} 结尾", f"a name does not end in {HALF_WIDTH}")
        return self


class Key(Model):
    """What a program of mode `units` may sort units by: it gives the number, from 0, of one of these public values, as its first output."""

    name: Name
    title: Title
    type: Literal["integer", "text"]
    domain: tuple[Annotated[int, Field(strict=True)] | Text, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _typed(self) -> Self:
        wanted = int if self.type == "integer" else str
        if any(type(value) is not wanted for value in self.domain) or len(set(self.domain)) != len(self.domain):
            raise wrong(f"domain 的取值须为 {self.type} 类型，且不重复", f"its domain has values of type {self.type}, each once")
        if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in self.domain):
            raise wrong("domain 的整数须在 64 位以内", "integers of a domain fit 64 bits")
        return self


def _ordered(low: Decimal | None, high: Decimal | None) -> None:
    if low is not None and high is not None and not low < high:
        raise wrong("low 须小于 high", "low must be below high")


class Manifest(Model):
    """What a program is. `entry` names a file and a function in it, called with rows and parameters; it returns its outputs by name, or in
    order. `rows`: how rows are handed to it, as `pyarrow.Table` or `pandas.DataFrame`; several tables come as a dict of them, by name."""

    name: Identifier
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$")]
    title: Title
    entry: Annotated[str, StringConstraints(pattern=_ENTRY)]
    mode: Literal["blocks", "units"] = "blocks"
    rows: Literal["arrow", "pandas"] = "arrow"
    parameters: tuple[Parameter, ...] = Field(default=(), max_length=50)
    key: Key | None = None
    outputs: tuple[Output, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _once(self) -> Self:
        given = [*(output.name for output in self.outputs), *([self.key.name] if self.key else [])]
        for what in ([parameter.name for parameter in self.parameters], given):
            names = [name.casefold() for name in what]
            if len(set(names)) != len(names):
                raise wrong("同一名称只声明一次", "a name is declared once")
        if self.key is not None and self.mode != "units":
            raise wrong("只有 mode 为 units 的程序可以声明 key", "only a program of mode units declares a key")
        return self

    @property
    def parameters_schema(self) -> dict[str, object]:
        """What a job's parameters must be, as JSON Schema (2020-12)."""
        properties = {parameter.name: _schema(parameter) for parameter in self.parameters}
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False}
        return head | {"properties": properties, "required": list(properties)}

    @property
    def entry_file(self) -> str:
        return self.entry.partition(":")[0]

    @property
    def entry_function(self) -> str:
        return self.entry.partition(":")[2]


PATTERNS[r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$"] = ("形如 1.0.2", "looks like 1.0.2")


def _schema(parameter: Parameter) -> dict[str, object]:
    said: dict[str, object] = {"title": parameter.title.en, "description": parameter.title.zh}
    kinds = {"integer": "integer", "decimal": "number", "text": "string", "boolean": "boolean"}
    said["type"] = kinds[parameter.type]
    if parameter.low is not None and parameter.high is not None:
        exact = int if parameter.type == "integer" else float
        said |= {"minimum": exact(parameter.low), "maximum": exact(parameter.high)}
    return said if parameter.choices is None else said | {"enum": list(parameter.choices)}


def manifest_from_toml(text: str) -> Manifest:
    """PROGRAM_INVALID, with one located part per fault."""
    document = parse_toml(text, PROGRAM_INVALID)
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise explained(PROGRAM_INVALID, reasons_of(error, document)) from None
