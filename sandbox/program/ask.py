"""What an operator asks of a program: which one, over which columns, with which parameters, at which loss.

Everything here is held to what reviewers approved: parameters lie in the manifest's ranges, and ranges of outputs may be narrowed, never
widened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from policies.catalogue import Model, Name
from policies.reasons import PATTERNS, Reason, explained, wrong
from sandbox.plan.ask import Privacy, Range
from sandbox.program.manifest import Manifest, Output, Parameter
from sandbox.program.problems import REQUEST_INVALID

PATTERNS[r"^[0-9a-f]{64}$"] = ("须为 64 位十六进制摘要", "is 64 hexadecimal digits")
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Given = bool | int | Decimal | Annotated[str, StringConstraints(max_length=200)]
Combine = Literal["mean", "median", "winsorised", "sum"]
MOST_BLOCKS = 10_000
BLOCKS: frozenset[Combine] = frozenset({"mean", "median", "winsorised"})
UNITS: frozenset[Combine] = frozenset({"mean", "sum"})


class RunTable(Model):
    """A table to hand to the program: these columns of it, and in any case the unit's, its values replaced by numbers that mean nothing."""

    dataset: Name
    columns: tuple[Name, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [name.casefold() for name in self.columns]
        if len(set(names)) != len(names):
            raise wrong("同一列只列一次", "a column is named once")
        return self


class RunAsk(Model):
    """One run. `blocks`: into how many the units are hashed, chosen from public facts when it is not given; a program of mode `units` has none.
    `seconds` is what one call may take: it sets the public schedule, so ask for several times of what a call needs, not for a hundred times.
    `weights` split the loss over the outputs; `edges`: from how many values, at most, a median is chosen."""

    program: Digest
    tables: tuple[RunTable, ...] = Field(min_length=1, max_length=8)
    parameters: dict[Name, Given] = Field(default_factory=dict, max_length=50)
    combine: Combine = "mean"
    blocks: int | None = Field(default=None, ge=2, le=MOST_BLOCKS)
    seconds: Annotated[Decimal, Field(ge=Decimal("0.05"), le=600, max_digits=8)] = Decimal(1)
    ranges: dict[Name, Range] = Field(default_factory=dict, max_length=100)
    edges: int | None = Field(default=None, ge=2, le=512)
    weights: dict[Name, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict, max_length=100)
    privacy: Privacy

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [table.dataset.casefold() for table in self.tables]
        if len(set(names)) != len(names):
            raise wrong("同一数据集只列一次", "a dataset is named once")
        return self


def parameters_of(manifest: Manifest, given: Mapping[str, Given]) -> dict[str, object]:
    """The parameters as the program gets them, JSON-ready: every one that is declared, each within what is declared. Raises
    `program_request_invalid`, with one part per fault."""
    declared = {parameter.name: parameter for parameter in manifest.parameters}
    faults = [Reason(f"parameters.{name}", "程序没有这个参数", "the program has no such parameter") for name in given if name not in declared]
    faults += [Reason(f"parameters.{name}", "缺少此项", "is missing") for name in declared if name not in given]
    made: dict[str, object] = {}
    for name, parameter in declared.items():
        if name in given:
            value, reason = _value(parameter, given[name])
            made[name] = value
            faults += [Reason(f"parameters.{name}", *reason)] if reason else []
    if faults:
        raise explained(REQUEST_INVALID, faults)
    return made


def _value(parameter: Parameter, given: Given) -> tuple[object, tuple[str, str] | None]:
    """The value, and in both languages why it may not be."""
    if parameter.type == "boolean":
        return given, None if isinstance(given, bool) else ("须为 true 或 false", "must be true or false")
    if parameter.type == "text":
        choices = parameter.choices or ()
        listed = ", ".join(choices)[:300]
        return given, None if isinstance(given, str) and given in choices else (f"须为下列之一：{listed}", f"must be one of {listed}")
    assert parameter.low is not None
    assert parameter.high is not None
    number = _number(given)
    if number is None or not parameter.low <= number <= parameter.high:
        between = f"{parameter.low} … {parameter.high}"
        return given, (f"须为 {between} 之间的数", f"must be a number in {between}")
    if parameter.type == "integer":
        whole = number == number.to_integral_value()
        return int(number), None if whole else ("须为整数", "must be a whole number")
    return float(number), None


def _number(given: Given) -> Decimal | None:
    """Numbers may come as text, as sealed requests and exact clients write them."""
    if isinstance(given, bool):
        return None
    try:
        number = Decimal(given)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def outputs_of(manifest: Manifest, ranges: Mapping[str, Range]) -> tuple[Output, ...]:
    """The outputs with their ranges as narrowed by the job; a default outside moves to the nearer end. Raises `program_request_invalid`."""
    faults: list[Reason] = []
    made = []
    by_name = {name.casefold(): asked for name, asked in ranges.items()}
    for output in manifest.outputs:
        asked = by_name.pop(output.name.casefold(), None)
        if asked is None:
            made.append(output)
        elif asked.low < output.low or asked.high > output.high or asked.high - asked.low < Decimal("1e-9"):
            between = f"{output.low} … {output.high}"
            faults.append(Reason(f"ranges.{output.name}", f"只能在 {between} 之内收窄", f"may only be narrowed within {between}"))
        else:
            default = (output.low + output.high) / 2 if output.default is None else output.default
            kept = min(max(default, asked.low), asked.high)
            made.append(output.model_copy(update={"low": asked.low, "high": asked.high, "default": kept}))
    faults += _unknown("ranges", by_name)
    if faults:
        raise explained(REQUEST_INVALID, faults)
    return tuple(made)


def weights_of(manifest: Manifest, given: Mapping[str, int]) -> tuple[int, ...]:
    """One weight per output; 1 where none is given. Raises `program_request_invalid`."""
    by_name = {name.casefold(): weight for name, weight in given.items()}
    weights = tuple(by_name.pop(output.name.casefold(), 1) for output in manifest.outputs)
    if by_name:
        raise explained(REQUEST_INVALID, _unknown("weights", by_name))
    return weights


def _unknown(place: str, names: Iterable[str]) -> list[Reason]:
    return [Reason(f"{place}.{name}", "程序没有这个输出", "the program has no such output") for name in names]
