"""The audit of suppression against somebody who tries every table; patterns that are safe by the audit; neither can be weakened unseen."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.disclosure.apply import outcome
from policies.disclosure.attack import audit
from policies.disclosure.mend import Drop, Midpoint, Round, Suppress
from policies.disclosure.moves import Need
from policies.disclosure.pack import RulePack, shipped_pack
from policies.disclosure.relations import Seen
from policies.disclosure.rules import sensitive
from policies.disclosure.suppress import Task, pattern
from policies.disclosure.system import Linked, Sum, System, link
from policies.disclosure.table import ExactTable, Measure
from tests.exact_tables import brute, counted, flat, grid, random_counts, random_sums

SMALL = [[(4,), (3,)], [(3,), (3,)], [(2,), (2,), (2,)]]


def seen_of(table: ExactTable, hidden: frozenset[int]) -> list[Seen]:
    (system,) = link([table]).systems
    return [Seen({at: (value, value) for at, value in enumerate(system.truth) if at not in hidden and value is not None})]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), shape=st.sampled_from([(3, 3), (2, 4)]), share=st.floats(0.3, 0.9))
def test_intervals_of_two_way_tables_are_those_of_somebody_who_tries_everything(seed: int, shape: tuple[int, int], share: float) -> None:
    rng = random.Random(seed)
    table = grid([[rng.randint(0, 5) for _ in range(shape[1])] for _ in range(shape[0])])
    inner = [number for number, cell in enumerate(table.cells) if cell.at[0] < shape[0] and cell.at[1] < shape[1]]
    hidden = frozenset(number for number in inner if rng.random() < share)
    if not 1 <= len(hidden) <= 7:
        hidden = frozenset(inner[:5])
    found = audit(link([table]), seen_of(table, hidden), [{}]).intervals[0]
    tried = brute(table, hidden, most=20)
    assert {number: (int(one.low), int(one.high)) for number, one in found.items()} == tried


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_three_way_verdicts_are_those_of_somebody_who_tries_everything(seed: int) -> None:
    rng = random.Random(seed)
    dimensions = [flat(name, ["x", "y"]) for name in ("a", "b", "c")]
    table = counted(dimensions, {(a, b, c): rng.randint(0, 4) for a in (0, 1) for b in (0, 1) for c in (0, 1)})
    hidden = frozenset(number for number, cell in enumerate(table.cells) if rng.random() < 0.75 and 2 not in cell.at)
    hidden |= frozenset(number for number, cell in enumerate(table.cells) if rng.random() < 0.25 and cell.at.count(2) == 1)
    tried = brute(table, hidden, most=13)
    need = rng.randint(1, 3)
    needs = {number: (min(1, int(table.cells[number].amounts[0].total)), need) for number in hidden}
    result = audit(link([table]), seen_of(table, hidden), [needs])
    truth = {number: int(table.cells[number].amounts[0].total) for number in hidden}
    for number, one in result.intervals[0].items():  # every end is attained by a table of whole numbers
        assert tried[number][0] <= one.low <= truth[number] <= one.high <= max(tried[number][1], truth[number])
    narrow = {number for number in hidden if truth[number] - tried[number][0] < needs[number][0] or tried[number][1] - truth[number] < need}
    assert {breach.unknown for breach in result.breaches} == narrow


def test_counts_are_attained_by_whole_tables() -> None:
    """w is in three sums with two of x, y and z each: it can move by two, or by one among fractions; a fourth sum allows one. Whole numbers of
    people cannot move at all, sums of money can."""
    sums = (Sum(5, (0, 1, 3)), Sum(6, (1, 2, 3)), Sum(7, (0, 2, 3)), Sum(8, (3, 4)))
    truth = (1, 1, 1, 1, 1, 3, 3, 3, 2)
    seen = [Seen({at: (truth[at], truth[at]) for at in (5, 6, 7, 8)})]
    for measure, safe in ((Measure("n", "count"), False), (Measure("fee", "sum"), True)):
        linked = Linked((), {}, (), (System(measure, truth, sums, truth),))
        found = audit(linked, seen, [{3: (0, 1)}])
        assert found.safe is safe
        assert found.intervals[0][3].high == (2 if safe else 1)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), fans=st.sampled_from([((3, 2), (4,)), ((4,), (3,), (2,)), ((2, 2), (2, 2), (3,))]))
def test_patterns_are_safe_and_what_they_show_is_true(seed: int, fans: tuple[tuple[int, ...], ...]) -> None:
    table = random_counts(fans, seed)
    made = outcome(table, [Suppress()], shipped_pack("general"))
    assert made.audit is not None
    assert made.audit.safe
    assert made.bound <= made.cost + 1e-9
    released = made.released()
    for number, cell in enumerate(released.cells):
        assert cell.shown[0].value == (None if number in made.hidden else table.cells[number].amounts[0].total)
    assert made.primary <= made.hidden


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sums_share_the_pattern_and_are_protected_by_their_own_rules(seed: int) -> None:
    pack = shipped_pack("enterprise")
    table = random_sums([(4,), (3, 3)], seed)
    made = outcome(table, [Suppress()], pack)
    assert made.audit is not None
    assert made.audit.safe, made.audit.breaches
    needs = [one for one in sensitive(table, pack) if one.measure == 1]
    assert needs
    intervals = made.audit.intervals[1]
    for one in needs:
        interval = intervals[made.linked.slot[0, one.cell]]
        truth = table.cells[one.cell].amounts[1].total
        assert interval.low <= truth - one.below
        assert interval.high >= truth + one.above
    for cell in made.released().cells:
        assert len({shown.value is None for shown in cell.shown}) == 1, "a cell is hidden for every measure or for none"


def test_each_shown_complement_would_be_missed() -> None:
    """Show any complement of a thinned pattern again, and the audit finds a breach: the search leaves nothing over on this table."""
    table = random_counts([(3, 2), (4,)], 5, zero=0.0)
    made = outcome(table, [Suppress()], shipped_pack("general"))
    linked = made.linked
    needs: dict[int, tuple[int, int]] = {}
    for one in sensitive(table, made.pack):
        slot = linked.slot[0, one.cell]
        below, above = needs.get(slot, (0, 0))
        needs[slot] = max(below, int(one.below)), max(above, int(one.above))
    extra = made.hidden - made.primary
    assert extra
    for number in extra:
        fewer = made.hidden - {number}
        assert not audit(linked, seen_of(table, fewer), [needs]).safe, number


def test_rounded_tables_keep_the_truth_within_what_they_show() -> None:
    table = random_counts([(3,), (4,)], 9)
    for mend in (Round(base=5), Round(base=10), Midpoint(), Round(base=5, controlled=True)):
        made = outcome(table, [mend], shipped_pack("rounded"))
        for number, cell in enumerate(made.released().cells):
            truth, shown = table.cells[number].amounts[0].total, cell.shown[0]
            assert shown.value is not None
            far = abs(shown.value - int(truth))
            assert far < shown.base if isinstance(mend, Round) and mend.controlled else far <= shown.base / 2
            assert truth or not shown.value, "nobody stays nobody"


def test_controlled_rounding_adds_up() -> None:
    table = random_counts([(4,), (5,)], 3)
    made = outcome(table, [Round(base=5, controlled=True)], shipped_pack("general"))
    assert made.additive == {"n"}
    shown = [cell.shown[0].value for cell in made.released().cells]
    for whole, parts in table.sums():
        assert shown[whole] == sum(shown[part] or 0 for part in parts)
    alone = outcome(table, [Round(base=5)], shipped_pack("general")).released()
    assert any(
        alone.cells[whole].shown[0].value != sum(alone.cells[part].shown[0].value or 0 for part in parts) for whole, parts in table.sums()
    )


def test_somebody_alone_in_a_cell_does_not_find_the_other() -> None:
    """Two hidden cells in each line of a square, one of them a single person: who knows itself would know all four."""
    table = grid([[1, 5, 40], [6, 60, 70], [50, 80, 90]])
    one = table.where[0, 0]
    task_hidden = frozenset(table.where[at] for at in ((0, 0), (0, 1), (1, 0), (1, 1)))
    found = audit(link([table]), seen_of(table, task_hidden), [{table.where[0, 1]: (1, 1)}], [frozenset({one})])
    assert [(breach.side, breach.knows) for breach in found.breaches] == [("exact", (one,))]
    kept = outcome(table, [Suppress()], shipped_pack("general"))
    assert kept.audit is not None
    assert kept.audit.safe


def test_a_unit_alone_in_two_cells_knows_both() -> None:
    table = random_sums([(4,), (4,)], 4)
    alone = [number for number, cell in enumerate(table.cells) if cell.units == 1]
    assert alone
    holders = {table.cells[number].amounts[1].holders[0] for number in alone}
    made = outcome(table, [Suppress()], shipped_pack("enterprise"))
    assert made.audit is not None
    assert made.audit.safe
    assert len(holders) <= len(alone)


def test_what_is_dropped_is_still_protected() -> None:
    """Leaving out the row that has the small cell leaves total less the others: the audit says so, and suppression goes on to hide more."""
    table = grid([[3, 50], [40, 60], [70, 80]])
    pack = shipped_pack("general")
    gone = Drop(dimension="row", levels=("r0",))
    alone = outcome(table, [gone], pack)
    assert alone.audit is not None
    assert not alone.audit.safe
    both = outcome(table, [gone, Suppress()], pack)
    assert both.audit is not None
    assert both.audit.safe
    assert all("r0" not in cell.levels for cell in both.released().cells)


@pytest.mark.parametrize("part", ["needs", "alone"])
def test_nothing_can_be_taken_from_a_task_unseen(part: str) -> None:
    """A pattern made for less than the audit asks fails the audit."""
    table = grid([[1, 5, 40], [6, 60, 70], [50, 80, 90]])
    linked, where = link([table]), table.where
    one, other = where[0, 0], where[0, 1]
    needs = {one: Need(1, 1), other: Need(1, 1 if part == "alone" else 5)}
    cheap = {one, other, where[1, 0], where[1, 1]}
    weights = [1.0 if number in cheap else 100.0 for number in range(len(table.cells))]
    full = Task(linked, [needs], weights, alone=[frozenset({one})])
    less = replace(full, needs=[{one: Need(1, 1)}], alone=[]) if part == "needs" else replace(full, alone=[])
    for task, safe in ((full, True), (less, False)):
        hidden = pattern(task).hidden | frozenset(needs)
        asked = [{unknown: (need.below, need.above) for unknown, need in needs.items()}]
        assert audit(linked, seen_of(table, hidden), asked, [frozenset({one})]).safe is safe


def test_the_same_table_has_the_same_pattern() -> None:
    table = random_counts([(3, 2), (4,)], 12)
    pack: RulePack = shipped_pack("general")
    assert outcome(table, [Suppress()], pack).hidden == outcome(table, [Suppress()], pack).hidden
