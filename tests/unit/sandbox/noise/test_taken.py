"""The chain that admission checked is the chain that is drawn from: that very object, once, and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from policies.loss import Loss
from policies.problem import Problem
from sandbox.noise.chain import Chain, _Kept, check, checked, taken
from sandbox.plan.model import Part
from tests.questions import plan_for

SQL = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"


def cheaper(part: Part) -> Part:
    return dataclasses.replace(part, draws=tuple(dataclasses.replace(draw, loss=Loss(1)) for draw in part.draws))


def counted(built: list[Part]) -> Callable[[Part], Chain]:
    """`checked`, noting what it is asked for."""

    def check_it(part: Part) -> Chain:
        built.append(part)
        return checked(part)

    return check_it


def test_what_was_checked_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, built = plan_for(SQL), list[Part]()
    check(plan)
    monkeypatch.setattr("sandbox.noise.chain.checked", counted(built))
    first = taken(plan.only)
    assert (first.part is plan.only, built) == (True, [])
    again = taken(plan.only)
    assert again is not first
    assert built == [plan.only]


def test_an_equal_part_is_checked_anew_and_a_cheaper_one_refused() -> None:
    plan = plan_for(SQL)
    check(plan)
    equal = dataclasses.replace(plan.only)
    assert equal == plan.only
    assert taken(equal).part is equal
    with pytest.raises(Problem, match="plan_price_disagrees"):
        taken(cheaper(plan.only))


def test_a_plan_whose_price_disagrees_leaves_no_chain() -> None:
    plan = plan_for(SQL)
    bent = dataclasses.replace(plan, parts=(cheaper(plan.only),))
    with pytest.raises(Problem, match="plan_price_disagrees"):
        check(bent)
    with pytest.raises(Problem, match="plan_price_disagrees"):
        taken(bent.only)


def test_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Kept, "MOST", 2)
    plans = [plan_for(SQL) for _ in range(4)]
    for plan in plans:
        check(plan)
    built: list[Part] = []
    monkeypatch.setattr("sandbox.noise.chain.checked", counted(built))
    for plan in plans:
        assert taken(plan.only).part is plan.only
    assert len(built) == 2, "those let go of are made again"
