"""What a draw gives, what a failed one says, and draws of several threads and processes."""

from __future__ import annotations

import datetime
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import opendp.prelude as dp
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.problem import Problem
from sandbox.noise import keys as wire
from sandbox.noise.draw import draw
from sandbox.noise.space import Bounded, Database, quiet
from sandbox.plan.model import Draw, Key, Part
from sandbox.raw.failure import JOB_FAILED
from tests.handmade import (
    PERSONS,
    Exact,
    exact_for,
    one_count,
    part_of,
    price_of,
    private_part,
    public_part,
    thresholded,
)

ROOT = Path(__file__).resolve().parents[4]


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
    plan = public_part()
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
