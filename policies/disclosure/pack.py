"""Rule packs: what a bureau checks exact tables against, as data.

A pack is a TOML file: which rules run, with which numbers, how severe what they find is, which mends help, and where the number comes
from. The rules themselves are in `rules.RULES`, one function a kind; the words are in `packs/words.toml`. A pack is named, versioned and
digested: the evidence of a table says which pack it was checked against, so a changed pack never rewrites what was decided under another.

Sources of numbers are named rule by rule. Formulas: Hundepool et al., Statistical Disclosure Control (Wiley 2012), sections 4.2 (rules) and
4.3 (protection levels); docs/disclosure.md repeats them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import rfc8785
from pydantic import Field, ValidationError, model_validator

from policies.catalogue.base import Identifier, Model, Title
from policies.disclosure.table import MeasureKind, Severity
from policies.problem import declare
from policies.reasons import Fault, all_wrong, explained, parse_toml, reasons_of

data_rule_pack_invalid = declare(
    "data_rule_pack_invalid",
    zh=("披露控制规则包有误", "共 {count} 处有误；第一处在 {path}：{reason_zh}。", "请按各条说明改正规则包。"),
    en=("Rule pack is not valid", "{count} faults; the first at {path}: {reason_en}.", "Correct the pack as each part says."),
)

Remedy = Literal["round", "midpoint", "suppress", "merge", "drop", "recount", "context"]
Percent = Annotated[Decimal, Field(gt=0, le=100, decimal_places=3)]


class _Rule(Model):
    """What every rule has. `id` names it in findings; `remedies` in order of preference; `source`: where the number comes from."""

    id: Identifier
    severity: Severity = "refuse"
    remedies: tuple[Remedy, ...] = ()
    source: str = Field(min_length=1, max_length=500)


class MinimumUnits(_Rule):
    """A cell with some, but fewer than `threshold`, units is not shown. Suppressed, it is protected when an attacker must hold possible
    every number from `lower` below it up to the threshold."""

    kind: Literal["minimum_units"]
    threshold: int = Field(ge=2, le=100_000)
    lower: int = Field(default=1, ge=0)


class MinimumNonzero(_Rule):
    """A count that is shown is 0 or at least `minimum`: of rows, values or distinct things, whatever the measure counts."""

    kind: Literal["minimum_nonzero"]
    minimum: int = Field(ge=2, le=100_000)
    lower: int = Field(default=1, ge=0)


class ZeroCells(_Rule):
    """Cells that no unit is in say something of everybody in the margin."""

    kind: Literal["zero_cells"]


class Dominance(_Rule):
    """(n,k): the `n` largest units may not contribute more than `k` percent of a cell."""

    kind: Literal["dominance"]
    n: int = Field(ge=1, le=10)
    k: Percent


class PPercent(_Rule):
    """p %: the second largest unit may not be able to estimate the largest within `p` percent, knowing everybody within `q` percent
    before (100: knowing nothing; the rule is then p %, else p/q)."""

    kind: Literal["p_percent"]
    p: Percent
    q: Percent = Decimal(100)


class ClassDisclosure(_Rule):
    """All or none: every unit of a whole (of at least `minimum` units) is in one of its parts, so that being in the whole tells the part; or,
    with `none`, a part is empty of units although the whole has some."""

    kind: Literal["class_disclosure"]
    minimum: int = Field(default=1, ge=1)
    none: bool = False


class Rounding(_Rule):
    """Counts leave rounded: to multiples of `base`, or to the middle of runs of six (midpoint-6)."""

    kind: Literal["rounding"]
    method: Literal["round", "midpoint"] = "round"
    base: int = Field(default=5, ge=2, le=1_000)


class Differencing(_Rule):
    """No combination of what was released before and what is to be released tells the number of fewer than `threshold` units. `tables`: how
    many tables a combination may be of; `snapshots`: whether the same question on another snapshot counts as the same population grown."""

    kind: Literal["differencing"]
    threshold: int = Field(ge=2, le=100_000)
    tables: int = Field(default=8, ge=1, le=64)
    snapshots: bool = True


class DegreesOfFreedom(_Rule):
    """A model leaves with at least `minimum` residual degrees of freedom: observations less parameters."""

    kind: Literal["degrees_of_freedom"]
    minimum: int = Field(ge=1)


class Context(_Rule):
    """What the author must have said of the table: names of facts, each of at least `length` characters."""

    kind: Literal["context"]
    facts: tuple[str, ...] = Field(min_length=1)
    length: int = Field(default=10, ge=1)


class Underlying(_Rule):
    """A mean is shown with the count it is over, so that it can be checked."""

    kind: Literal["underlying"]


class Shape(_Rule):
    """What a table may be: kinds of table and measure, how many cells, dimensions and decimals."""

    kind: Literal["shape"]
    kinds: tuple[str, ...] = ("table",)
    measures: tuple[MeasureKind, ...] = ("count", "sum", "mean")
    cells: int = Field(default=10_000, ge=1)
    dimensions: int = Field(default=4, ge=0)
    decimals: int = Field(default=6, ge=0)


class RowLevel(_Rule):
    """More than `percent` of the finest cells that have any unit have a single one: rows in the guise of a table."""

    kind: Literal["row_level"]
    percent: Percent


class Signed(_Rule):
    """A measure whose contributions may be negative: dominance and margins mean less there, and a person looks."""

    kind: Literal["signed"]


RULE_KINDS = (
    MinimumUnits,
    MinimumNonzero,
    ZeroCells,
    Dominance,
    PPercent,
    ClassDisclosure,
    Rounding,
    Differencing,
    DegreesOfFreedom,
    Context,
    Underlying,
    Shape,
    RowLevel,
    Signed,
)
Rule = Annotated[
    MinimumUnits
    | MinimumNonzero
    | ZeroCells
    | Dominance
    | PPercent
    | ClassDisclosure
    | Rounding
    | Differencing
    | DegreesOfFreedom
    | Context
    | Underlying
    | Shape
    | RowLevel
    | Signed,
    Field(discriminator="kind"),
]


class Suppression(Model):
    """How patterns are made and what an attacker is supposed to know. `weight`: what is lost with a cell; `own`: an attacker who is alone in a
    suppressed cell knows it and may then not find another sensitive cell `exact`ly, or not within its `protection`; `range`: within how many
    percent a sum or mean of too few units may not be told; `effort`: rounds of optimisation after a safe pattern is found (rounds, not
    seconds: the same table has the same pattern on every machine)."""

    weight: Literal["cells", "units", "value"] = "units"
    own: Literal["exact", "protection", "ignore"] = "exact"
    range: Percent = Decimal(10)
    effort: int = Field(default=20, ge=0, le=1_000)


@lru_cache(maxsize=64)
def _digest(text: str) -> str:
    """Of JSON; a pack is asked for it at every look at a table."""
    return hashlib.sha256(rfc8785.dumps(json.loads(text))).hexdigest()


class RulePack(Model):
    """A pack. `version` counts up with each change; `sources` are read by reviewers; a rule's id is its own within the pack."""

    name: Identifier
    version: int = Field(ge=1)
    title: Title
    sources: tuple[str, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)
    suppression: Suppression = Suppression()

    @property
    def digest(self) -> str:
        """Names the pack: SHA-256 of its canonical JSON (RFC 8785)."""
        return _digest(self.model_dump_json())

    @property
    def contributions(self) -> int:
        """How many of the largest contributions the raw side must give for each amount."""
        return max([2, *(rule.n for rule in self.rules if rule.kind == "dominance")])

    def rule(self, name: str) -> Rule:
        """KeyError when there is none of that id."""
        for rule in self.rules:
            if rule.id == name:
                return rule
        raise KeyError(name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise all_wrong(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for number, rule in enumerate(self.rules):
            if rule.id in seen:
                yield Fault(("rules", number, "id"), "规则编号重复", "two rules have this id")
            seen.add(rule.id)
            if rule.kind == "p_percent" and rule.p > rule.q:
                yield Fault(("rules", number, "p"), "p 不得大于 q", "p may not be above q")
            if rule.kind in ("minimum_units", "minimum_nonzero") and rule.severity != "refuse":
                yield Fault(("rules", number, "severity"), "此规则须为 refuse", "this rule must refuse")
        if sum(rule.kind == "rounding" for rule in self.rules) > 1:
            yield Fault(("rules",), "取整规则至多一条", "at most one rule may say how counts are rounded")
        if not any(rule.kind == "minimum_units" for rule in self.rules):
            yield Fault(("rules",), "须有一条最少单元数规则（minimum_units）", "a pack has a rule minimum_units")
        if not any(rule.kind == "differencing" for rule in self.rules):
            yield Fault(("rules",), "须有一条差分规则（differencing）", "a pack has a rule differencing")


@lru_cache(maxsize=16)
def pack_from_toml(text: str) -> RulePack:
    """The pack a file states. Raises `data_rule_pack_invalid`, with one located part per fault."""
    document = parse_toml(text, data_rule_pack_invalid)
    try:
        return RulePack.model_validate(document)
    except ValidationError as error:
        raise explained(data_rule_pack_invalid, reasons_of(error, document)) from None


_FOLDER = Path(__file__).with_name("packs")


def shipped_packs() -> tuple[str, ...]:
    """Names of the packs this program comes with."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml") if path.stem != "words"))


def shipped_pack_text(name: str) -> str:
    """KeyError when there is no such pack."""
    if name not in shipped_packs():
        raise KeyError(name)
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=16)
def shipped_pack(name: str) -> RulePack:
    """KeyError when there is no such pack."""
    return pack_from_toml(shipped_pack_text(name))


class RuleWords(Model):
    """What a person reads of a kind of rule: `detail` over the finding's facts is left to the page that shows them."""

    title: Title
    detail: Title
    remedy: Title


@lru_cache(maxsize=1)
def words() -> dict[str, RuleWords]:
    """Words of each kind of rule, and of each kind of mend under "mend_…"."""
    document = parse_toml((_FOLDER / "words.toml").read_text(encoding="utf-8"), data_rule_pack_invalid)
    return {re.sub(r"\W", "_", name): RuleWords.model_validate(item) for name, item in document.items()}
