"""Populations in canonical form against a count over rows: what is said to be within is, in every row there is."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from policies.disclosure.combine import isolated, membership
from policies.disclosure.predicate import ALL, NOT_NULL, NULL, Population, cell_population, cell_where, population, value_of
from tests.exact_tables import basis, grid

NUMBERS = (None, 1, 2, 3, 4)
TEXTS = (None, "a", "b", "c")
ROWS = list(product(NUMBERS, TEXTS, (True, False, None)))  # (v.age, v.city, an opaque condition)


def truth(data: Any, row: tuple[Any, ...]) -> bool | None:
    """The condition over a row in SQL's three truth values: an independent reading."""
    if isinstance(data, bool):
        return data
    ((op, args),) = data.items()
    if op == "opaque":
        return row[2]
    if op == "not":
        inner = truth(args, row)
        return None if inner is None else not inner
    if op in ("and", "or"):
        inner = [truth(one, row) for one in args]
        if op == "and":
            return False if False in inner else None if None in inner else True
        return True if True in inner else None if None in inner else False
    if op == "null":
        return row[{"v.age": 0, "v.city": 1}[args]] is None
    value = row[{"v.age": 0, "v.city": 1}[args[0]]]
    if value is None:
        return None
    if op == "in":
        return str(value) in [text for _, text in args[1]]
    end = int(args[1][1])
    return {"lt": value < end, "le": value <= end, "gt": value > end, "ge": value >= end}[op]


def rows_of(data: Any) -> frozenset[int]:
    return frozenset(at for at, row in enumerate(ROWS) if truth(data, row) is True)


def condition(rng: random.Random, depth: int) -> Any:
    kind = rng.choice(["and", "or", "not", "leaf", "leaf"]) if depth else "leaf"
    if kind in ("and", "or"):
        return {kind: [condition(rng, depth - 1) for _ in range(rng.randint(1, 3))]}
    if kind == "not":
        return {"not": condition(rng, depth - 1)}
    return rng.choice(
        [
            {rng.choice(["lt", "le", "gt", "ge"]): ["v.age", ["number", str(rng.randint(1, 4))]]},
            {"in": ["v.city", [["text", text] for text in rng.sample("abc", rng.randint(1, 2))]]},
            {"in": ["v.age", [["number", str(rng.randint(1, 4))]]]},
            {"null": rng.choice(["v.age", "v.city"])},
            {"opaque": "d1"},
            True,
        ]
    )


def test_what_is_said_of_two_populations_holds_in_every_row() -> None:
    rng = random.Random(7)
    held = equal = 0
    for _ in range(700):
        one, two = condition(rng, 3), condition(rng, 3)
        a, b = population(one), population(two)
        if a.within(b):
            held += 1
            assert rows_of(one) <= rows_of(two), (one, two)
        if a == b:
            equal += 1
            assert rows_of(one) == rows_of(two), (one, two)
        if a.nobody:
            assert not rows_of(one)
        both = population({"and": [one, two]})
        assert both.within(a)
        assert both.within(b)
    assert held > 50
    assert equal > 10


def test_atoms_count_rows() -> None:
    rng = random.Random(11)
    for _ in range(15):
        several = [condition(rng, 2) for _ in range(4)]
        found = membership([population(one) for one in several])
        assert found is not None
        signatures = {tuple(bool(bit) for bit in column) for column in found.T}
        asked = {
            column for one in several for box in population(one).boxes for column, values in box if values in (NULL, NOT_NULL)
        }  # elsewhere an attacker is supposed to know that nothing is NULL
        for at, row in enumerate(ROWS):
            mine = tuple(at in rows_of(one) for one in several)
            if any(mine) and all(value is not None or name in asked for value, name in zip(row, ("v.age", "v.city"), strict=False)):
                assert mine in signatures, several


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"and": [{"ge": ["v.age", ["number", "18"]]}, {"lt": ["v.age", ["number", "65"]]}]}, {"gt": ["v.age", ["number", "17.5"]]}),
        ({"in": ["v.day", [["date", "2025-03-01"]]]}, {"le": ["v.day", ["date", "2025-03-31"]]}),
        ({"not": {"or": [{"opaque": "x"}, {"null": "v.age"}]}}, {"not": {"opaque": "x"}}),
        ({"opaque": "x"}, True),
    ],
)
def test_within(one: Any, two: Any) -> None:
    assert population(one).within(population(two))
    assert not population(two).within(population(one))


def test_forms_that_are_not_known_are_like_nothing_else() -> None:
    odd = population({"matches": ["v.city", ["text", "a%"]]})
    assert odd.within(odd)
    assert odd.within(ALL)
    assert not population({"in": ["v.city", [["text", "a"]]]}).within(odd)
    texts = population({"lt": ["v.city", ["text", "b"]]})
    assert not population({"in": ["v.city", [["text", "a"]]]}).within(texts), "the order of texts is the collation's to say"


def test_too_many_boxes_are_opaque() -> None:
    wide = {"and": [{"or": [{"in": [f"v.c{at}", [["text", "a"]]]}, {"in": [f"v.d{at}", [["text", "b"]]]}]} for at in range(8)]}
    found = population(wide)
    assert len(found.boxes) == 1
    assert found.within(ALL)


def test_cells_as_stored_are_the_same_people() -> None:
    table = grid([[3, 30], [20, 40]], of=basis({"ge": ["v.age", ["number", "18"]]}))
    for number in range(len(table.cells)):
        assert population(cell_where(table, number)) == cell_population(table, number)
    assert cell_population(table, 0).within(cell_population(table, table.where[0, 2]))
    assert isinstance(cell_population(table, 0), Population)


def test_numerals_are_numbers_however_written() -> None:
    assert value_of("1.50") == value_of("3/2")
    assert value_of("01") == (1, "01")
    assert value_of("2025-01-01") == (1, "2025-01-01")


def test_isolation_by_elimination() -> None:
    """x+y, y+z, x+z tell each of them: half of sums and differences. And x+y with y alone tell x, whatever the rest."""
    import numpy as np

    rows = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], np.bool_)
    found = isolated(rows, [12, 103, 111], 11)
    assert sorted((one.value, one.atoms) for one in found) == [(2, 1), (10, 1)]
    assert isolated(rows[:2], [12, 103], 11) == []
