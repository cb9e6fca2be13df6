"""All that a reviewer looks at, in one piece: the table with risky cells marked, as it would leave, summaries, query and plan, evidence, what
is new since it was let out before, what left earlier. Nobody else sees it, and that it was seen is in the log before the first byte is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from jobs import events as ev
from jobs import reviews
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.reviews import may_judge
from jobs.kinds.exact import explain
from jobs.lane.case import Case, case
from jobs.lane.examine import Examined, examined
from jobs.lane.index import Left
from jobs.lane.publish import news, standing_for
from jobs.office import Office
from policies.disclosure.preflight import preflight
from policies.disclosure.table import Amount, ExactTable, Measure, text

MOST_TRIED_CELLS = 2_000  # each set of mends is a whole examination


def workbench(office: Office, job: str, *, by: str) -> dict[str, Any] | None:
    """JSON-ready; None when there is no such held table. For reviewers on duty without a conflict, and for supervisors."""
    found = case(office, job)
    if found is None:
        return None
    with office.register.transaction() as act:  # asked before anything is decrypted
        _may_look(act, by, found)
    seen = examined(office, found)
    with office.register.transaction() as act:
        _may_look(act, by, found)
        sealed = act.seal(seen.locked(office, job))
        entry = act.append(ev.OutputViewed(by=by, job=job, review=found.row.review, evidence=sealed))
    return {**_shown(office, found, seen), "viewed": entry}


def _may_look(act: Any, by: str, found: Case) -> None:
    who = known(act, by, "active")
    if who.role == "supervisor":
        return
    if who.role != "reviewer":
        raise PRINCIPAL_ROLE(principal=by, role=who.role, needed="reviewer")
    may_judge(act, by, found.row.operator)


def _shown(office: Office, found: Case, seen: Examined) -> dict[str, Any]:
    marks: dict[int, list[str]] = defaultdict(list)
    for finding in seen.evidence.findings:
        for cell in finding.cells:
            marks[cell].append(finding.rule)
    standing = standing_for(office, found)
    return {
        "job": found.job,
        "state": found.row.state,
        "review": found.row.review,
        "operator": found.row.operator,
        "licence": found.row.licence,
        "scenario": found.row.scenario,
        "held_at": found.row.held_at,
        "query": found.plan.query,
        "plan": explain(found.plan),
        "facts": dict(found.request.facts),
        "mends": found.request.content()["mends"],
        "pack": {"name": seen.pack.name, "version": seen.pack.version, "digest": seen.pack.digest, "held_under": found.row.pack},
        "verdict": seen.evidence.verdict,
        "refused_by": list(seen.refused),
        "lost_rows": seen.lost,
        "table": _table(seen.mended, marks, seen.hidden),
        "counted": _table(seen.table, {}, frozenset()),
        "leaves": _leaves(seen),
        "summaries": [_summary(seen.table, place) for place in range(len(seen.table.measures))],
        "evidence": dict(seen.evidence.data),
        "proposal": _proposal(found, seen),
        "since": None if standing is None else {"standing": standing.id, "until": standing.until, "new": news(office, standing.id, seen)},
        "earlier": [_earlier(found, one) for one in seen.earlier.shown],
        "earlier_count": seen.earlier.count,
        "exact_totals": [
            {"account": one.account, "releases": one.releases, "rows": one.cells}
            for one in reviews.exact_counts(office.register, found.admitted.accounts)
        ],
    }


def _table(table: ExactTable, marks: dict[int, list[str]], hidden: frozenset[int]) -> dict[str, Any]:
    """Cell by cell; `risky`: rules that found something of it; `hidden`: it does not leave."""
    return {
        "dimensions": [
            {"name": one.name, "column": one.column, "levels": [{"code": level.code, "parent": level.parent} for level in one.levels]}
            for one in table.dimensions
        ],
        "measures": [{"name": one.name, "kind": one.kind, "decimals": one.decimals, "of": one.of} for one in table.measures],
        "disjoint": table.disjoint,
        "cells": [
            {
                "number": number,
                "levels": list(table.codes(number)),
                "units": cell.units,
                "values": [_amount(measure, amount) for measure, amount in zip(table.measures, cell.amounts, strict=True)],
                "risky": list(dict.fromkeys(marks.get(number, []))),
                "hidden": number in hidden,
            }
            for number, cell in enumerate(table.cells)
        ],
    }


def _amount(measure: Measure, amount: Amount) -> dict[str, Any]:
    return {
        "value": _value(measure, amount),
        "counted": amount.values,
        "largest": [text(item) for item in amount.largest[:3]],
        "largest_percent": [round(float(100 * Fraction(item) / Fraction(amount.weight)), 1) for item in amount.largest[:3] if amount.weight],
    }


def _value(measure: Measure, amount: Amount) -> str | None:
    if measure.kind == "mean":
        return text(round(Fraction(amount.total) / amount.values, measure.decimals)) if amount.values else None
    return text(amount.total)


def _proposal(found: Case, seen: Examined) -> dict[str, Any] | None:
    """The mildest mends that would pass, to be suggested to the author: where the rules refuse and the table is not too large to try."""
    if not seen.refused or len(seen.table.cells) > MOST_TRIED_CELLS:
        return None
    return preflight(seen.table, seen.pack, seen.earlier.index, found.request.mends).for_reviewers()


def _leaves(seen: Examined) -> dict[str, Any]:
    rows = [
        {"levels": list(cell.levels), "shown": [{"value": text(one.value), "base": one.base} for one in cell.shown]}
        for cell in seen.released.cells
    ]
    notes = [{"zh": zh, "en": en} for zh, en in seen.released.notes]
    return {"rows": rows, "notes": notes, "suppressed": seen.released.suppressed}


def _summary(table: ExactTable, place: int) -> dict[str, Any]:
    """As OpenSAFELY's checkers have them: extremes, the least but zero, sum, and how much is divisible by 5 and 6 (rounded already?)."""
    measure = table.measures[place]
    values = [cell.amounts[place].total for cell in table.cells]
    nonzero = [value for value in values if value]
    return {
        "measure": measure.name,
        "kind": measure.kind,
        "cells": len(values),
        "zeros": len(values) - len(nonzero),
        "min": text(min(values, default=None)),
        "min_nonzero": text(min(nonzero, default=None)),
        "max": text(max(values, default=None)),
        "sum": text(sum(values, Fraction(0)) if values else None),
        "divisible_by_5": _divisible(values, 5),
        "divisible_by_6": _divisible(values, 6),
    }


def _divisible(values: Sequence[int | Fraction], by: int) -> int:
    return sum(Fraction(value) % by == 0 for value in values)


def _earlier(found: Case, one: Left) -> dict[str, Any]:
    approval = one.approval or {}
    return {
        "release": one.release,
        "entry": one.entry,
        "lane": "exact" if one.approval is not None else "noised",
        "same_licence": one.licence == found.row.licence,
        "same_operator": one.operator == found.row.operator,
        "same_shape": one.record.get("shape") == found.row.shape,
        "query": one.record.get("query"),
        "rows": one.record.get("rows"),
        "sources": [f"{source['dataset']} v{source['version']}" for source in one.record.get("sources", [])],
        "findings": approval.get("known", []),
    }
