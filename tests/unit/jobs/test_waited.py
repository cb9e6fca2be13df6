"""A job that waited for another one's answer, and goes on alone: until it reads, it costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from jobs import acts, hops
from jobs.lookup import JobSeen
from tests.bureau import LICENCE, Bureau, order
from tests.unit.jobs.test_release import ACCOUNTS, clean, damage, kinds, paused, submitted, used, wait


def waited(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, then: Callable[[str], object]) -> tuple[JobSeen, int]:
    """A job that waited for another one's answer, which was cancelled; `then`, with its id, just before it reads. Also what the other cost."""
    entered, gate, office = threading.Event(), threading.Event(), bureau.services.office

    def hold() -> None:
        entered.set()
        gate.wait(60)

    paused(monkeypatch, hops, "totals", hold)
    first = submitted(bureau, order()).result(60)
    assert entered.wait(60)
    second = submitted(bureau, order()).result(60)
    assert kinds(bureau)[-1] == "job_attached"
    paused(monkeypatch, hops, "begin_reading", lambda: then(second))
    hops.cancel(office, first, "operator-1")
    gate.set()
    seen, cost = wait(bureau, second), wait(bureau, first).price
    assert kinds(bureau).count("job_admitted") == 2
    assert cost is not None
    return seen, cost.pico_rho


def test_a_licence_suspended_while_a_job_waited_gives_the_reservation_back(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, cost = waited(bureau, monkeypatch, lambda _: acts.suspend_licence(bureau.services.register, LICENCE, reason="test"))
    assert seen.state == "refused"
    assert set(used(bureau).values()) == {(0, cost)}
    assert kinds(bureau).count("job_reading") == 1
    assert clean(bureau)


def test_a_version_that_cannot_be_opened_any_more_costs_a_job_that_waited_nothing(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, cost = waited(bureau, monkeypatch, lambda _: damage(bureau))
    assert seen.state == "refused"
    assert "data_snapshot_refused" in str(seen)
    assert set(used(bureau).values()) == {(0, cost)}
    assert clean(bureau)


def test_cancelling_a_job_that_waited_is_free_before_it_reads(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, cost = waited(bureau, monkeypatch, lambda job: hops.cancel(bureau.services.office, job, "operator-1"))
    assert (seen.state, seen.problem, seen.release) == ("cancelled", ("job_cancelled",), None)
    assert seen.price is not None
    assert seen.price.pico_rho == 0
    time.sleep(0.4)  # whatever still runs must find out that it is over
    assert used(bureau) == dict.fromkeys(ACCOUNTS, (0, cost))
    assert kinds(bureau).count("job_reading") == 1
    assert clean(bureau)
