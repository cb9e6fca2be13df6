"""Every accepted query of the spec means what plain DuckDB means by it, when bounds bind nothing and noise is off.

Each unit has one row, so no bound binds; values lie in their ranges. What is compared is the plan's exact totals put through its finish
query against the operator's own text run by DuckDB.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sandbox.plan.model import Total
from tests.questions import Engine, accepted_plans, tables, visit
from tests.spec.cases import Case, cases

ROWS = 900


def settled(value: Any) -> Any:
    """A value in one spelling: numbers as floats, midnight as its date."""
    if isinstance(value, (bool, int, float, Decimal)) and not isinstance(value, bool):
        number = float(value)
        return number + 0.0 if math.isfinite(number) else str(number)
    if isinstance(value, datetime) and (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date()
    return value


def order(row: tuple[Any, ...]) -> str:
    return repr([(value is None, f"{value:.5g}" if isinstance(value, float) else str(value)) for value in row])


def same(ours: Any, theirs: Any) -> bool:
    """Equal; floats to 1e-7, which is what fixed point with nine digits a row leaves of irrational values."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-7, abs_tol=1e-9)
    return type(ours) is type(theirs) and ours == theirs


@cache
def visited(twice: bool) -> Mapping[str, pa.Table]:
    """The same for every query; with `twice`, every second unit has two."""
    rng = random.Random(11)
    return tables([visit(rng, pid) for pid in range(ROWS) for _ in range(2 if twice and pid % 2 else 1)])


def part_totals(case: Case) -> list[Total]:
    return [total for part in accepted_plans()[case.id].parts for total in part.totals]


# narrowed ranges clamp by intent
KEPT = [case for case in cases() if case.refused is None and not case.ask.ranges]
# quantiles are chosen among candidates: compared below
CHOSEN = [case for case in KEPT if any(total.kind == "quantile" for total in part_totals(case))]
MEANT = [case for case in KEPT if case not in CHOSEN]


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.id)
def test_quantiles_are_as_near_as_candidates_are(case: Case) -> None:
    """Every quantile of ours is within 2 % of the range, and a candidate's distance, of the plain one."""
    data = visited(twice=False)
    engine = Engine()
    plan = accepted_plans()[case.id]
    rows = [tuple(row.values())[: len(plan.outputs)] for row in engine.finish(plan, engine.totals(plan, data), empty=False)]
    ours = {row[0] if plan.only.keys else None: row for row in rows}
    plain = engine.query(case.sql, {scan.dataset: data[scan.dataset] for scan in plan.scans})
    theirs = list(zip(*(column.to_pylist() for column in plain.columns), strict=True))
    assert len(theirs) == len(ours) > 0
    for row in theirs:
        for output, mine, wanted in zip(plan.outputs, ours[row[0] if plan.only.keys else None], row, strict=True):
            if output.spacing is not None:
                assert output.low is not None
                assert output.high is not None
                assert abs(float(mine) - float(wanted)) <= 0.02 * (output.high - output.low) + output.spacing
            elif output.kind == "value":
                assert float(mine) == pytest.approx(float(wanted), rel=0.1)


@pytest.mark.parametrize("case", MEANT, ids=lambda case: case.id)
def test_as_duckdb_has_it(case: Case) -> None:
    # where rows of one unit meet, some units have two: no bound binds even so
    twice = case.chapter == "8-subqueries" or case.section == "2-private"
    data = visited(twice)
    engine = Engine()
    plan = accepted_plans()[case.id]
    labels = [output.label for output in plan.outputs]
    ours = [tuple(settled(row[label]) for label in labels) for row in engine.answer(plan, data)]
    if case.duckdb_raises:
        with pytest.raises(duckdb.Error):
            engine.query(case.sql, {scan.dataset: data[scan.dataset] for scan in plan.scans})
        assert ours
        return
    plain = engine.query(case.sql.rstrip("; "), {scan.dataset: data[scan.dataset] for scan in plan.scans})
    theirs = [tuple(settled(value) for value in row) for row in zip(*(column.to_pylist() for column in plain.columns), strict=True)]
    public = [place for place, output in enumerate(plan.outputs) if output.kind == "key" and plan.public_keys]
    several = len(plan.parts) > 1  # what is NULL then may be left out by a grouping set
    implied = several or any(None in (key.domain or ()) for part in plan.parts for key in part.keys)
    if not implied:  # a declared domain has no NULL
        theirs = [row for row in theirs if all(row[place] is not None for place in public)]
    else:  # nobody has NULL there: the public key is answered all the same
        values = [place for place, output in enumerate(plan.outputs) if output.kind != "key"]
        empty = [row for row in ours if any(row[place] is None for place in public) and any(row[place] == 0 for place in values)]
        ours = [row for row in ours if row not in empty or row in theirs]
    assert len(theirs) > 0
    assert len(ours) == len(theirs)
    for mine, plain_row in zip(sorted(ours, key=order), sorted(theirs, key=order), strict=True):
        assert all(map(same, mine, plain_row)), (mine, plain_row)


def test_the_comparison_can_tell() -> None:
    """The data has NULLs, dates and several groups: a wrong reading would show."""
    rng = random.Random(11)
    rows = [visit(rng, pid) for pid in range(ROWS)]
    assert any(row[5] is None for row in rows)
    assert len({row[1] for row in rows}) == 3
    assert same(settled(Decimal("1.10")), settled(1.1))
    assert not same(1.1, 1.1001)
    assert not same(1.0, None)
    assert settled(datetime.fromisoformat("2020-01-01")) == date(2020, 1, 1)
