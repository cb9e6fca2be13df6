"""The chain's own arithmetic against OpenDP's map, and the refusals that must come before any draw."""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path

import opendp.mod
import opendp.prelude as dp
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.loss import PICO, Loss, zcdp_epsilon
from policies.problem import Problem
from sandbox.noise import chain as chains
from sandbox.noise import space
from sandbox.noise.chain import build, check, keyed_map, vector_map
from sandbox.noise.draw import draw
from sandbox.noise.rounding import float_above, root_above
from sandbox.noise.space import Database, bounding
from sandbox.plan.model import Draw, Key, Part, Total
from tests.handmade import (
    FEES,
    PERSONS,
    REGION,
    YEAR,
    exact_for,
    exact_tail,
    gaussian,
    part_of,
    private_part,
    public_part,
    thresholded,
    whole,
)

ROOT = Path(__file__).resolve().parents[4]


def with_draw(plan: Part, place: int, **changes: object) -> Part:
    draws = list(plan.draws)
    draws[place] = dataclasses.replace(draws[place], **changes)  # type: ignore[arg-type]  # fields of Draw by name
    return dataclasses.replace(plan, draws=tuple(draws))


def refused(plan: Part) -> Problem:
    with pytest.raises(Problem) as caught:
        check(whole(plan))
    assert caught.value.code == "plan_price_disagrees"
    return caught.value


def of_any_size(bits: int) -> st.SearchStrategy[int]:
    """Integers from 1 to 2**bits, every order of magnitude alike: `st.integers` draws mostly small ones."""
    return st.integers(0, bits - 1).flatmap(lambda size: st.integers(2**size, 2 ** (size + 1)))


@given(st.just(0) | of_any_size(140))
@example(2**53 + 1)
@example(2**106 + 2**54)
def test_floats_are_never_below_the_integer_and_as_near_as_floats_get(value: int) -> None:
    up, root = float_above(value), root_above(value)
    assert Fraction(up) >= value > Fraction(math.nextafter(up, -math.inf))
    assert Fraction(root) ** 2 >= value
    assert root == 0 or Fraction(math.nextafter(root, 0.0)) ** 2 < value


@given(st.integers(1, 50), st.integers(1, 10_000), of_any_size(62))
def test_stability_maps_cover_the_farthest_neighbour_and_no_more(units: int, groups: int, cap: int) -> None:
    # the farthest neighbours: `units` units that all fill the same `groups` keys to the cap
    exact = Fraction(units * cap) ** 2 * groups
    l2 = vector_map(groups, cap)(units)
    assert exact <= Fraction(l2) ** 2 <= exact * (1 + Fraction(1, 2**50))
    keys, also_l2, each = keyed_map(groups, cap)(units)
    assert (keys, also_l2) == (units * groups, l2)
    assert units * cap <= Fraction(each) <= Fraction(units * cap) * (1 + Fraction(1, 2**50))


@pytest.mark.parametrize("distance", [-1, 1.0, True, float("nan"), None])
def test_a_distance_counts_units(distance: object) -> None:
    with pytest.raises(ValueError, match="counts units"):
        vector_map(1, 1)(distance)  # type: ignore[arg-type]  # that is the point


@st.composite
def plans(draw: st.DrawFn) -> Part:
    groups = draw(st.integers(1, 500))
    caps = draw(st.lists(of_any_size(62), min_size=0, max_size=3))
    totals = [PERSONS] + [Total(f"t{i + 1}", "sum", -cap, cap, cap) for i, cap in enumerate(caps)]
    rhos = [draw(st.integers(10**4, 10**13)) for _ in totals]
    kinds = draw(st.sampled_from(["none", "public", "private"]))
    if kinds == "private":
        draws = [thresholded(PERSONS, groups, draw(st.integers(10**6, 10**13)), draw(st.sampled_from([1e-6, 1e-9, 1e-11])))]
        draws += [gaussian(total, groups, rho) for total, rho in zip(totals[1:], rhos[1:], strict=True)]
        return part_of((Key("k0", "text", None), YEAR), totals, draws, groups)
    keys = (REGION, YEAR) if kinds == "public" else ()
    return part_of(keys, totals, [gaussian(total, groups, rho) for total, rho in zip(totals, rhos, strict=True)], groups)


@given(plans())
@settings(deadline=None, max_examples=80)
def test_opendp_agrees_with_every_price(plan: Part) -> None:
    check(whole(plan))
    chain, losses = build(plan)
    mapped = chain.measurement.map(1)
    rho, delta = mapped if isinstance(mapped, tuple) else (mapped, 0.0)
    assert set(losses) == {total.name for total in plan.totals}
    assert rho == pytest.approx(plan.loss.pico_rho / PICO, rel=1e-9 + len(plan.draws) / plan.loss.pico_rho)
    assert Fraction(rho) <= Fraction(plan.loss.pico_rho, PICO)
    assert Fraction(delta) <= Fraction(plan.loss.atto_delta, 10**18)


@given(plans(), st.data())
@settings(deadline=None, max_examples=60)
def test_any_other_price_is_refused(plan: Part, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(plan.draws) - 1))
    one = plan.draws[place]
    off = max(3, one.loss.pico_rho // 10**8)
    for pico_rho in (one.loss.pico_rho - 1 - one.loss.pico_rho // 10**8, one.loss.pico_rho + off):
        refused(with_draw(plan, place, loss=Loss(pico_rho, one.loss.atto_delta)))
    refused(with_draw(plan, place, scale=one.scale * (1 - 1e-8)))
    refused(with_draw(plan, place, scale=one.scale * (1 + 1e-8 + 2 / one.loss.pico_rho)))


@pytest.mark.parametrize("make", [public_part, private_part])
def test_more_groups_or_a_higher_cap_than_the_price_is_refused(make: type[Part]) -> None:
    plan = make()
    refused(dataclasses.replace(plan, groups_per_unit=plan.groups_per_unit + 1))
    totals = (PERSONS, dataclasses.replace(FEES, cap=FEES.cap + 1))
    refused(dataclasses.replace(plan, totals=totals))


def test_rho_is_not_underpaid_by_the_least_amount() -> None:
    plan = public_part(pico_rho=10**13)
    check(whole(plan))
    refused(with_draw(plan, 0, loss=Loss(10**13 - 3)))  # the scale has 1e-13 to spare: two pico-rho of ten
    refused(with_draw(plan, 1, scale=plan.draws[1].scale * (1 - 3e-13)))


def test_delta_may_be_overpaid_but_never_underpaid() -> None:
    plan = private_part()
    loss = plan.draws[0].loss
    check(whole(with_draw(plan, 0, loss=Loss(loss.pico_rho, loss.atto_delta * 2))))
    threshold = plan.draws[0].threshold
    assert threshold is not None
    problem = refused(with_draw(plan, 0, threshold=threshold - 3))
    assert float(problem.fields["map_delta"]) > float(problem.fields["price_delta"])


def test_a_threshold_no_higher_than_the_cap_is_no_proof() -> None:
    assert refused(with_draw(private_part(), 0, threshold=0)).fields["map_rho"] == "—"


def test_the_refusal_speaks_both_languages() -> None:
    problem = refused(with_draw(public_part(), 0, scale=1.0))
    assert "0.01" in problem.words("en").detail
    assert "没有读取任何数据" in problem.words("zh").remedy


def test_nothing_is_touched_when_the_price_disagrees() -> None:
    class Untouchable:
        @property
        def table(self) -> pa.Table:
            raise AssertionError("the totals were read")

    with pytest.raises(Problem) as caught:
        draw(with_draw(public_part(), 0, scale=1.0), Untouchable())
    assert caught.value.code == "plan_price_disagrees"


@pytest.mark.parametrize(
    "changes",
    [
        {"groups_per_unit": 3},
        {"totals": (PERSONS, dataclasses.replace(FEES, cap=FEES.cap + 1))},
        {"shard_sql": "SELECT something else"},
        {"space": "household"},
    ],
)
def test_opendp_refuses_a_map_made_for_other_bounds(changes: dict[str, object]) -> None:
    plan = public_part()
    other = dataclasses.replace(plan, **changes)  # type: ignore[arg-type]  # fields of Part by name
    size, place = chains.by_product(plan)
    with pytest.raises(dp.OpenDPException, match=r"(?i)mismatch"):
        bounding(other) >> chains.values(plan, plan.draws[0], size, place)
    bounding(plan) >> chains.values(plan, plan.draws[0], size, place)


def test_a_space_is_known_by_what_it_is_named_not_by_the_object() -> None:
    """One that was forgotten meanwhile, and made again, is the same."""
    plan = public_part()
    size, place = chains.by_product(plan)
    step = bounding(plan)
    space._domain.cache_clear()
    space._distance.cache_clear()
    measurement = step >> chains.values(plan, plan.draws[0], size, place)
    assert measurement.map(1) == pytest.approx(plan.draws[0].loss.pico_rho / PICO)


def test_the_loss_of_a_later_draw_does_not_depend_on_which_keys_it_covers() -> None:
    plan = private_part()
    chain, losses = build(plan)
    for released in ([], ["a"], [str(i) for i in range(100)]):
        assert chain.rest(plan.draws[1], released).map(1) == losses["t1"]


def test_a_dearer_draw_is_refused_by_the_composition_itself() -> None:
    plan = private_part()
    chain, _ = build(plan)
    answers = chain.measurement(Database(exact_for(plan, [("a", 500, 1)])))
    answers(chain.first)
    dearer = with_draw(plan, 1, scale=plan.draws[1].scale * 0.99).draws[1]
    with pytest.raises(dp.OpenDPException):
        answers(chain.rest(dearer, []))


def test_opendp_charges_delta_for_the_strict_threshold_we_apply() -> None:
    # opendp#2922: its own comparison keeps values equal to the threshold, which its map does not charge for
    for scale, threshold in ((1.0, 3), (2.0, 9), (10.0, 60), (40.0, 210)):
        plan = part_of((Key("k0", "text", None),), (PERSONS,), (Draw("t0", scale, Loss(1, 1), threshold),))
        claimed = chains.chosen_keys(plan, plan.draws[0]).map(1)[1]
        assert exact_tail(scale, threshold - 1) <= claimed
        assert exact_tail(scale, threshold - 2) > claimed  # without the strict comparison the map would be false


def test_only_two_features_are_ever_enabled() -> None:
    assert {"contrib", "honest-but-curious"} == opendp.mod.GLOBAL_FEATURES
    wanted = re.compile("floating" + "-point|idealized" + "-numerics")
    sources = [path for room in ("api", "infra", "jobs", "policies", "sandbox") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 10
    assert [path for path in sources if wanted.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("rho", [1e-4, 0.01, 0.3, 4.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-8, 1e-12])
def test_epsilon_is_opendps_and_never_below_it(rho: float, delta: float) -> None:
    measurement = (dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)) >> dp.m.then_gaussian(scale=math.sqrt(0.5 / rho))
    theirs = dp.c.make_zCDP_to_approxDP(measurement).map(1.0).epsilon(delta)
    ours = zcdp_epsilon(rho, delta)
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert ours >= theirs * (1 - 1e-9)
