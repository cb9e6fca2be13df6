"""The rules: one function a kind, over a table as it would leave. `RULES` is the table of them; packs say which run and with what numbers.

A rule that finds a number sensitive also says how much an attacker must hold possible on either side of it when it is left out (protection
levels: Hundepool et al. 2012, section 4.3.1, tables 4.2 and 4.3): of a count below a threshold, up to the threshold; of (n,k), what n units
would be k percent of; of p %, what would hide the largest within p percent from the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from policies.disclosure.pack import Rule, RulePack
from policies.disclosure.table import Amount, Cell, Exact, ExactTable, Finding, Measure, text


@dataclass(frozen=True, slots=True)
class Rounded:
    """How a measure is rounded: "round" or "midpoint", to what base; `controlled`: so that sums hold."""

    method: str
    base: int
    controlled: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A table and what would be shown of it: nothing of `hidden` cells, some measures rounded."""

    table: ExactTable
    pack: RulePack
    hidden: frozenset[int] = frozenset()
    rounded: Mapping[str, Rounded] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A number that may not be told: by which rule, and what must be held possible below and above it once it is hidden."""

    rule: str
    cell: int
    measure: int
    below: Exact
    above: Exact
    facts: Mapping[str, Any] = field(repr=False)


def sensitive(table: ExactTable, pack: RulePack) -> Iterator[Sensitive]:
    """Everything the pack's rules would have hidden, whether it is or not."""
    for rule in pack.rules:
        yield from SENSITIVE.get(rule.kind, _none)(table, pack, rule)


def findings(subject: Subject) -> Iterator[Finding]:
    """What the pack's rules say of the table as it would leave; differencing is `differencing.compare`'s."""
    for rule in subject.pack.rules:
        for one in SENSITIVE.get(rule.kind, _none)(subject.table, subject.pack, rule):
            if one.cell not in subject.hidden and not _settled(rule, subject.table.measures[one.measure], subject.rounded):
                yield Finding(rule.id, rule.severity, (one.cell,), subject.table.measures[one.measure].name, one.facts, _first(rule))
        yield from RULES.get(rule.kind, _nothing)(subject, rule)


def _none(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    return iter(())


def _nothing(subject: Subject, rule: Rule) -> Iterator[Finding]:
    return iter(())


def _first(rule: Rule) -> str:
    return rule.remedies[0] if rule.remedies else ""


def _settled(rule: Rule, measure: Measure, rounded: Mapping[str, Rounded]) -> bool:
    """Whether rounding is what the rule asks for, and was done."""
    done = rounded.get(measure.name)
    return done is not None and measure.kind == "count" and done.method in rule.remedies


def up(value: Exact, decimals: int) -> Exact:
    """The least number of the measure's last place that is not below."""
    factor = 10**decimals
    scaled = Fraction(value) * factor
    return Fraction(-(-scaled.numerator // scaled.denominator), factor)


def _minimum_units(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    assert rule.kind == "minimum_units"
    for number, cell in enumerate(table.cells):
        if 0 < cell.units < rule.threshold:
            for place, measure in enumerate(table.measures):
                below, above = _around(cell, place, measure, pack, rule.threshold, rule.lower)
                yield Sensitive(rule.id, number, place, below, above, {"units": cell.units, **_levels(below, above)})


def _minimum_nonzero(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    assert rule.kind == "minimum_nonzero"
    for number, cell in enumerate(table.cells):
        for place, measure in enumerate(table.measures):
            value = cell.amounts[place].total
            if measure.kind == "count" and 0 < value < rule.minimum:
                below, above = _around(cell, place, measure, pack, rule.minimum, rule.lower)
                yield Sensitive(rule.id, number, place, below, above, {"value": text(value), **_levels(below, above)})


def _around(cell: Cell, place: int, measure: Measure, pack: RulePack, threshold: int, lower: int) -> tuple[Exact, Exact]:
    amount = cell.amounts[place]
    if measure.kind == "count":
        return min(lower, amount.total), max(1, threshold - amount.total)
    share = up(Fraction(pack.suppression.range) / 100 * amount.weight, measure.decimals)
    return _below(amount, measure, share), share


def _below(amount: Amount, measure: Measure, wanted: Exact) -> Exact:
    """Not below zero, where an attacker knows that nothing is."""
    return wanted if measure.signed else min(wanted, amount.total)


def _levels(below: Exact, above: Exact) -> dict[str, Any]:
    return {"below": text(below), "above": text(above)}


def _concentrated(
    table: ExactTable, rule: Rule, tops: int, excess: Callable[[Amount], Exact], facts: Callable[[Amount], dict[str, Any]]
) -> Iterator[Sensitive]:
    """Cells whose largest contributions exceed what the rule allows, by `excess` (of the cell's own unit; 0 or less: allowed)."""
    for number, cell in enumerate(table.cells):
        for place, measure in enumerate(table.measures):
            amount = cell.amounts[place]
            if measure.kind == "count" or cell.units == 0:
                continue
            if len(amount.largest) < min(tops, cell.units):
                yield Sensitive(rule.id, number, place, *_all_of(amount, measure), {"missing": "largest contributions"})
                continue
            over = excess(amount)
            if over > 0:
                above = up(over, measure.decimals)
                below = _below(amount, measure, above)
                yield Sensitive(rule.id, number, place, below, above, {**facts(amount), **_levels(below, above)})


def _all_of(amount: Amount, measure: Measure) -> tuple[Exact, Exact]:
    share = up(amount.weight, measure.decimals)
    return _below(amount, measure, share), share


def _dominance(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    assert rule.kind == "dominance"
    n, k = rule.n, Fraction(rule.k)

    def excess(amount: Amount) -> Exact:
        return Fraction(100) / k * sum(amount.largest[:n]) - amount.weight

    def facts(amount: Amount) -> dict[str, Any]:
        return {"share_percent": _percent(sum(amount.largest[:n]), amount.weight), "n": n}

    yield from _concentrated(table, rule, n, excess, facts)


def _p_percent(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    assert rule.kind == "p_percent"
    part = Fraction(rule.p) / Fraction(rule.q)

    def excess(amount: Amount) -> Exact:
        first = amount.largest[0] if amount.largest else 0
        return part * first - (amount.weight - sum(amount.largest[:2]))

    def facts(amount: Amount) -> dict[str, Any]:
        first = amount.largest[0] if amount.largest else 0
        return {"estimate_within_percent": _percent(amount.weight - sum(amount.largest[:2]), first)}

    yield from _concentrated(table, rule, 2, excess, facts)


def _percent(part: Exact, whole: Exact) -> str | None:
    return None if whole == 0 else str(round(Decimal(float(Fraction(part) / Fraction(whole) * 100)), 1))


def _class_disclosure(table: ExactTable, pack: RulePack, rule: Rule) -> Iterator[Sensitive]:
    assert rule.kind == "class_disclosure"
    counts = [place for place, measure in enumerate(table.measures) if measure.kind == "count"] or list(range(len(table.measures)))
    seen: set[tuple[int, str]] = set()
    for whole, parts in table.sums():
        units = table.cells[whole].units
        if units < rule.minimum or len(parts) < 2:
            continue
        for part in parts:
            inside = table.cells[part].units
            case = "all" if inside == units and (table.disjoint or _alone(table, part, parts)) else "none" if inside == 0 and rule.none else ""
            if not case or (part, case) in seen:
                continue
            seen.add((part, case))
            for place in counts:
                last = Fraction(1, 10 ** table.measures[place].decimals)
                below, above = (min(last, table.cells[part].amounts[place].total), 0) if case == "all" else (0, last)
                yield Sensitive(rule.id, part, place, below, above, {"case": case, "whole": whole, "units": units, **_levels(below, above)})


def _alone(table: ExactTable, part: int, parts: tuple[int, ...]) -> bool:
    return all(table.cells[other].units == 0 for other in parts if other != part)


SENSITIVE: Mapping[str, Callable[[ExactTable, RulePack, Rule], Iterator[Sensitive]]] = {
    "minimum_units": _minimum_units,
    "minimum_nonzero": _minimum_nonzero,
    "dominance": _dominance,
    "p_percent": _p_percent,
    "class_disclosure": _class_disclosure,
}


def _zero_cells(subject: Subject, rule: Rule) -> Iterator[Finding]:
    cells = tuple(number for number, cell in enumerate(subject.table.cells) if cell.units == 0 and number not in subject.hidden)
    if cells:
        yield Finding(rule.id, rule.severity, cells, "", {"cells": len(cells)}, _first(rule))


def _rounding(subject: Subject, rule: Rule) -> Iterator[Finding]:
    assert rule.kind == "rounding"
    for measure in subject.table.measures:
        if measure.kind != "count":
            continue
        done = subject.rounded.get(measure.name)
        if done is None or done.method != rule.method or done.base < rule.base:
            shown = tuple(number for number in range(len(subject.table.cells)) if number not in subject.hidden)
            yield Finding(rule.id, rule.severity, shown, measure.name, {"method": rule.method, "base": rule.base}, _first(rule))
    for one in subject.table.measures:
        for other in subject.table.measures:
            if one.kind == "sum" and other.kind == "mean" and one.of == other.of:
                yield Finding(rule.id, rule.severity, (), other.name, {"count_follows_from": [one.name, other.name]}, "drop")


def _degrees_of_freedom(subject: Subject, rule: Rule) -> Iterator[Finding]:
    assert rule.kind == "degrees_of_freedom"
    facts = subject.table.facts
    if facts.get("kind", "table") != "model":
        return
    try:
        free = int(facts["observations"]) - int(facts["parameters"])
    except (KeyError, ValueError):
        yield Finding(rule.id, rule.severity, (), "", {"missing": "observations, parameters"}, "context")
        return
    if free < rule.minimum:
        yield Finding(rule.id, rule.severity, (), "", {"degrees_of_freedom": free}, _first(rule))


def _context(subject: Subject, rule: Rule) -> Iterator[Finding]:
    assert rule.kind == "context"
    missing = [name for name in rule.facts if len(subject.table.facts.get(name, "").strip()) < rule.length]
    if missing:
        yield Finding(rule.id, rule.severity, (), "", {"missing": missing, "length": rule.length}, _first(rule))


def _underlying(subject: Subject, rule: Rule) -> Iterator[Finding]:
    counted = any(measure.kind == "count" for measure in subject.table.measures)
    for measure in subject.table.measures:
        if measure.kind == "mean" and not counted:
            yield Finding(rule.id, rule.severity, (), measure.name, {}, _first(rule))


def _shape(subject: Subject, rule: Rule) -> Iterator[Finding]:
    assert rule.kind == "shape"
    table = subject.table
    kind = table.facts.get("kind", "table")
    wrong: list[tuple[str, object, object]] = []
    if kind not in rule.kinds:
        wrong.append(("kind", kind, list(rule.kinds)))
    if len(table.cells) > rule.cells:
        wrong.append(("cells", len(table.cells), rule.cells))
    if len(table.dimensions) > rule.dimensions:
        wrong.append(("dimensions", len(table.dimensions), rule.dimensions))
    for what, found, allowed in wrong:
        yield Finding(rule.id, rule.severity, (), "", {"what": what, "found": found, "allowed": allowed}, _first(rule))
    for measure in table.measures:
        measured: list[tuple[str, object, object, bool]] = [
            ("measure", measure.kind, list(rule.measures), measure.kind in rule.measures),
            ("decimals", measure.decimals, rule.decimals, measure.decimals <= rule.decimals),
        ]
        for what, found, allowed, right in measured:
            if not right:
                yield Finding(rule.id, rule.severity, (), measure.name, {"what": what, "found": found, "allowed": allowed}, "drop")


def _row_level(subject: Subject, rule: Rule) -> Iterator[Finding]:
    assert rule.kind == "row_level"
    table = subject.table
    finest = [
        cell.units
        for cell in table.cells
        if cell.units and all(place not in dimension.children for place, dimension in zip(cell.at, table.dimensions, strict=True))
    ]
    single = sum(units == 1 for units in finest)
    if len(finest) > 1 and single * 100 > Fraction(rule.percent) * len(finest):
        yield Finding(rule.id, rule.severity, (), "", {"single": single, "cells": len(finest)}, _first(rule))


def _signed(subject: Subject, rule: Rule) -> Iterator[Finding]:
    for measure in subject.table.measures:
        if measure.signed:
            yield Finding(rule.id, rule.severity, (), measure.name, {}, _first(rule))


RULES: Mapping[str, Callable[[Subject, Rule], Iterator[Finding]]] = {
    "zero_cells": _zero_cells,
    "rounding": _rounding,
    "degrees_of_freedom": _degrees_of_freedom,
    "context": _context,
    "underlying": _underlying,
    "shape": _shape,
    "row_level": _row_level,
    "signed": _signed,
}
ELSEWHERE = frozenset({"differencing"})  # kinds whose rule needs more than the table: `differencing.compare`
