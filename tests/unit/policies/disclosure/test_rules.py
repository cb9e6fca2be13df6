"""Each rule on a table that it finds and on one just beside it; the packs as shipped; their words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from policies.disclosure import pack as packs
from policies.disclosure.apply import apply, outcome
from policies.disclosure.examine import examine
from policies.disclosure.mend import MENDS, Drop, Merge, Midpoint, Recount, Round, Suppress
from policies.disclosure.pack import RulePack, pack_from_toml, shipped_pack, shipped_pack_text, shipped_packs, words
from policies.disclosure.rules import RULES, SENSITIVE, Subject, findings, sensitive
from policies.disclosure.table import Amount, Cell, ExactTable, Measure, text
from policies.problem import Problem
from tests.exact_tables import FACTS, basis, flat, grid

HEAD = """
name = "one"
version = 1
title = { zh = "一条", en = "One" }
sources = ["test"]
[[rules]]
id = "units"
kind = "minimum_units"
threshold = 2
source = "test"
[[rules]]
id = "differencing"
kind = "differencing"
threshold = 2
source = "test"
"""


def pack_with(rule: str) -> RulePack:
    return pack_from_toml(f'{HEAD}[[rules]]\nid = "it"\nsource = "test"\n{rule}')


def found(table: ExactTable, rule: str, **more: object) -> list[tuple[int, ...]]:
    return [one.cells for one in findings(Subject(table, pack_with(rule), **more)) if one.rule == "it"]  # type: ignore[arg-type]


def one_sum(total: int, largest: tuple[int, ...], units: int = 5, **more: object) -> ExactTable:
    measure = Measure("turnover", "sum", of="firms.turnover", **more)  # type: ignore[arg-type]
    return ExactTable(basis(), (), (measure,), (Cell((), units, (Amount(total, units, largest),)),), facts=FACTS)


def test_minimum_units() -> None:
    table = grid([[9, 10], [10, 20]])
    assert found(table, 'kind = "minimum_units"\nthreshold = 10') == [(table.where[0, 0],)]
    (only,) = (one for one in sensitive(table, pack_with('kind = "minimum_units"\nthreshold = 10')) if one.rule == "it")
    assert (only.below, only.above) == (1, 1), "from 8 up to the threshold"


def test_minimum_nonzero_looks_at_what_is_shown() -> None:
    rows = Measure("visits", "count")
    table = ExactTable(basis(), (), (rows,), (Cell((), 50, (Amount(4, 4),)),), facts=FACTS)
    assert found(table, 'kind = "minimum_nonzero"\nminimum = 5') == [(0,)]
    assert found(table, 'kind = "minimum_nonzero"\nminimum = 4') == []


def test_dominance_by_its_formula() -> None:
    """(2, 90 %): 901 of 1,000 by two is too much, 900 is not; protection is what 901 would be 90 % of."""
    rule = 'kind = "dominance"\nn = 2\nk = 90'
    assert found(one_sum(1000, (801, 100, 50)), rule) == [(0,)]
    assert found(one_sum(1000, (800, 100, 50)), rule) == []
    (only,) = (one for one in sensitive(one_sum(1000, (801, 100, 50)), pack_with(rule)) if one.rule == "it")
    assert only.above == -(-Fraction(901 * 100, 90) // 1) - 1000
    assert found(one_sum(1000, (801,)), rule) == [(0,)], "too few contributions to tell: sensitive"


def test_p_percent_by_its_formula() -> None:
    """10 %: a rest of 80 is less than a tenth of the largest, 801; 81 is not."""
    rule = 'kind = "p_percent"\np = 10'
    assert found(one_sum(1000, (801, 118)), rule) == []
    assert found(one_sum(1000, (801, 119)), rule) == [(0,)]
    (only,) = (one for one in sensitive(one_sum(1000, (801, 120)), pack_with(rule)) if one.rule == "it")
    assert only.above == 2, "80.1 - 79, up to a whole"
    assert found(one_sum(1000, (801, 118)), 'kind = "p_percent"\np = 10\nq = 50') == [(0,)], "who knows others within half knows more"


def test_signed_contributions_count_by_their_size() -> None:
    """One of +1,000 and one of -990: together 10, and each knows the other."""
    measure = Measure("change", "sum", of="firms.change", signed=True)
    amount = Amount(10, 2, (1000, 990), absolute=1990)
    table = ExactTable(basis(), (), (measure,), (Cell((), 2, (amount,)),), facts=FACTS)
    assert found(table, 'kind = "dominance"\nn = 2\nk = 99') == [(0,)]
    assert found(table, 'kind = "signed"') == [()]


def test_class_disclosure() -> None:
    table = grid([[0, 30], [20, 40]])
    where = table.where
    assert (where[0, 1],) in found(table, 'kind = "class_disclosure"'), "all of row 0 is in column 1"
    assert (where[1, 1],) not in found(table, 'kind = "class_disclosure"')
    assert (where[0, 0],) in found(table, 'kind = "class_disclosure"\nnone = true')
    assert found(table, 'kind = "class_disclosure"\nminimum = 31') == []
    overlapping = replace(table, disjoint=False)
    cells = tuple(
        Cell(cell.at, 30, cell.amounts) if cell.at == (0, 0) else cell for cell in overlapping.cells
    )  # everybody of row 0 is in both columns: being in the row tells neither
    assert (where[0, 1],) not in found(replace(overlapping, cells=cells), 'kind = "class_disclosure"')


def test_zero_cells_are_looked_at() -> None:
    table = grid([[0, 30], [20, 40]])
    (cells,) = found(table, 'kind = "zero_cells"')
    assert cells == (table.where[0, 0],)


def test_rounding_is_asked_of_counts_and_of_what_follows_from_others() -> None:
    table = grid([[11, 30], [20, 40]])
    rule = 'kind = "rounding"\nmethod = "midpoint"\nbase = 6'
    assert len(found(table, rule)) == 1
    done = outcome(table, [Midpoint()], pack_with(rule))
    assert found(table, rule, rounded=done.rounded) == []
    fives = outcome(table, [Round(base=5)], pack_with(rule))
    assert len(found(table, rule, rounded=fives.rounded)) == 1, "not the way the pack asks"
    both = (Measure("total", "sum", of="v.fee"), Measure("average", "mean", of="v.fee", decimals=2))
    told = ExactTable(basis(), (), both, (Cell((), 40, (Amount(900, 40, (60, 50)), Amount(900, 40, (60, 50)))),), facts=FACTS)
    assert found(told, rule) == [()], "a sum and its mean tell the count"


def test_models_context_underlying_shape_and_rows() -> None:
    table = grid([[11, 30], [20, 40]])
    model = replace(table, facts={**FACTS, "kind": "model", "observations": "100", "parameters": "91"})
    assert found(model, 'kind = "degrees_of_freedom"\nminimum = 10') == [()]
    assert found(replace(model, facts={**model.facts, "parameters": "90"}), 'kind = "degrees_of_freedom"\nminimum = 10') == []
    assert found(replace(model, facts={"kind": "model"}), 'kind = "degrees_of_freedom"\nminimum = 10') == [()]
    assert found(replace(table, facts={"title": "x"}), 'kind = "context"\nfacts = ["title"]\nlength = 5') == [()]
    assert found(table, 'kind = "context"\nfacts = ["title"]\nlength = 5') == []
    mean = ExactTable(basis(), (), (Measure("average", "mean", decimals=2),), (Cell((), 40, (Amount(900, 40, (60, 50)),)),), facts=FACTS)
    assert found(mean, 'kind = "underlying"') == [()]
    assert found(table, 'kind = "underlying"') == []
    assert found(table, 'kind = "shape"\ncells = 8') == [()]
    assert found(mean, 'kind = "shape"\ndecimals = 1') == [()]
    assert found(mean, 'kind = "shape"\nmeasures = ["count"]') == [()]
    assert found(model, 'kind = "shape"') == [()]
    assert found(table, 'kind = "shape"\ncells = 9\ndimensions = 2') == []
    assert found(grid([[1, 1], [1, 40]]), 'kind = "row_level"\npercent = 50') == [()]
    assert found(table, 'kind = "row_level"\npercent = 50') == []


def test_every_kind_has_a_rule_and_words() -> None:
    kinds = {rule.model_fields["kind"].annotation.__args__[0] for rule in packs.RULE_KINDS}  # type: ignore[union-attr]
    assert kinds == RULES.keys() | SENSITIVE.keys() | {"differencing"}
    assert kinds | {"linkage"} <= words().keys()
    mends = {"round", "midpoint", "suppress", "merge", "drop", "recount"}
    assert {f"mend_{name}" for name in mends} <= words().keys()


@pytest.mark.parametrize("name", shipped_packs())
def test_shipped_packs(name: str) -> None:
    pack = shipped_pack(name)
    assert pack.name == name
    assert pack.digest == pack_from_toml(shipped_pack_text(name)).digest
    assert all(rule.source for rule in pack.rules)
    other = pack_from_toml(shipped_pack_text(name).replace("version = 1", "version = 2"))
    assert other.digest != pack.digest


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (('kind = "minimum_units"', 'kind = "minimal"'), "rules"),
        (("threshold = 2\nsource", "threshold = 1\nsource"), "rules"),
        (('id = "differencing"', 'id = "units"'), "rules[1]"),
        (('kind = "minimum_units"', 'kind = "minimum_units"\nseverity = "look"'), "rules[0]"),
        (('[[rules]]\nid = "units"\nkind = "minimum_units"\nthreshold = 2\nsource = "test"\n', ""), "rules"),
        (("version = 1", "version = 1\nmore = 2"), "more"),
    ],
)
def test_faults_of_a_pack_are_located(change: tuple[str, str], path: str) -> None:
    with pytest.raises(Problem) as caught:
        pack_from_toml(HEAD.replace(*change))
    assert caught.value.code == "data_rule_pack_invalid"
    assert any(part.fields["path"].startswith(path) for part in caught.value.parts)


def test_nothing_dangerous_prints() -> None:
    table = one_sum(123456, (123000, 456), units=7)
    said = f"{table} {table!r} {table.cells[0]} {table.cells[0].amounts[0]:>10} {table.cells}"
    assert not any(number in said for number in ("123456", "123000", "456", "7"))
    evidence = examine(table, shipped_pack("enterprise"))
    assert "123" not in repr(evidence)
    assert "share" not in repr(evidence.findings)


def test_evidence_is_data() -> None:
    table = grid([[3, 30], [20, 40]])
    evidence = examine(table, shipped_pack("general"))
    assert evidence.verdict == "refuse"
    assert evidence.digest == examine(table, shipped_pack("general")).digest
    assert {one.rule for one in evidence.findings} >= {"minimum_units"}
    mended = examine(table, shipped_pack("general"), None, [Suppress()])
    assert mended.verdict != "refuse"
    assert mended.digest != evidence.digest
    assert mended.data["audit"]["safe"]


def test_merging_and_dropping() -> None:
    pack = shipped_pack("general")
    table = grid([[3, 30], [20, 40], [5, 60]])
    released = apply(table, [Merge(dimension="row", levels=("r0", "r2"), into="others")], pack)
    shown = {cell.levels: cell.shown[0].value for cell in released.cells}
    assert shown["others", "c0"] == 8
    assert shown["others", "total"] == 98
    assert shown["total", "total"] == 158
    less = apply(table, [Drop(dimension="row")], pack)
    assert {cell.levels: cell.shown[0].value for cell in less.cells} == {("c0",): 28, ("c1",): 130, ("total",): 158}
    overlapping = replace(table, disjoint=False)
    with pytest.raises(Problem) as caught:
        apply(overlapping, [Merge(dimension="row", levels=("r0", "r2"), into="others")], pack)
    assert caught.value.code == "data_mend_recount"
    with pytest.raises(Problem) as caught:
        apply(table, [Recount(rule="minimum_units", cells=(("r0", "c0"),))], pack)
    assert caught.value.code == "data_mend_recount"


@pytest.mark.parametrize(
    "mend",
    [
        Merge(dimension="row", levels=("r0", "nowhere"), into="x"),
        Merge(dimension="height", levels=("r0", "r1"), into="x"),
        Merge(dimension="row", levels=("r0", "total"), into="x"),
        Merge(dimension="row", levels=("r0", "r1"), into="total"),
        Drop(measures=("m",)),
        Drop(measures=("n",)),
        Round(measures=("m",)),
        Suppress(cells=(("r0",),)),
        Suppress(cells=(("r0", "c9"),)),
    ],
)
def test_mends_that_do_not_fit(mend: object) -> None:
    with pytest.raises(Problem) as caught:
        outcome(grid([[3, 30], [20, 40]]), [mend], shipped_pack("general"))  # type: ignore[list-item]
    assert caught.value.code == "data_mend_invalid"


def test_merged_contributions_are_those_of_the_whole() -> None:
    measure = (Measure("turnover", "sum", of="f.t"),)
    dimension = flat("row", ["a", "b", "c"])
    amounts = [Amount(100, 4, (60, 30)), Amount(90, 2, (50, 40)), Amount(500, 9, (80, 70)), Amount(690, 15, (80, 70))]
    cells = tuple(Cell((at,), amount.values, (amount,)) for at, amount in enumerate(amounts))
    table = ExactTable(basis(), (dimension,), measure, cells, facts=FACTS)
    made = outcome(table, [Merge(dimension="row", levels=("a", "b"), into="ab")], shipped_pack("enterprise")).table
    merged = made.cells[made.where[(made.dimensions[0].at("ab"),)]].amounts[0]
    assert (merged.total, merged.values, merged.largest) == (190, 6, (60, 50))


def test_mends_as_json() -> None:
    mends = (Round(base=5), Midpoint(), Suppress(cells=(("a", "b"),)), Merge(dimension="d", levels=("x", "y"), into="z"), Drop(measures=("n",)))
    assert MENDS.validate_json(MENDS.dump_json(mends)) == mends


@pytest.mark.parametrize(
    ("value", "said"), [(7, "7"), (Fraction(1, 3), "1/3"), (Fraction(5, 4), "1.25"), (Decimal("2.50"), "2.50"), (None, None)]
)
def test_exact_numbers_as_text(value: int | Fraction | Decimal | None, said: str | None) -> None:
    assert text(value) == said
