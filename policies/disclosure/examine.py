"""Evidence: everything the rules, the audit and the memory of earlier releases say of a table as it would leave. No decision is made here.

Evidence is for reviewers: it holds exact numbers and stays inside. Its verdict is the machine's alone: "refuse" when something must be mended
first, "look" when a person must judge a finding, "pass" when rules are silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policies.disclosure.apply import Outcome, outcome
from policies.disclosure.differencing import compare
from policies.disclosure.index import ReleaseIndex
from policies.disclosure.mend import MENDS, Mend
from policies.disclosure.pack import RulePack
from policies.disclosure.rules import findings
from policies.disclosure.table import SEVERITIES, Evidence, ExactTable, Finding, text

FORMAT = 1


def examine(table: ExactTable, pack: RulePack, earlier: ReleaseIndex | None = None, mends: Sequence[Mend] = ()) -> Evidence:
    """The evidence for a table with these mends. `earlier` None: nothing was ever released. Raises as `apply.outcome` does."""
    return evidence(outcome(table, mends, pack, earlier=earlier), earlier, mends)


def evidence(made: Outcome, earlier: ReleaseIndex | None, mends: Sequence[Mend], counts: Mapping[str, int] | None = None) -> Evidence:
    """The same of an outcome that was made before, with the same `earlier`. `counts`: what the raw side answered to requests, by id."""
    found = list(findings(made.subject))
    rule = next(rule for rule in made.pack.rules if rule.kind == "differencing")
    compared = compare(made, earlier or ReleaseIndex(), rule, counts)
    found += compared.findings
    found += _breaches(made)
    found.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.rule, finding.measure, finding.cells))
    return Evidence(
        {
            "format": FORMAT,
            "verdict": _verdict(found),
            "pack": {"name": made.pack.name, "version": made.pack.version, "digest": made.pack.digest},
            "table": _shape(made),
            "mends": MENDS.dump_python(tuple(mends), mode="json"),
            "rules": [{"id": rule.id, "kind": rule.kind, "severity": rule.severity, "source": rule.source} for rule in made.pack.rules],
            "findings": [finding.as_data() for finding in found],
            "suppression": _suppression(made),
            "audit": None if made.audit is None else made.audit.as_data(made.linked),
            "differencing": compared.as_data(),
            "requests": [request.as_data() for request in compared.requests],
            "summary": [_summary(made, place) for place in range(len(made.table.measures))],
        }
    )


def _verdict(found: Sequence[Finding]) -> str:
    kinds = {finding.severity for finding in found}
    return "refuse" if "refuse" in kinds else "look" if "look" in kinds else "pass"


def _breaches(made: Outcome) -> list[Finding]:
    """What the audit says can be worked out of hidden cells; what was shown before cannot be hidden any more, and is for a person to judge."""
    if made.audit is None:
        return []
    found = []
    for breach in made.audit.breaches:
        cells = tuple(cell for table, cell in made.linked.cells[breach.unknown] if table == 0)
        facts: dict[str, Any] = {"side": breach.side, "needed": text(breach.needed), "attained": text(breach.attained)}
        if breach.knows:
            facts["knows"] = [list(made.linked.cells[unknown][0]) for unknown in breach.knows]
        before = bool(cells) and set(cells) <= made.known
        if before:
            facts["released_before"] = True
        found.append(
            Finding("linkage", "look" if before else "refuse", cells, made.linked.systems[breach.system].measure.name, facts, "suppress")
        )
    return found


def _shape(made: Outcome) -> dict[str, Any]:
    basis = made.table.basis
    return {
        "dimensions": [
            {"name": dimension.name, "column": dimension.column, "levels": [level.code for level in dimension.levels]}
            for dimension in made.table.dimensions
        ],
        "measures": [{"name": measure.name, "kind": measure.kind} for measure in made.table.measures],
        "cells": len(made.table.cells),
        "space": basis.space,
        "rows": basis.rows,
        "snapshot": basis.snapshot,
        "population": basis.population,
        "facts": dict(made.table.facts),
    }


def _suppression(made: Outcome) -> dict[str, Any]:
    """What the pattern loses. `cost` and `bound` in weights of the pack; `gap_percent`: how much of the cost an optimal pattern might save at
    most."""
    gap = 0.0 if made.cost <= 0 else max(0.0, 100 * (made.cost - made.bound) / made.cost)
    return {
        "hidden": sorted(made.hidden),
        "sensitive": sorted(made.primary),
        "absent": sorted(made.absent),
        "cost": f"{made.cost:.3f}",
        "bound": f"{made.bound:.3f}",
        "gap_percent": f"{gap:.1f}",
    }


def _summary(made: Outcome, place: int) -> dict[str, Any]:
    """What a reviewer looks at first (as OpenSAFELY's summary does): of the numbers shown, the least, the largest, the least that is not zero,
    how many are zero, and whether all can be divided by 5 and 6."""
    shown = [value for number in range(len(made.table.cells)) if (value := made.shown(number, place).value) is not None]
    nonzero = [value for value in shown if value != 0]
    return {
        "measure": made.table.measures[place].name,
        "shown": len(shown),
        "hidden": len(made.table.cells) - len(shown),
        "zeros": len(shown) - len(nonzero),
        "min": text(min(shown, default=None)),
        "max": text(max(shown, default=None)),
        "min_nonzero": text(min(nonzero, default=None)),
        "divisible_by_5": all(value % 5 == 0 for value in shown),
        "divisible_by_6": all(value % 6 == 0 for value in shown),
        "rounded": made.rounded[made.table.measures[place].name].method if made.table.measures[place].name in made.rounded else "",
    }
