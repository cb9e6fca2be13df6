"""The floor under rule packs: what is shipped stands on it; each thing that may not be taken away is missed, by place."""

from __future__ import annotations

import pytest

from policies.disclosure.floor import RULES_LIMIT, TEXT_LIMIT, below, checked
from policies.disclosure.pack import shipped_pack, shipped_pack_text, shipped_packs
from policies.problem import Problem

TEXT = """
name = "least"
version = 1
title = { zh = "最低", en = "Least" }
sources = ["test"]
[[rules]]
id = "units"
kind = "minimum_units"
threshold = 3
source = "test"
[[rules]]
id = "few"
kind = "dominance"
n = 1
k = 95
source = "test"
[[rules]]
id = "difference"
kind = "differencing"
threshold = 3
tables = 2
source = "test"
"""
P_PERCENT = ('kind = "dominance"\nn = 1\nk = 95', 'kind = "p_percent"\np = 4\nq = 80')


def refused(text: str) -> tuple[str, list[str]]:
    with pytest.raises(Problem) as caught:
        checked(text, 5)
    return caught.value.code, [part.fields["path"] for part in caught.value.parts]


@pytest.mark.parametrize("name", shipped_packs())
def test_what_is_shipped_stands_on_the_floor(name: str) -> None:
    assert below(shipped_pack(name)) == ()
    assert checked(shipped_pack_text(name), 5) == shipped_pack(name)


def test_the_least_that_stands_on_the_floor() -> None:
    assert checked(TEXT, 1).name == "least"
    assert checked(TEXT.replace(*P_PERCENT), 1).rule("few").kind == "p_percent"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (("threshold = 3\nsource", "threshold = 2\nsource"), "rules[0](units)"),
        (("k = 95", "k = 96"), "rules[1](few)"),
        (("k = 95", 'k = 95\nseverity = "look"'), "rules[1](few)"),
        ((P_PERCENT[0], P_PERCENT[1].replace("q = 80", "q = 81")), "rules[1](few)"),
        ((P_PERCENT[0], 'kind = "signed"'), "rules"),
        (("threshold = 3\ntables", "threshold = 2\ntables"), "rules[2](difference)"),
        (("tables = 2", "tables = 1"), "rules[2](difference)"),
        (("tables = 2", 'tables = 2\nseverity = "note"'), "rules[2](difference)"),
    ],
)
def test_below_the_floor_is_refused_by_place(change: tuple[str, str], path: str) -> None:
    assert change[0] in TEXT
    assert refused(TEXT.replace(*change)) == ("data_rule_pack_floor", [path])


def test_every_fault_is_told_at_once() -> None:
    text = TEXT.replace("threshold = 3", "threshold = 2").replace("k = 95", "k = 99")
    assert len(refused(text)[1]) == 3


MORE = '[[rules]]\nid = "c{0}"\nkind = "context"\nfacts = ["title"]\nsource = "test"\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = ",
        "#" * (TEXT_LIMIT + 1),
        "x = " + "[" * 5_000,
        TEXT.replace("version = 1", f"version = {'9' * 5_000}"),
        TEXT.replace("version = 1", f"version = {2**60}"),
        TEXT.replace("n = 1", "n = 6"),
        TEXT + "".join(MORE.format(number) for number in range(RULES_LIMIT)),
    ],
)
def test_what_is_no_pack_is_refused_and_nothing_worse_happens(text: str) -> None:
    assert refused(text)[0] == "data_rule_pack_invalid"
