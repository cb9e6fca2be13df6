"""The chain's own arithmetic against OpenDP's map, and the refusals that must come before any draw."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from sandbox.noise import keys as wire
from sandbox.noise.chain import build, check, keyed_map, vector_map
from sandbox.noise.draw import draw
from sandbox.noise.rounding import float_above, root_above
from sandbox.noise.space import Bounded, Database, bounding, quiet
from sandbox.plan.model import Draw, Key, Part, Total
from sandbox.raw.failure import JOB_FAILED
from tests.handmade import (
    FEES,
    PERSONS,
    REGION,
    YEAR,
    Exact,
    exact_for,
    exact_tail,
    gaussian,
    one_count,
    part_of,
    price_of,
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


# ---- what a draw gives ------------------------------------------------------------------------------------------------------------


def test_public_keys_are_all_answered_in_the_order_of_the_product() -> None:
    plan = public_part(pico_rho=10**13)  # little noise: sigma below 0.5
    exact = exact_for(plan, [("南", 2021, 700, 90_000), ("elsewhere", 2020, 10**6, 1), (None, 2020, 10**6, 1), ("north", None, 10**6, 1)])
    table = draw(plan, exact).table
    assert table.select(["k0", "k1"]).to_pylist() == [{"k0": k0, "k1": k1} for k0 in ("北", "南", "east") for k1 in (2020, 2021)]
    assert table.schema.types == [pa.string(), pa.int64(), pa.int64(), pa.int64()]
    counts = table.column("t0").to_pylist()
    assert all(abs(count - true) < 10 for count, true in zip(counts, [0, 0, 0, 700, 0, 0], strict=True))
    sums = table.column("t1").to_pylist()
    assert abs(sums[3] - 90_000) < 10_000
    assert any(sums[:3])  # an empty key is answered with noise, not with 0


def test_without_keys_there_is_one_row_even_over_nothing() -> None:
    plan = one_count(2.0)
    assert abs(draw(plan, exact_for(plan, [(500,)])).table.column("t0")[0].as_py() - 500) < 40
    assert draw(plan, exact_for(plan, [])).table.num_rows == 1


def test_keys_of_every_type_come_back_as_they_went_sorted_null_last() -> None:
    keys = (Key("k0", "text", None), Key("k1", "integer", None), Key("k2", "date", None), Key("k3", "boolean", None))
    plan = part_of(keys, (PERSONS,), (thresholded(PERSONS, 1, 10**12, 1e-9),))
    day = datetime.date(1969, 12, 31)
    rows = [
        ("a\0b", -(2**63), day, True),
        ('["', 2**63 - 1, day, False),
        ("", 0, None, None),
        (None, 1, day, True),
        ("中文\u2028", 7, datetime.date(9999, 12, 31), False),
        ("null", None, day, True),
    ]
    table = draw(plan, exact_for(plan, [(*row, 10_000) for row in rows])).table
    found = [tuple(row[key.name] for key in keys) for row in table.to_pylist()]
    assert found == [rows[2], rows[1], rows[0], rows[5], rows[4], rows[3]]


def test_a_key_with_no_person_is_as_if_it_were_not_there() -> None:
    # OpenDP's distance counts an absent key as 0: a present key with 0 could pass the threshold without being charged for
    loose = Draw("t0", 10.0, price_of(10.0, delta=10**18), 2)
    plan = part_of((Key("k0", "integer", None),), (PERSONS,), (loose,))
    assert draw(plan, exact_for(plan, [(key, 0) for key in range(500)])).table.num_rows == 0
    assert draw(plan, exact_for(plan, [(key, 1) for key in range(500)])).table.num_rows > 100


def test_dates_that_python_does_not_know_do_not_stop_the_draw() -> None:
    plan = part_of((Key("k0", "date", None),), (PERSONS,), (thresholded(PERSONS, 1, 10**12, 1e-9),))
    days = pa.array([2**31 - 1, -(2**31), 0], pa.int32()).cast(pa.date32())
    table = draw(plan, Exact(pa.table({"k0": days, "t0": pa.array([9_000, 9_000, 9_000], pa.int64())}))).table
    assert table.column("k0").cast(pa.int32()).to_pylist() == [-(2**31), 0, 2**31 - 1]


@given(
    st.lists(
        st.tuples(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.none() | st.integers(-(2**63), 2**63 - 1)),
        unique=True,
        max_size=30,
    )
)
@settings(deadline=None, max_examples=50)
def test_written_keys_are_injective_and_read_back(rows: list[tuple[str | None, int | None]]) -> None:
    keys = (Key("k0", "text", None), Key("k1", "integer", None))
    table = pa.table({"k0": pa.array([row[0] for row in rows], pa.string()), "k1": pa.array([row[1] for row in rows], pa.int64())})
    written = wire.write(keys, wire.key_columns(keys, table), table.num_rows)
    assert len(set(written)) == len(rows)
    order, back = wire.read_sorted(keys, written)
    assert sorted(order) == sorted(written)
    assert {tuple(row.values()) for row in back.to_pylist()} == set(rows)
    assert wire.write(keys, wire.key_columns(keys, back), back.num_rows) == order


def test_totals_at_the_edge_of_int64_saturate() -> None:
    plan = one_count(1000.0)
    for edge in (2**63 - 1, -(2**63)):
        for _ in range(20):
            assert abs(draw(plan, exact_for(plan, [(edge,)])).table.column("t0")[0].as_py() - edge) < 10_000


# ---- what a failure says ----------------------------------------------------------------------------------------------------------


def chain_of_errors(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("make", [public_part, private_part])
@pytest.mark.parametrize("harm", ["wrong column", "wrong type", "twice", "raises"])
def test_a_failed_draw_says_nothing(make: type[Part], harm: str, capfd: pytest.CaptureFixture[str]) -> None:
    plan = make()
    row = ("北", 2020, 123456789, 1) if plan.public_keys else ("secret-key", 123456789, 1)
    table = exact_for(plan, [row, row] if harm == "twice" else [row]).table
    if harm == "wrong column":
        table = table.rename_columns([*table.column_names[:-1], "secret"])
    if harm == "wrong type":
        table = table.set_column(0, "k0", pa.array([123456789]))

    class Raising:
        @property
        def table(self) -> pa.Table:
            if harm == "raises":
                raise RuntimeError("secret 123456789")
            return table

    with pytest.raises(Problem) as caught:
        draw(plan, Raising())
    assert [type(error) for error in chain_of_errors(caught.value)] == [Problem]
    assert caught.value.as_data() == JOB_FAILED().as_data()
    out, err = capfd.readouterr()
    assert "secret" not in out + err
    assert "123456789" not in out + err


def test_a_callback_inside_opendp_leaks_no_text() -> None:
    def step(_: object) -> object:
        raise ValueError("secret 123456789")

    space = (dp.user_domain("any", lambda _: True), dp.user_distance("any"))
    transformation = dp.t.make_user_transformation(*space, *space, quiet(step), lambda d: d)
    with pytest.raises(dp.OpenDPException) as caught:
        transformation(object())
    text = "".join(repr(error) + str(error) for error in chain_of_errors(caught.value))
    assert "secret" not in text
    assert "123456789" not in text
    assert "a step of the noise chain failed" in text


def test_carriers_do_not_print_what_they_hold() -> None:
    plan = private_part()
    exact = exact_for(plan, [("secret", 123456789, 1)])
    for carrier in (Database(exact), Bounded.of(plan, exact.table)):
        assert "123456789" not in repr(carrier) + str(carrier)
        assert "secret" not in repr(carrier) + str(carrier)


# ---- threads and processes --------------------------------------------------------------------------------------------------------


def noise_of_a_child(plan: Part, exact: Exact) -> tuple[int, ...]:
    """Draw in a forked child: a child that inherited the state of the random generator would repeat its sibling."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(send, pickle.dumps(tuple(draw(plan, exact).table.column("t0").to_pylist())))
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        got = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    return got


def test_processes_never_repeat_each_others_noise() -> None:
    plan = with_draw(public_part(), 0, scale=public_part().draws[0].scale)
    exact = exact_for(plan, [])
    draw(plan, exact)  # the parent's generator is seeded before the children are made
    assert threading.active_count() >= 1
    assert noise_of_a_child(plan, exact) != noise_of_a_child(plan, exact)


def test_threads_draw_at_once_without_disturbing_each_other() -> None:
    plan = private_part()
    exact = exact_for(plan, [(f"k{i}", 10_000 * (i + 1), 0) for i in range(50)])
    with ThreadPoolExecutor(4) as pool:
        tables = [noisy.table for noisy in pool.map(lambda _: draw(plan, exact), range(12))]
    seen = set()
    for table in tables:
        assert table.column("k0").to_pylist() == sorted(f"k{i}" for i in range(50))
        for row in table.to_pylist():
            assert abs(row["t0"] - 10_000 * (int(row["k0"][1:]) + 1)) < 200
        seen.add(tuple(table.column("t1").to_pylist()))
    assert len(seen) == 12


def test_importing_the_room_enables_nothing_by_accident() -> None:
    # in a fresh process: importing sandbox.finish or the plan must not need OpenDP at all
    code = "import sys, sandbox.finish.finish, sandbox.plan.model; assert not any(m.split('.')[0] == 'opendp' for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
