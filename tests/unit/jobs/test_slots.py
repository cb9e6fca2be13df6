"""Slots: chosen from public facts, never early, and blind to how long the work took inside one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.slots import PUBLISH_AT, SPEND_AT, Slots, choose, estimate_ms

START = datetime(2026, 1, 1, tzinfo=UTC)
LADDER = (50, 250, 1000, 5000, 30000)
ladders = st.lists(st.integers(1, 100_000), min_size=1, max_size=6, unique=True).map(lambda xs: tuple(sorted(xs)))


def at(ms: float) -> datetime:
    return START + timedelta(milliseconds=ms)


@given(ladder=ladders, chosen=st.integers(0, 8), took=st.floats(0, 500_000))
def test_an_instant_is_never_before_the_work_nor_before_the_chosen_slot(ladder: tuple[int, ...], chosen: int, took: float) -> None:
    slots = Slots(START, chosen, ladder)
    for instant, percent in ((slots.spend_at(at(took)), SPEND_AT), (slots.publish_at(at(took)), PUBLISH_AT), (slots.visible_at(at(took)), 100)):
        assert instant >= at(took)
        assert instant >= at(slots.rung_ms(chosen) * percent / 100)


@pytest.mark.parametrize("took", [1, 40, 149])
def test_duration_inside_a_slot_says_nothing(took: int) -> None:
    slots = Slots(START, 1, LADDER)
    assert (slots.spend_at(at(took)), slots.publish_at(at(took)), slots.visible_at(at(took))) == (at(150), at(225), at(250))


def test_an_overshoot_waits_for_the_next_slot_and_past_the_ladder_for_multiples_of_the_last() -> None:
    slots = Slots(START, 1, LADDER)
    assert slots.visible_at(at(251)) == at(1000)
    assert slots.visible_at(at(30_001)) == at(60_000)
    assert slots.visible_at(at(95_000)) == at(120_000)
    assert slots.visible_at(at(30_000 * 10**6 + 1)) == at(30_000 * (10**6 + 1))


@given(ladder=ladders, chosen=st.integers(0, 8))
def test_a_slot_written_in_the_log_is_found_again(ladder: tuple[int, ...], chosen: int) -> None:
    slots = Slots(START, chosen, ladder)
    assert Slots.of(START, slots.rung_ms(chosen), ladder) == slots


@given(rows=st.integers(1, 10**9), more=st.integers(0, 10**9), drawn=st.integers(1, 2_000_000))
def test_more_declared_rows_never_take_an_earlier_slot(rows: int, more: int, drawn: int) -> None:
    one = choose(LADDER, estimate_ms(approximate_rows=rows, drawn=drawn, cores=2))
    two = choose(LADDER, estimate_ms(approximate_rows=rows + more, drawn=drawn, cores=2))
    assert one <= two


def test_the_estimate_fits_the_share_before_spending() -> None:
    for estimated in (1, 30, 31, 150, 599, 601, 17_999, 18_001, 400_000):
        rung = Slots(START, 0, LADDER).rung_ms(choose(LADDER, estimated))
        assert rung * SPEND_AT >= estimated * 100


@pytest.mark.parametrize("ladder", [(), (0, 5), (5, 5), (250, 50)])
def test_a_ladder_that_does_not_rise_cannot_exist(ladder: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising"):
        Slots(START, 0, ladder)
