"""Linked tables, rounding windows, covers, and pre-flight."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from policies.disclosure.apply import outcome
from policies.disclosure.attack import audit
from policies.disclosure.index import ReleaseIndex
from policies.disclosure.mend import Midpoint, Suppress
from policies.disclosure.moves import Need, Side, sides
from policies.disclosure.pack import shipped_pack
from policies.disclosure.preflight import preflight
from policies.disclosure.relations import Relation, Seen, Steps
from policies.disclosure.rules import sensitive
from policies.disclosure.system import link
from policies.disclosure.table import Amount, Cell, ExactTable, Measure
from tests.exact_tables import FACTS, basis, counted, flat, grid, random_counts

PACK = shipped_pack("general")


def two_tables() -> tuple[ExactTable, ExactTable]:
    """City by sex, and city by age, of the same people, both without totals: each city's is in neither and follows from both."""
    people = {(0, 0, 0): 3, (0, 0, 1): 40, (0, 1, 0): 20, (0, 1, 1): 30, (1, 0, 0): 25, (1, 0, 1): 35, (1, 1, 0): 45, (1, 1, 1): 55}
    city, sex, age = flat("city", ["a", "b"], None), flat("sex", ["f", "m"], None), flat("age", ["young", "old"], None)
    by_sex = {(c, s): sum(people[c, s, a] for a in (0, 1)) for c in (0, 1) for s in (0, 1)}
    by_age = {(c, a): sum(people[c, s, a] for s in (0, 1)) for c in (0, 1) for a in (0, 1)}
    return counted([city, sex], by_sex), counted([city, age], by_age)


def test_cells_of_the_same_people_are_one_unknown() -> None:
    one = grid([[3, 30], [20, 40]])
    again = counted([flat("row", ["r0", "r1"], None)], {(0,): 33, (1,): 60})
    linked = link([one, again])
    assert linked.slot[1, 0] == linked.slot[0, one.where[0, 2]]
    assert len(linked.cells) == len(one.cells)
    other = counted([flat("row", ["r0", "r1"], None)], {(0,): 33, (1,): 60}, of=basis({"opaque": "d"}))
    assert len(link([one, other]).cells) == len(one.cells) + 2


def test_a_table_with_a_further_dimension_adds_up_to_one_without() -> None:
    fine = counted([flat("city", ["a", "b"], None), flat("sex", ["f", "m"], None)], {(0, 0): 3, (0, 1): 40, (1, 0): 25, (1, 1): 35})
    coarse = counted([flat("city", ["a", "b"], None)], {(0,): 43, (1,): 60})
    (system,) = link([fine, coarse]).systems
    assert len(system.sums) == 2
    wrong = counted([flat("city", ["a", "b"], None)], {(0,): 44, (1,): 60})
    (system,) = link([fine, wrong]).systems
    assert len(system.sums) == 1, "a relation that does not hold tells nothing"


def test_suppression_looks_at_tables_beside() -> None:
    """Alone, hiding one cell and another in its line is enough; with the line's parts known from another table it is not."""
    fine = counted(
        [flat("city", ["a", "b", "c"], None), flat("sex", ["f", "m"], None)],
        {(0, 0): 3, (0, 1): 40, (1, 0): 25, (1, 1): 35, (2, 0): 31, (2, 1): 44},
    )
    coarse = counted([flat("city", ["a", "b", "c"], None)], {(0,): 43, (1,): 60, (2,): 75})
    alone = outcome(fine, [Suppress()], PACK)
    assert alone.hidden == {fine.where[0, 0]}, "no margin is shown"
    beside = outcome(fine, [Suppress()], PACK, beside=[coarse])
    assert beside.audit is not None
    assert beside.audit.safe
    assert {fine.where[0, 0], fine.where[0, 1]} <= beside.hidden


def test_things_counted_once_each_cover_and_do_not_add_up() -> None:
    """COUNT(DISTINCT …): 30 of 25 and 20; with 20 hidden it is from 5 to 30."""
    dimension = flat("row", ["x", "y"])
    measure = (Measure("visitors", "count", of="v.person", additive=False),)
    cells = tuple(Cell((at,), value, (Amount(value, value),)) for at, value in enumerate((25, 20, 30)))
    table = ExactTable(basis(), (dimension,), measure, cells, disjoint=False, facts=FACTS)
    (system,) = link([table]).systems
    assert [each.cover for each in system.sums] == [True]
    found = audit(link([table]), [Seen({0: (25, 25), 2: (30, 30)})], [{1: (15, 10)}])
    assert (found.intervals[0][1].low, found.intervals[0][1].high) == (5, 30)
    assert found.safe
    assert not audit(link([table]), [Seen({0: (25, 25), 2: (30, 30)})], [{1: (16, 10)}]).safe


def test_what_is_rounded_protects_what_is_hidden() -> None:
    """With every margin rounded, a hidden cell moves within the windows: fewer complements than with exact margins."""
    table = replace(grid([[3, 50, 60], [40, 60, 70], [70, 80, 90]]), facts=FACTS)
    exact = outcome(table, [Suppress()], PACK)
    both = outcome(table, [Midpoint(), Suppress()], PACK)
    assert both.audit is not None
    assert both.audit.safe
    assert len(both.hidden) <= len(exact.hidden)


def test_a_table_that_breaks_a_relation_is_no_possible_one() -> None:
    """Whatever a solver says: in whole last places, by our own sums."""
    relation = Relation((0, 1), (1, 1), Fraction(0), Fraction(0))
    steps = Steps([relation], [Fraction(-3), Fraction(-3)], [Fraction(5), Fraction(5)], Fraction(1))
    assert steps.hold(np.array([-2, 2]))
    assert not steps.hold(np.array([-2, 3])), "the sum"
    assert not steps.hold(np.array([-4, 4])), "below nothing"


def test_a_small_table_is_solved_to_the_end() -> None:
    """The search finds 39 where 33 will do; the integer program finds it, and its bound says that nothing is cheaper."""
    table = random_counts([(3,), (4,)], 1)
    made = outcome(table, [Suppress()], PACK)
    assert made.audit is not None
    assert made.audit.safe
    assert made.cost == pytest.approx(made.bound)
    lost = sum(task_weight(table, number) for number in made.hidden)
    cheaper = [
        made.primary | set(more)
        for size in range(4)
        for more in combinations(sorted(set(range(len(table.cells))) - made.primary), size)
        if sum(task_weight(table, number) for number in made.primary | set(more)) < lost
    ]
    assert len(cheaper) > 20
    assert not any(safe(table, frozenset(hidden)) for hidden in cheaper)


def test_a_need_has_two_sides() -> None:
    assert sides({3: Need(2, 5), 1: Need(0, 7)}) == [Side(1, 1, 7), Side(3, 1, 5), Side(3, -1, 2)]


def task_weight(table: ExactTable, number: int) -> int:
    return 1 + table.cells[number].units


def safe(table: ExactTable, hidden: frozenset[int]) -> bool:
    needs: dict[int, tuple[int, int]] = {}
    for one in sensitive(table, PACK):
        below, above = needs.get(one.cell, (0, 0))
        needs[one.cell] = max(below, int(one.below)), max(above, int(one.above))
    seen = Seen({at: (int(cell.amounts[0].total),) * 2 for at, cell in enumerate(table.cells) if at not in hidden})
    return audit(link([table]), [seen], [needs], thorough=False).safe


def test_preflight_proposes_what_passes() -> None:
    table = random_counts([(3, 2), (4,)], 5)
    report = preflight(table, PACK)
    assert not report.passes
    assert report.proposal is not None
    assert report.after is not None
    assert report.after.verdict != "refuse"
    again = preflight(table, PACK, None, report.proposal)
    assert again.passes
    assert again.tried == ()


def test_preflight_merges_where_nothing_can_be_hidden() -> None:
    """One line and its total: two small cells can hide each other; one small cell among two has nothing to hide behind but the other."""
    table = counted([flat("city", ["a", "b", "c", "d"])], {(0,): 4, (1,): 3, (2,): 300, (3,): 400})
    report = preflight(table, PACK)
    assert report.proposal is not None
    assert [one.refused == () for one in report.tried][-1]


def test_preflight_asks_the_author_for_what_no_mend_gives() -> None:
    table = replace(random_counts([(3,), (4,)], 5), facts={"title": "x"})
    report = preflight(table, PACK)
    assert [finding.rule for finding in report.ask] == ["context"]
    told = report.for_author()
    assert [line["rule"] for line in told["refused"]] == ["context"]
    assert all(line["zh"]["title"] and line["en"]["remedy"] for line in told["refused"])


def test_what_authors_are_told_does_not_depend_on_the_data() -> None:
    """Byte for byte the same for a table that breaks every rule of numbers and one that breaks none."""
    for name in ("general", "rounded", "enterprise"):
        pack = shipped_pack(name)
        safe, small = grid([[100, 230], [320, 440]]), grid([[1, 0], [2, 3]])
        index = ReleaseIndex()
        told = [json.dumps(preflight(table, pack, index).for_author(), sort_keys=True) for table in (safe, small)]
        assert told[0] == told[1]
        assert preflight(safe, pack).for_reviewers() != preflight(small, pack).for_reviewers()
