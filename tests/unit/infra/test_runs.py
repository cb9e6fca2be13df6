"""Which worker an item goes to, and where again, decided without Ray: workers here answer when the test says so."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.workers.errors import WorkersError
from infra.workers.runs import AHEAD, LOSSES, Answer, Run, Scheduler, Worker


class Hand:
    """A worker's hands: calls wait there until the test answers them."""

    def __init__(self) -> None:
        self.calls: list[tuple[Run, Callable[[Answer | None], None]]] = []
        self.asked: list[Callable[[bool], None]] = []

    def call(self, run: Run, told: Callable[[Answer | None], None]) -> None:
        self.calls.append((run, told))

    def hello(self, told: Callable[[bool], None]) -> None:
        self.asked.append(told)

    def answer(self, outcome: str | None = "ok") -> int:
        run, told = self.calls.pop(0)
        told(None if outcome is None else (outcome, str(run.home).encode()))
        return run.home

    @property
    def holds(self) -> list[int]:
        return [run.home for run, _ in self.calls]


def pool(size: int, places: tuple[str | None, ...] = ()) -> tuple[Scheduler, list[Hand]]:
    hands = [Hand() for _ in range(size)]
    return Scheduler([Worker(number, (places or (None,) * size)[number], hand) for number, hand in enumerate(hands)]), hands


def begun(scheduler: Scheduler, count: int, place: str | None = None) -> list[Run]:
    return [scheduler.begin(home, "m", b"", 1.0, scheduler.at(place)) for home in range(count)]


def later(scheduler: Scheduler, run: Run, patience_s: float | None) -> tuple[threading.Thread, list[Any]]:
    heard: list[Any] = []

    def wait() -> None:
        try:
            heard.append(scheduler.result(run, patience_s))
        except WorkersError as error:
            heard.append(error.code)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, heard


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_items_go_by_position_and_few_are_handed_over() -> None:
    scheduler, hands = pool(3)
    runs = begun(scheduler, 18)
    assert [hand.holds for hand in hands] == [[0, 3], [1, 4], [2, 5]]
    assert sum(worker.busy for worker in scheduler.workers) == 3 * AHEAD
    assert hands[1].answer() == 1
    assert hands[1].holds == [4, 7]
    while any(hand.calls for hand in hands):
        for hand in hands:
            if hand.calls:
                hand.answer()
    assert [scheduler.result(run, None) for run in runs] == [str(home).encode() for home in range(18)]


def test_while_a_worker_is_away_only_its_items_move_and_it_is_asked_until_it_is_back() -> None:
    scheduler, hands = pool(3)
    begun(scheduler, 6)
    hands[1].answer(None)
    hands[1].answer(None)
    assert hands[1].holds == []
    for hand in (hands[0], hands[2], hands[0], hands[2], hands[0], hands[2]):
        if hand.calls:
            hand.answer()
    moved = begun(scheduler, 9)
    assert [hand.holds[:1] for hand in hands] == [[0], [], [2]]
    assert not [run for run in moved if 1 in run.tried]
    assert all(run.tried == {run.home % 3} for run in moved if run.home % 3 != 1)
    assert len({min(run.tried) for run in moved if run.home % 3 == 1}) == 2  # shared out between the others
    hands[1].asked.pop()(False)
    until(lambda: bool(hands[1].asked))
    hands[1].asked.pop()(True)
    (again,) = begun(scheduler, 2)[1:]
    assert again.tried == {1}


def test_a_slow_item_is_run_elsewhere_too_and_the_first_result_counts() -> None:
    scheduler, hands = pool(2)
    (run,) = begun(scheduler, 1)
    thread, heard = later(scheduler, run, 0.01)
    until(lambda: bool(hands[1].calls))
    assert hands[0].holds == hands[1].holds == [0]
    hands[1].answer()
    thread.join(60)
    assert heard == [b"0"]
    assert not scheduler.workers[0].steady  # asked for nothing until it answers
    (other,) = begun(scheduler, 1)
    assert other.tried == {1}
    hands[0].answer("failed")  # too late to count
    assert scheduler.result(run, None) == b"0"
    assert scheduler.workers[0].steady


def test_nothing_is_run_twice_where_nobody_is_impatient_or_there_is_nobody_else() -> None:
    scheduler, hands = pool(1)
    (run,) = begun(scheduler, 1)
    thread, heard = later(scheduler, run, 0.01)
    time.sleep(0.1)
    assert hands[0].holds == [0]
    hands[0].answer()
    thread.join(60)
    assert heard == [b"0"]


def test_an_item_that_takes_its_workers_along_is_given_up() -> None:
    scheduler, hands = pool(2)
    (run,) = begun(scheduler, 1)
    for lost in range(LOSSES):
        next(hand for hand in hands if hand.calls).answer(None)
        if lost % 2 and lost < LOSSES - 1:
            assert not run.over.is_set()
            assert not any(hand.calls for hand in hands)  # nobody is there: it waits
            for hand in hands:
                hand.asked.pop()(True)
    with pytest.raises(WorkersError, match="worker_lost"):
        scheduler.result(run, None)


@pytest.mark.parametrize(("outcome", "code"), [("failed", "task_failed"), ("lost", "worker_lost")])
def test_outcomes_have_codes(outcome: str, code: str) -> None:
    scheduler, hands = pool(1)
    (run,) = begun(scheduler, 1)
    hands[0].answer(outcome)
    with pytest.raises(WorkersError, match=code):
        scheduler.result(run, None)


def test_data_stays_in_its_place_whatever_happens() -> None:
    scheduler, hands = pool(4, ("east", "west", "east", "west"))
    runs = begun(scheduler, 8, "west")
    hands[1].answer(None)
    hands[3].answer(None)
    assert {number for run in runs for number in run.tried} == {1, 3}
    assert hands[0].holds == hands[2].holds == []
    with pytest.raises(WorkersError, match="place_absent"):
        scheduler.at("north")


def test_a_ray_that_is_replaced_is_handed_everything_anew_and_the_old_one_s_answers_do_not_count() -> None:
    scheduler, old = pool(2)
    runs = begun(scheduler, 6)
    old[0].answer()
    scheduler.away()
    old[1].answer(None)  # not a loss: everybody is away
    assert old[0].holds == [2, 4]
    runs += begun(scheduler, 1)  # it waits
    assert old[0].holds == [2, 4]
    new = [Hand(), Hand()]
    scheduler.anew(new)
    assert new[0].holds == new[1].holds == []  # nobody has said yet that they are there
    for hand in new:
        hand.asked.pop()(True)
    assert new[0].holds == [0, 1]  # the first that was there has them all; the 0 of before had its answer from the old one
    old[0].answer("failed")
    while any(hand.calls for hand in new):
        for hand in new:
            if hand.calls:
                hand.answer()
    assert [scheduler.result(run, None) for run in runs] == [str(home).encode() for home in (*range(6), 0)]


def test_closing_ends_every_wait() -> None:
    scheduler, _ = pool(2)
    runs = begun(scheduler, 6)
    waits = [later(scheduler, run, None) for run in runs]
    scheduler.close()
    for thread, heard in waits:
        thread.join(60)
        assert heard == ["closed"]
    with pytest.raises(WorkersError, match="closed"):
        begun(scheduler, 1)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_goes_away_every_item_is_answered_once_and_hands_are_never_full(seed: int) -> None:
    chance = random.Random(seed)
    scheduler, hands = pool(chance.randint(1, 5))
    runs = begun(scheduler, 40)
    for _ in range(10_000):
        assert all(len(hand.calls) <= AHEAD for hand in hands)
        for hand in hands:
            while hand.asked and chance.random() < 0.5:
                hand.asked.pop()(True)
        full = [hand for hand in hands if hand.calls]
        if not full:
            break
        chance.choice(full).answer(None if chance.random() < 0.02 else "ok")
    assert [scheduler.result(run, None) for run in runs] == [str(home).encode() for home in range(40)]
