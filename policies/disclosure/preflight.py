"""Pre-flight: what would be refused, why, and a set of mends that passes, before a person looks. Free, and of the table's own shape alone.

Half of what is refused elsewhere is refused for reasons a machine can say at once (OpenSAFELY's figures: unrounded counts about 30 %, missing
context 25 %, low counts 20 %, no underlying data 10 %, wrong type 10 %). What mends cannot help (context, underlying counts, a kind that may
not leave) is said first; for the rest mends are tried from the mildest to the harshest, each with the whole examination, until one passes.

Which rules a table breaks follows from its numbers, and says something of them: reviewers see all of it, the author sees what follows from the
table's shape and from what was said of it (`Preflight.for_author`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.disclosure.apply import Outcome, outcome
from policies.disclosure.examine import evidence
from policies.disclosure.index import ReleaseIndex
from policies.disclosure.mend import MENDS, Drop, Mend, Merge, Midpoint, Round, Suppress
from policies.disclosure.pack import RulePack, RuleWords, words
from policies.disclosure.table import Dimension, Evidence, ExactTable, Finding
from policies.problem import Problem

UNMENDABLE = frozenset({"context", "underlying", "shape", "degrees_of_freedom", "signed"})  # kinds of rule that ask the author, not the table
DATA_FREE = frozenset({"context", "underlying", "shape", "rounding", "degrees_of_freedom", "signed"})  # kinds that look at no number
MOST_TRIED = 12


@dataclass(frozen=True, slots=True)
class Tried:
    """A set of mends and what was left: `refused` ids of rules still broken; `hidden` share of cells not shown, in percent."""

    mends: tuple[Mend, ...]
    refused: tuple[str, ...]
    hidden_percent: int


@dataclass(frozen=True, slots=True)
class Preflight:
    """`now`: the evidence of the table as it is; `ask`: what only the author can mend; `proposal`: mends that pass the rest, None: none was
    found; `after`: the evidence with them; `tried`: everything that was tried, in order."""

    now: Evidence = field(repr=False)
    ask: tuple[Finding, ...]
    proposal: tuple[Mend, ...] | None
    after: Evidence | None = field(repr=False)
    tried: tuple[Tried, ...]
    pack: RulePack = field(repr=False)

    @property
    def passes(self) -> bool:
        """Whether nothing would be refused as it is."""
        return self.now.verdict != "refuse"

    def for_author(self) -> dict[str, Any]:
        """What an operator may be told before anybody approved anything: only what follows from the table's shape, its facts and the pack, so
        that nothing in it, nor its length, depends on a row. `mends`: those with which tables of this pack pass most often."""
        free = [finding for finding in self.now.findings if finding.severity == "refuse" and _kind(self.pack, finding) in DATA_FREE]
        return {
            "pack": {"name": self.pack.name, "version": self.pack.version, "digest": self.pack.digest},
            "refused": [self._said(rule) for rule in dict.fromkeys(finding.rule for finding in free)],
            "facts": [{"rule": finding.rule, **finding.facts} for finding in free],
            "mends": MENDS.dump_python(_usual(self.pack), mode="json"),
        }

    def for_reviewers(self) -> dict[str, Any]:
        """Everything: which rules are broken, what was tried, what passes. It holds what the data chose, and stays inside."""
        refused = dict.fromkeys(finding.rule for finding in self.now.findings if finding.severity == "refuse")
        return {
            "pack": {"name": self.pack.name, "version": self.pack.version, "digest": self.pack.digest},
            "passes": self.passes,
            "refused": [self._said(rule) for rule in refused],
            "ask": [finding.as_data() for finding in self.ask],
            "tried": [
                {"mends": MENDS.dump_python(one.mends, mode="json"), "refused": list(one.refused), "hidden_percent": one.hidden_percent}
                for one in self.tried
            ],
            "proposal": None if self.proposal is None else MENDS.dump_python(self.proposal, mode="json"),
        }

    def _said(self, rule: str) -> dict[str, Any]:
        kind = "linkage" if rule == "linkage" else self.pack.rule(rule).kind
        said = words()[kind]
        return {"rule": rule, "kind": kind, "zh": _text(said, "zh"), "en": _text(said, "en")}


def _text(one: RuleWords, language: str) -> dict[str, str]:
    return {name: getattr(getattr(one, name), language) for name in ("title", "detail", "remedy")}


def _usual(pack: RulePack) -> tuple[Mend, ...]:
    round_ = _rounding(pack)
    return (Suppress(),) if round_ is None else (round_, Suppress())


def preflight(table: ExactTable, pack: RulePack, earlier: ReleaseIndex | None = None, mends: Sequence[Mend] = ()) -> Preflight:
    """What would be refused of the table with these mends, and the mildest set of further ones that passes. Raises as `outcome` does for the
    mends given."""
    made = outcome(table, mends, pack, earlier=earlier)
    now = evidence(made, earlier, mends)
    ask = tuple(finding for finding in now.findings if finding.severity == "refuse" and _kind(pack, finding) in UNMENDABLE)
    if not _open(pack, now):
        return Preflight(now, ask, tuple(mends), now, (), pack)
    tried: list[Tried] = []
    for more in _candidates(made, pack):
        if len(tried) >= MOST_TRIED:
            break
        chosen = (*(mend for mend in mends if type(mend) not in {type(other) for other in more}), *more)
        try:
            attempt = outcome(table, chosen, pack, earlier=earlier)
        except Problem:
            continue  # a merge that only rows can make
        after = evidence(attempt, earlier, chosen)
        left = _open(pack, after)
        tried.append(Tried(chosen, left, 100 * len(attempt.hidden) // max(len(attempt.table.cells), 1)))
        if not left:
            return Preflight(now, ask, chosen, after, tuple(tried), pack)
    return Preflight(now, ask, None, None, tuple(tried), pack)


def _kind(pack: RulePack, finding: Finding) -> str:
    return "linkage" if finding.rule == "linkage" else pack.rule(finding.rule).kind


def _open(pack: RulePack, found: Evidence) -> tuple[str, ...]:
    """Rules that are broken and that a mend might help."""
    return tuple(
        dict.fromkeys(finding.rule for finding in found.findings if finding.severity == "refuse" and _kind(pack, finding) not in UNMENDABLE)
    )


def _candidates(made: Outcome, pack: RulePack) -> Iterator[tuple[Mend, ...]]:
    """From the mildest: round as the pack asks, suppress, both, round so far that differences say nothing, merge small levels, drop a
    dimension."""
    round_ = _rounding(pack)
    if round_ is not None:
        yield (round_,)
        yield (round_, Suppress())
    else:
        yield (Suppress(),)
    threshold = next(rule.threshold for rule in pack.rules if rule.kind == "differencing")
    coarse: Mend = Round(base=max(5, threshold // 2 + 1))
    if round_ is None:
        yield (coarse, Suppress())
    merges = [merge for merge in (_merge(made, dimension, threshold) for dimension in made.table.dimensions) if merge is not None]
    last: tuple[Mend, ...] = (Suppress(),) if round_ is None else (round_, Suppress())
    for merge in merges:
        yield (merge, *last)
    if len(merges) > 1:
        yield (*merges, *last)
    for dimension in sorted(made.table.dimensions, key=lambda one: -len(one.levels)):
        if dimension.everything is not None:
            yield (Drop(dimension=dimension.name), *last)


def _rounding(pack: RulePack) -> Mend | None:
    for rule in pack.rules:
        if rule.kind == "rounding":
            return Midpoint(base=rule.base) if rule.method == "midpoint" else Round(base=rule.base)
    return None


def _merge(made: Outcome, dimension: Dimension, threshold: int) -> Merge | None:
    """The smallest finest levels of one parent as one, until together they are five thresholds of units: None when there are not two."""
    table = made.table
    axis = table.dimensions.index(dimension)
    units: dict[int, int] = {}
    for cell in table.cells:
        others = (place == other.everything for other, place in zip(table.dimensions, cell.at, strict=True) if other is not dimension)
        if all(others):
            units[cell.at[axis]] = cell.units
    families: dict[int | None, list[int]] = {}
    for level, item in enumerate(dimension.levels):
        if level not in dimension.children and level in units:
            families.setdefault(item.parent, []).append(level)
    best: list[int] = []
    for family in families.values():
        small = sorted(family, key=lambda level: (units[level], level))
        chosen: list[int] = []
        for level in small:
            if len(chosen) >= 2 and sum(units[one] for one in chosen) >= 5 * threshold:
                break
            chosen.append(level)
        if 2 <= len(chosen) < len(family) and (not best or units[small[0]] < min(units[one] for one in best)):
            best = chosen
    if not best:
        return None
    codes = tuple(dimension.levels[level].code for level in sorted(best))
    into = "+".join(codes)
    return Merge(dimension=dimension.name, levels=codes, into=into if len(into) <= 200 else f"{codes[0]}+{len(codes) - 1}")
