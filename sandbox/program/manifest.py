"""`program.toml`: what a program is called, what it takes and what it may give out.

Outputs are declared with their ranges before anybody sees data: whatever a run returns is clamped into them, and the noise is calibrated to
them (sample and aggregate: Nissim, Raskhodnikova and Smith, STOC 2007). A parameter's values are bounded too, so that reviewers review all
that can be asked.
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
    """A number that leaves."""

    name: Name
    title: Title
    low: Number
    high: Number

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _ordered(self.low, self.high)
        return self


def _ordered(low: Decimal | None, high: Decimal | None) -> None:
    if low is not None and high is not None and not low < high:
        raise wrong("low 须小于 high", "low must be below high")


class Manifest(Model):
    """What a program is. `entry` names a file and a function in it, called with the block's rows and the parameters."""

    name: Identifier
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$")]
    title: Title
    entry: Annotated[str, StringConstraints(pattern=_ENTRY)]
    parameters: tuple[Parameter, ...] = Field(default=(), max_length=50)
    outputs: tuple[Output, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _once(self) -> Self:
        for what in (self.parameters, self.outputs):
            names = [each.name.casefold() for each in what]
            if len(set(names)) != len(names):
                raise wrong("同一名称只声明一次", "a name is declared once")
        return self

    @property
    def entry_file(self) -> str:
        return self.entry.partition(":")[0]

    @property
    def entry_function(self) -> str:
        return self.entry.partition(":")[2]


PATTERNS[r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$"] = ("形如 1.0.2", "looks like 1.0.2")


def manifest_from_toml(text: str) -> Manifest:
    """PROGRAM_INVALID, with one located part per fault."""
    document = parse_toml(text, PROGRAM_INVALID)
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise explained(PROGRAM_INVALID, reasons_of(error, document)) from None
