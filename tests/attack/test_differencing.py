"""The classic attacks by subtraction, held before a person sees the table: on the release index of either lane."""

from __future__ import annotations

from typing import Any

import pytest

from policies.disclosure.apply import outcome
from policies.disclosure.differencing import compare, entries
from policies.disclosure.examine import evidence, examine
from policies.disclosure.index import Entry, ReleaseIndex, entry_data, entry_from
from policies.disclosure.mend import Mend, Midpoint, Round, Suppress
from policies.disclosure.pack import shipped_pack
from policies.disclosure.predicate import population
from policies.disclosure.table import Amount, Cell, Evidence, ExactTable, Measure
from tests.exact_tables import FACTS, basis, counted, flat, grid

PACK = shipped_pack("general")


def age(op: str, years: int) -> dict[str, Any]:
    return {op: ["visits.age", ["number", str(years)]]}


def city(*names: str) -> dict[str, Any]:
    return {"in": ["visits.city", [["text", name] for name in names]]}


def cohort(units: int, where: Any, job: str, snapshot: str = "s1", fee: int | None = None, disjoint: bool = True) -> ExactTable:
    """One number: how many are in a cohort (or, with `fee`, what they paid)."""
    measure = Measure("n", "count") if fee is None else Measure("fee", "sum", of="visits.fee")
    amount = Amount(units, units) if fee is None else Amount(fee, units, (fee // units, fee // units))
    return ExactTable(basis(where, job, snapshot), (), (measure,), (Cell((), units, (amount,)),), disjoint, FACTS)


class Lane:
    """Tables one after another, each into the index once it left."""

    def __init__(self, pack: str = "general") -> None:
        self.pack, self.index = shipped_pack(pack), ReleaseIndex()

    def submit(self, table: ExactTable, *mends: Mend) -> Evidence:
        made = outcome(table, mends, self.pack, earlier=self.index)
        found = evidence(made, self.index, mends)
        if found.verdict != "refuse":
            for entry, where in entries(made):
                stored = entry_data(entry, where)  # through its stored form, as the server keeps it
                self.index.add(entry_from(stored, population(stored["where"])))
        return found

    def refused(self, table: ExactTable, *mends: Mend) -> bool:
        found = self.submit(table, *mends)
        rules = {one.rule for one in found.findings if one.severity == "refuse"}
        assert rules <= {"differencing", "linkage"}, rules
        return "differencing" in rules


def test_two_cohorts_that_differ_by_one() -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, age("ge", 18), "a"))
    assert lane.refused(cohort(999, {"and": [age("ge", 18), age("lt", 101)]}, "b"))
    assert lane.refused(cohort(1001, age("ge", 17), "c")), "from outside as from inside"
    assert not lane.refused(cohort(990, {"and": [age("ge", 18), age("lt", 95)]}, "d")), "ten are enough"


def test_a_sum_is_told_apart_as_a_count_is() -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "a", fee=500_000))
    assert lane.refused(cohort(998, age("lt", 99), "b", fee=498_000))


def test_the_complement_and_the_total() -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "a"))
    assert lane.refused(cohort(996, {"not": city("Pingchang")}, "b")), "all less all but a village"


def test_totals_minus_subtotals_of_another_table() -> None:
    """A table by city without its smallest city, after one by district that has them all."""
    lane = Lane()
    whole = counted([flat("city", ["a", "b", "c"], None)], {(0,): 400, (1,): 300, (2,): 55}, basis(True, "a"))
    assert not lane.refused(whole)
    assert not lane.refused(cohort(755, True, "total"))
    part = counted([flat("city", ["a", "b"], None)], {(0,): 398, (1,): 296}, basis(age("lt", 90), "b"))
    assert lane.refused(part), "two of a, four of b"


def test_several_overlapping_filters() -> None:
    """All − (a or b) + … : no two cells are near each other; together they tell three people."""
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "all"))
    assert not lane.refused(cohort(500, age("lt", 40), "young"))
    assert not lane.refused(cohort(300, city("a"), "a"))
    assert not lane.refused(cohort(203, {"and": [city("a"), age("ge", 40)]}, "old in a"))
    # young in a: 300 - 203 = 97, so young elsewhere are 403; 400 of them not in b tells three young people of b
    assert lane.refused(cohort(400, {"and": [age("lt", 40), {"not": city("a", "b")}]}, "young, not in a or b"))
    assert not lane.refused(cohort(380, {"and": [age("lt", 40), {"not": city("a", "b")}]}, "young, not in a or b")), "23 are enough"


def test_the_same_table_on_two_snapshots() -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "march", "s1"))
    assert lane.refused(cohort(1001, True, "april", "s2")), "one came"
    assert not lane.refused(cohort(1050, True, "may", "s3")), "fifty came"


def test_rounding_far_enough_lets_snapshots_leave() -> None:
    lane = Lane("rounded")
    assert not lane.refused(cohort(1000, True, "march", "s1"), Midpoint())
    assert not lane.refused(cohort(1001, True, "april", "s2"), Midpoint())
    fives = Lane("rounded")
    assert lane.index.size == 2
    assert not fives.refused(cohort(1000, age("lt", 40), "a"), Midpoint())


def test_rounding_that_is_too_fine_does_not() -> None:
    """Multiples of 3 (998–1000 and 1001–1003, say) tell of a difference of 4 that it is from 1 to 5 or so: below ten, and not nothing."""
    lane = Lane()
    fine = Round(base=3)
    assert not lane.refused(cohort(1000, True, "a"), fine)
    assert lane.refused(cohort(996, age("lt", 99), "b"), fine)
    coarse = Lane()
    assert not coarse.refused(cohort(1000, True, "a"), Round(base=10))
    assert not coarse.refused(cohort(996, age("lt", 99), "b"), Round(base=10))


def test_only_rows_can_tell() -> None:
    """Units that are in several cells: what is between is at least the difference, and may be more. The raw side is asked, and decides."""
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "a", disjoint=False))
    table = cohort(997, age("lt", 99), "b", disjoint=False)
    made = outcome(table, [], PACK, earlier=lane.index)
    rule = PACK.rule("differencing")
    asked = compare(made, lane.index, rule)
    (request,) = asked.requests
    assert [finding.severity for finding in asked.findings] == ["look"]
    assert [one.severity for one in compare(made, lane.index, rule, {request.id: 3}).findings] == ["refuse"]
    assert compare(made, lane.index, rule, {request.id: 40}).findings == ()
    assert examine(table, PACK, lane.index).verdict == "look"


def test_an_opaque_condition_is_compared_with_itself_only() -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, {"opaque": "d1"}, "a"))
    assert not lane.refused(cohort(999, {"opaque": "d2"}, "b")), "nothing is known of two conditions that have nothing in common"
    assert lane.refused(cohort(999, {"and": [{"opaque": "d1"}, age("lt", 99)]}, "c"))


def test_a_noised_cell_isolates_nobody() -> None:
    lane = Lane()
    noised = Entry("dp", (), "person", "visits", "s1", population(True), None, {}, noised=True)
    lane.index.add(noised)
    assert not lane.refused(cohort(999, age("lt", 99), "b"))
    assert examine(cohort(999, age("lt", 99), "b"), PACK, lane.index).data["differencing"]["noised"] == 1


def test_what_was_shown_before_hides_nothing() -> None:
    """The complement that would protect a small cell left in an earlier table: the pattern must do without it, and does."""
    rows = [[3, 50, 60, 70], [40, 60, 70, 80], [70, 80, 90, 95], [55, 65, 75, 85]]
    table = grid(rows)
    first = outcome(table, [Suppress()], PACK)
    complements = sorted(first.hidden - first.primary)
    lane = Lane()
    for number in complements[:2]:
        cell = table.cells[number]
        codes = table.codes(number)
        where = {
            "and": [
                {"in": [f"visits.{name}", [["text", code]]]} for name, code in zip(("row", "column"), codes, strict=True) if code != "total"
            ]
        }
        assert not lane.refused(cohort(cell.units, where, f"before {number}"))
    naive = first.audit
    assert naive is not None
    assert naive.safe, "without the memory it would have passed"
    second = outcome(table, [Suppress()], PACK, earlier=lane.index)
    assert second.known >= set(complements[:2])
    assert second.audit is not None
    assert second.audit.safe
    assert second.hidden - second.known - second.primary, "others are hidden instead"
    found = lane.submit(table, Suppress())
    assert "linkage" not in {one.rule for one in found.findings if one.severity == "refuse"}


@pytest.mark.parametrize("lane_of", ["licence", "everybody"])
def test_another_relation_or_space_is_another_matter(lane_of: str) -> None:
    lane = Lane()
    assert not lane.refused(cohort(1000, True, "a"))
    other = cohort(999, age("lt", 99), "b")
    moved = ExactTable(
        basis_of(other, lane_of),
        other.dimensions,
        other.measures,
        other.cells,
        facts=FACTS,
    )
    assert not lane.refused(moved)


def basis_of(table: ExactTable, lane_of: str) -> Any:
    from dataclasses import replace

    return replace(table.basis, **({"rows": "prescriptions"} if lane_of == "licence" else {"space": "household"}))
