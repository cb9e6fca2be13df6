"""A thread's rounds: every interval, at once when woken, whatever a round meets, and none after the stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from infra import rounds
from infra.rounds import Rounds

PATIENCE_S = 30.0


class Counted(Rounds):
    def __init__(self, act: Callable[[int], None] = lambda _: None, *, interval_s: float = 3600, at_once: bool = True) -> None:
        super().__init__("counted", interval_s=interval_s, at_once=at_once)
        self.act = act
        self.count = 0
        self.came = threading.Semaphore(0)

    def once(self) -> None:
        self.count += 1
        self.came.release()
        self.act(self.count)

    def comes(self, within_s: float = PATIENCE_S) -> bool:
        return self.came.acquire(timeout=within_s)


@pytest.fixture
def begun() -> Iterator[Callable[[Counted], Counted]]:
    made: list[Counted] = []

    def begin(each: Counted) -> Counted:
        made.append(each)
        each.start()
        return each

    yield begin
    for each in made:
        each.stop()


def test_the_first_round_comes_at_once_or_after_the_interval(begun: Callable[[Counted], Counted]) -> None:
    assert begun(Counted()).comes()
    later = begun(Counted(at_once=False))
    assert not later.comes(0.1)
    later.wake()
    assert later.comes()


def test_rounds_follow_each_other(begun: Callable[[Counted], Counted]) -> None:
    quick = begun(Counted(interval_s=0.001))
    assert all(quick.comes() for _ in range(5))


def test_a_call_during_a_round_is_not_lost(begun: Callable[[Counted], Counted]) -> None:
    inside, on = threading.Event(), threading.Event()

    def first_waits(count: int) -> None:
        if count == 1:
            inside.set()
            on.wait(PATIENCE_S)

    slow = begun(Counted(first_waits))
    assert inside.wait(PATIENCE_S)
    slow.wake()
    on.set()
    assert slow.comes()
    assert slow.comes()


def test_a_round_that_fails_is_told_and_followed_by_the_next(begun: Callable[[Counted], Counted], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = structlog.testing.CapturingLogger()
    monkeypatch.setattr(rounds, "log", kept)

    def fails_first(count: int) -> None:
        if count == 1:
            raise ConnectionError("patient 7 has 42")

    weak = begun(Counted(fails_first, interval_s=0.001))
    assert weak.comes()
    assert weak.comes()
    told = kept.calls[0]
    assert (told.method_name, told.args) == ("warning", ("round_failed",))
    assert told.kwargs == {"thread": "counted", "error": "ConnectionError", "code": None}
    assert "patient" not in repr(kept.calls)


def test_no_round_begins_after_the_stop_and_a_long_one_hears_of_it() -> None:
    inside, heard = threading.Event(), threading.Event()

    def until_stopped(_: int) -> None:
        inside.set()
        for _ in range(int(PATIENCE_S * 1000)):
            if each.stopping:
                heard.set()
                return
            threading.Event().wait(0.001)

    each = Counted(until_stopped, interval_s=0)
    each.start()
    each.start()  # one thread
    assert inside.wait(PATIENCE_S)
    each.stop()
    assert heard.is_set()
    assert each.count == 1


def test_a_stop_waits_no_longer_than_it_was_told() -> None:
    on = threading.Event()

    def waits(_: int) -> None:
        on.wait(PATIENCE_S)

    stuck = Counted(waits)
    stuck.start()
    assert stuck.comes()
    stuck.stop(0.05)
    on.set()
    stuck.stop()


def test_a_pause_within_a_round_lasts_until_the_stop_and_no_longer() -> None:
    went_on = threading.Event()

    def pauses(_: int) -> None:
        each.pause(PATIENCE_S)
        went_on.set()

    each = Counted(pauses)
    each.start()
    assert each.comes()
    assert not went_on.wait(0.05)
    each.stop(PATIENCE_S / 2)
    assert went_on.is_set()
