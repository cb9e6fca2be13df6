"""A new table against everything released before: what subtracting, and combining several cells, would tell of few units.

Two cells, one within the other: what is between them is known to whoever has both. Where fewer units than the pack's threshold are between, and
something that both show can be subtracted closely enough, the table is refused; where only rows can tell how many are between, it is asked of
the raw side, where the count stays. Several cells: `combine`. A noised cell isolates nobody: the difference to it carries its whole noise,
which is calibrated to hide any one unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from policies.disclosure.apply import Outcome
from policies.disclosure.combine import MOST_ROWS, isolated, membership
from policies.disclosure.index import Entry, Range, ReleaseIndex, summed
from policies.disclosure.pack import Rule
from policies.disclosure.predicate import cell_population, cell_where
from policies.disclosure.rounding import window
from policies.disclosure.table import Finding, text

MOST_REQUESTS = 200


@dataclass(frozen=True, slots=True)
class Request:
    """How many units are in `whole` and not in `part` (populations in the planner's form, each on its snapshot): to be counted on the raw side,
    where the number stays; `settle` takes what it was found to be."""

    cell: int
    other: str
    other_cell: tuple[str, ...]
    holds: bool  # whether the earlier cell holds the new one

    @property
    def id(self) -> str:
        said = f"{self.cell}\n{self.other}\n{'/'.join(self.other_cell)}\n{self.holds}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def as_data(self) -> dict[str, Any]:
        return {"id": self.id, "cell": self.cell, "job": self.other, "other_cell": list(self.other_cell), "other_holds": self.holds}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`searched`: how far the linear algebra went, and how far it would have had to go for every cell."""

    findings: tuple[Finding, ...]
    requests: tuple[Request, ...]
    compared: int = 0
    noised: int = 0
    pairs: int = 0
    searched: Mapping[str, int] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        return {"compared": self.compared, "noised": self.noised, "pairs": self.pairs, "searched": dict(self.searched)}


def entries(made: Outcome) -> list[tuple[Entry, dict[str, Any]]]:
    """What the index will know of the table once it has left, with each population in the form it is stored in."""
    found = []
    for number in _shown(made):
        found.append((_entry(made, number), cell_where(made.table, number)))
    return found


def _shown(made: Outcome) -> list[int]:
    return [number for number in range(len(made.table.cells)) if number not in made.hidden]


def _entry(made: Outcome, number: int) -> Entry:
    table, cell = made.table, made.table.cells[number]
    values: dict[str, Range] = {}
    for place, measure in enumerate(table.measures):
        how = made.rounded.get(measure.name)
        total = cell.amounts[place].total
        low, high = total, total
        if how is not None:
            low, high = window(made.values[measure.name][number], how, Fraction(1, 10**measure.decimals), measure.signed)
        before = values.get(summed(measure))
        values[summed(measure)] = (low, high) if before is None else (max(low, before[0]), min(high, before[1]))
    basis = table.basis
    where = cell_population(table, number)
    return Entry(basis.job, table.codes(number), basis.space, basis.rows, basis.snapshot, where, cell.units, values, False, table.disjoint)


def compare(made: Outcome, index: ReleaseIndex, rule: Rule, counts: Mapping[str, int] | None = None) -> Comparison:
    """Findings and open questions of the table's cells against the index, and against each other. `counts`: answers of the raw side to
    requests, by id."""
    assert rule.kind == "differencing"
    mine = {number: _entry(made, number) for number in _shown(made)}
    own = ReleaseIndex(replace(entry, cell=(str(number),)) for number, entry in mine.items())
    findings: list[Finding] = []
    requests: dict[str, Request] = {}
    pairs = 0
    for number, entry in mine.items():
        near: list[tuple[Entry, bool, bool]] = [
            (other, holds, True) for other, holds in own.near(entry, rule.threshold) if other.cell != (str(number),) and not holds
        ]
        near += [(other, holds, False) for other, holds in index.near(entry, rule.threshold)]
        pairs += len(near)
        for other, holds, same in near:
            if holds and other.where == entry.where:
                continue  # both ways: once is enough
            judged = _judge(entry, other, holds, rule.threshold, rule.snapshots)
            if judged is None:
                continue
            request = Request(number, "" if same else other.job, other.cell, holds)
            if judged == "ask" and counts is not None and request.id in counts:
                judged = "small" if 0 < counts[request.id] < rule.threshold else ""
            if judged == "small":
                cells = (number, int(other.cell[0])) if same else (number,)
                facts = {"other": [] if same else [other.job, list(other.cell)], "other_holds": holds, "measures": _close(entry, other)}
                findings.append(Finding(rule.id, rule.severity, cells, "", facts, rule.remedies[0] if rule.remedies else ""))
            elif judged == "ask":
                requests[request.id] = request
    several, searched = _several(made, list(mine.items()), index, rule)
    findings += several
    if requests:
        asked = tuple(sorted({request.cell for request in requests.values()}))
        findings.append(Finding(rule.id, "look", asked, "", {"to_count": len(requests)}, ""))
    if searched.get("left_out"):
        findings.append(Finding(rule.id, "note", (), "", {"not_searched": searched["left_out"]}, ""))
    kept = tuple(list(requests.values())[:MOST_REQUESTS])
    return Comparison(tuple(findings), kept, index.size, index.noised, pairs, searched)


def _judge(entry: Entry, other: Entry, holds: bool, threshold: int, snapshots: bool) -> str | None:
    """ "small": few units are between and something tells of them; "ask": only rows can tell; None: nothing is told."""
    if not _close(entry, other):
        return None
    changed = entry.snapshot != other.snapshot
    if changed and (not snapshots or entry.where != other.where):
        return None  # another population at another time: what differs is not a group of people
    if not changed and entry.where == other.where:
        return None
    if other.units is None or entry.units is None:
        return "ask"
    between = other.units - entry.units if holds else entry.units - other.units
    between = abs(between) if changed else between
    if between == 0:
        return "ask" if _differ(entry, other) else None
    if not 0 < between < threshold:
        return None
    if not changed and not (entry.disjoint and other.disjoint):
        return "ask"  # at least so many units are between: some of them may be in both
    return "small" if any(_told(entry.values[name], other.values[name], name, threshold) for name in _close(entry, other)) else None


def _close(entry: Entry, other: Entry) -> list[str]:
    return sorted(entry.values.keys() & other.values.keys())


def _differ(entry: Entry, other: Entry) -> bool:
    """Whether exact numbers are not the same although as many units are in both."""
    return any(
        _exact(entry.values[name]) and _exact(other.values[name]) and entry.values[name] != other.values[name] for name in _close(entry, other)
    )


def _exact(value: Range) -> bool:
    return value[0] == value[1]


def _told(one: Range, two: Range, name: str, threshold: int) -> bool:
    """Whether the difference is known too closely: exactly; or, of a count, to be some and below the threshold."""
    if _exact(one) and _exact(two):
        return True
    if not name.startswith(("count:", "distinct:")):
        return False
    low, high = one[0] - two[1], one[1] - two[0]
    if high < 0 or (low < 0 and -low > high):
        low, high = -high, -low
    return low > 0 and high < threshold


def _several(made: Outcome, mine: Sequence[tuple[int, Entry]], index: ReleaseIndex, rule: Rule) -> tuple[list[Finding], dict[str, int]]:
    """Combinations of the table's exact cells with earlier exact ones over the same snapshot."""
    assert rule.kind == "differencing"
    basis = made.table.basis
    recent, known = index.recent(basis.space, basis.rows, basis.snapshot, rule.tables)
    earlier = [entry for entry in recent if entry.units is not None and entry.disjoint and any(map(_exact, entry.values.values()))]
    fresh = [(number, entry) for number, entry in mine if entry.disjoint and any(map(_exact, entry.values.values()))]
    if not earlier or not fresh:
        return [], {}
    chosen = _coarse([entry for _, entry in fresh], MOST_ROWS // 2)
    taken = {entry.where for entry in chosen}
    others = _coarse([entry for entry in earlier if entry.where not in taken], MOST_ROWS - len(chosen))
    rows = chosen + others
    searched = {"cells": len(fresh) + known, "rows": len(rows), "left_out": len(fresh) + known - len(rows)}
    table = membership([entry.where for entry in rows])
    if table is None:
        return [], {**searched, "left_out": len(fresh) + known}
    numbers = {entry.where: number for number, entry in fresh}
    found = []
    for group in isolated(table, [entry.units or 0 for entry in rows], rule.threshold):
        new = tuple(sorted({numbers[rows[at].where] for at in group.rows if at < len(chosen)}))
        old = [[rows[at].job, list(rows[at].cell)] for at in group.rows if at >= len(chosen)]
        if new and old:
            facts = {"units": text(group.value), "with": old}
            found.append(Finding(rule.id, rule.severity, new, "", facts, rule.remedies[0] if rule.remedies else ""))
    return found, searched


def _coarse(found: Sequence[Entry], most: int) -> list[Entry]:
    """The first of each population, those that say least of whom they are about first: sums of parts follow from the parts, but combinations
    of several tables are over what they have in common."""
    distinct = list({entry.where: entry for entry in reversed(found)}.values())
    return sorted(distinct, key=lambda entry: (sum(len(box) for box in entry.where.boxes), -(entry.units or 0), entry.cell))[:most]
