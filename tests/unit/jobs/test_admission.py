"""Quotas, fair order between operators, and one charge for two identical questions under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from api.services import Services
from infra.clock import system_clock
from jobs import acts, hops, ledger, lookup, quote
from jobs.audit import audit
from jobs.fair import FairGate, FairQueue
from jobs.order import Order
from jobs.queue import Crew
from policies.problem import LANGUAGES, Problem
from policies.quota import Quota
from sandbox.plan.ask import Ask
from tests.bureau import LICENCE, Home, licence, opened, order
from yunei.replay import Book

SLOW = (700, 1_400)  # long enough to meet a job under way
SECOND = "L-2"


def asking(epsilon: str, **changes: object) -> Order:
    """Another question for each price."""
    return order(ask=Ask.model_validate({"privacy": {"epsilon": epsilon, "delta": "0.00000001"}}), **changes)


@pytest.fixture
def home(bureau_home: Home, tmp_path: Path) -> Path:
    bureau_home.copy_to(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def slow(home: Path) -> Iterator[Services]:
    """A bureau whose jobs take most of a second, with a second operator who has a licence too."""
    services = opened(home, slots_ms=SLOW)
    acts.grant_licence(services.register, licence(SECOND, operator="operator-2"))
    yield services
    services.close()


def over(services: Services, job: str, timeout_s: float = 60) -> lookup.JobSeen:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        seen = lookup.job(services.register, job, services.clock())
        assert seen is not None
        if seen.state != "running":
            return seen
        time.sleep(0.01)
    raise AssertionError(f"{job} still runs")


def kinds(services: Services) -> list[str]:
    return [event.kind for event in services.register.events(limit=1_000)]


def adds_up(services: Services, *prices: lookup.JobSeen) -> None:
    """Spent is the sum of the prices; both audits agree."""
    total = sum(seen.price.pico_rho for seen in prices if seen.price is not None)
    (population,) = ledger.balances(services.register, ["population:person"])
    assert (population.reserved.pico_rho, population.spent.pico_rho) == (0, total)
    services.register.publish()
    assert audit(services.settings.log_dir, [services.register.vkey], services.register.engine).findings == []
    book = Book()
    for index in range(services.register.size):
        book.apply(index, services.register.entry(index))
    book.finish()


# ── one charge for two identical questions ───────────────────────────────────────────────────────────────────────────────────────────


def test_two_identical_questions_under_way_are_one_charge(slow: Services) -> None:
    first = slow.submit(order()).result(60)
    second = slow.submit(order(by="operator-2", licence=SECOND)).result(60)
    assert kinds(slow)[-2:] != ["job_admitted", "charge_reserved"]
    assert "job_attached" in kinds(slow)
    one, two = over(slow, first), over(slow, second)
    assert (one.state, one.reused) == ("published", False)
    assert (two.state, two.reused, two.release) == ("published", True, one.release)
    assert one.over_at is not None
    assert two.over_at is not None
    assert two.over_at >= one.over_at  # never seen earlier than the one who paid
    assert kinds(slow).count("charge_reserved") == 1
    adds_up(slow, one)


def test_many_at_once_are_one_charge(slow: Services) -> None:
    told = [slow.submit(order()) for _ in range(12)]
    seen = [over(slow, each.result(60)) for each in told]
    assert {each.state for each in seen} == {"published"}
    assert len({each.release for each in seen}) == 1
    assert [each.reused for each in seen].count(False) == 1
    assert kinds(slow).count("charge_reserved") == 1
    adds_up(slow, *seen)


def test_a_published_answer_not_yet_visible_is_not_charged_again(slow: Services) -> None:
    """Between 90 and 100 percent of the slot the release is there, and nobody may see it yet."""
    first = slow.submit(order()).result(60)
    until = time.monotonic() + 60
    while "release_published" not in kinds(slow):
        assert time.monotonic() < until
        time.sleep(0.001)
    second = slow.submit(order()).result(60)
    one, two = over(slow, first), over(slow, second)
    assert two.reused
    assert one.over_at is not None
    assert two.over_at is not None
    assert two.over_at >= one.over_at
    assert kinds(slow).count("charge_reserved") == 1


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_if_the_first_comes_to_nothing_the_second_goes_on_alone(slow: Services, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, broken = hops.totals, [how == "failed"]

    def totals(office: hops.Office, job: hops.Admitted) -> object:
        if broken and broken.pop():
            raise ValueError("a shard failed")
        return real(office, job)

    monkeypatch.setattr(hops, "totals", totals)
    first = slow.submit(order()).result(60)
    second = slow.submit(order(by="operator-2", licence=SECOND)).result(60)
    third = slow.submit(order(by="operator-2", licence=SECOND)).result(60)
    if how == "cancelled":
        hops.cancel(slow.office, first, "operator-1")
    one, two, three = (over(slow, job) for job in (first, second, third))
    assert one.state == how
    assert {two.state, three.state} == {"published"}
    assert sorted([two.reused, three.reused]) == [False, True]  # and these two are one charge again
    assert two.release == three.release
    assert kinds(slow).count("charge_reserved") == 2
    adds_up(slow, one, two, three)


def test_who_waits_is_held_against_what_is_in_force_when_the_answer_comes(slow: Services) -> None:
    first = slow.submit(order()).result(60)
    second = slow.submit(order(by="operator-2", licence=SECOND)).result(60)
    acts.suspend_licence(slow.register, SECOND, reason="test")
    assert over(slow, first).state == "published"
    two = over(slow, second)
    assert two.state == "refused"
    assert two.release is None
    assert "licence_refused" in two.problem
    adds_up(slow, over(slow, first))


def test_who_waits_may_cancel_and_costs_nothing(slow: Services) -> None:
    first = slow.submit(order()).result(60)
    second = slow.submit(order()).result(60)
    hops.cancel(slow.office, second, "operator-1")
    assert over(slow, second).state == "cancelled"
    one = over(slow, first)
    assert one.state == "published"
    adds_up(slow, one)


def test_who_waits_is_answered_by_the_next_server(home: Path) -> None:
    services = opened(home, slots_ms=(2_000,))
    first, second = (services.submit(order()).result(60) for _ in range(2))
    services.close()
    again = opened(home, slots_ms=(2_000,))
    try:
        one, two = over(again, first), over(again, second)
        assert (one.reused, two.reused) == (False, True)
        assert one.release == two.release
        assert kinds(again).count("charge_reserved") == 1
        adds_up(again, one)
    finally:
        again.close()


# ── quotas ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_quota(services: Services, quota: Quota) -> str:
    acts.grant_licence(services.register, licence("L-3", quota=quota))
    return "L-3"


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def test_a_licence_bounds_its_jobs_at_once(slow: Services) -> None:
    limited = with_quota(slow, Quota(jobs_at_once=2))
    first, second = (slow.submit(asking(epsilon, licence=limited)).result(60) for epsilon in ("0.1", "0.2"))
    problem = refusal(lambda: slow.submit(asking("0.3", licence=limited)).result(60))
    assert (problem.code, problem.fields["most"], problem.fields["running"]) == ("job_quota_at_once", "2", "2")
    assert all(problem.fields["retry_at"] in problem.words(language).remedy for language in LANGUAGES)
    assert refusal(lambda: quote.check(slow.office, asking("0.3", licence=limited))).code == "job_quota_at_once"
    assert kinds(slow)[-1] == "job_refused"
    slow.submit(asking("0.3")).result(60)  # another licence of the same operator
    for job in (first, second):
        assert over(slow, job).state == "published"
    assert slow.clock() + timedelta(milliseconds=SLOW[0]) >= hops.parse_time(problem.fields["retry_at"])  # it was not put off for long
    slow.submit(asking("0.3", licence=limited)).result(60)


def test_a_licence_bounds_its_jobs_a_day_and_repetitions_do_not_count(slow: Services) -> None:
    limited = with_quota(slow, Quota(jobs_a_day=2))
    first = slow.submit(asking("0.1", licence=limited)).result(60)
    assert over(slow, first).state == "published"
    assert over(slow, slow.submit(asking("0.1", licence=limited)).result(60)).reused
    slow.submit(asking("0.2", licence=limited)).result(60)
    problem = refusal(lambda: slow.submit(asking("0.3", licence=limited)).result(60))
    assert (problem.code, problem.fields["admitted"]) == ("job_quota_day", "2")
    assert problem.fields["retry_at"].endswith("T00:00:00+08:00")
    assert over(slow, slow.submit(asking("0.1", licence=limited)).result(60)).reused  # a free answer is still given


def test_a_thousand_orders_at_once_pass_no_quota(slow: Services) -> None:
    limited = with_quota(slow, Quota(jobs_at_once=5))
    told = [slow.submit(asking(f"0.1{number:03d}", licence=limited)) for number in range(40)]
    codes = [refusal(lambda each=each: each.result(60)).code for each in told if each.exception(30) is not None]
    assert set(codes) == {"job_quota_at_once"}
    assert len(codes) >= 35 - 5  # five at once; a few more as the first ended


# ── fair order ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_thousand_of_one_do_not_keep_the_first_of_another_waiting() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1_000):
        queue.put("greedy", f"greedy {number}")
    for _ in range(10):
        queue.take()
    queue.put("modest", "modest 0")
    queue.put("modest", "modest 1")
    order_of = [queue.take() for _ in range(5)]
    names = [item[1] for item in order_of if item is not None]
    assert names.index("modest 0") <= 1
    assert names.index("modest 1") <= 3
    assert len(queue) == 1_000 - 10 + 2 - 5


def test_shares_are_of_cost_and_nobody_saves_up() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(300):
        queue.put("heavy", number, cost=10)
        queue.put("light", number, cost=1)
    taken = [queue.take() for _ in range(110)]
    lanes = [item[0] for item in taken if item is not None]
    assert 8 <= lanes.count("light") / lanes.count("heavy") <= 12
    queue.put("late", 0)
    queue.put("late", 1)
    lanes = [item[0] for _ in range(6) if (item := queue.take()) is not None]
    assert lanes.count("late") <= 2


def test_a_full_lane_is_passed_over() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.put("a", 1)
    assert queue.take(frozenset({"a"})) is None
    queue.put("b", 2)
    assert queue.take(frozenset({"a"})) == ("b", 2)
    assert queue.take() == ("a", 1)


def test_the_gate_lets_lanes_in_by_turns() -> None:
    gate, entered, first, hold = FairGate(1), [], threading.Event(), threading.Event()

    def enter(lane: str) -> None:
        with gate(lane):
            entered.append(lane)
            first.set()
            hold.wait(60)

    threads = [threading.Thread(target=enter, args=(lane,)) for lane in ["a"] * 6 + ["b"]]
    for thread in threads:
        thread.start()
        assert first.wait(60)
        until = time.monotonic() + 60
        while len(gate._waiting) < threads.index(thread):  # so that they queue up in this order
            assert time.monotonic() < until
            time.sleep(0.001)
    hold.set()
    for thread in threads:
        thread.join(60)
    assert entered.index("b") <= 2
    assert sorted(entered) == ["a"] * 6 + ["b"]


def test_the_crew_gives_threads_in_fair_order(slow: Services) -> None:
    """One operator hands in a thousand pieces of work, another one piece, on a crew of four threads."""
    crew = Crew(slow.leases, system_clock, lease_s=30, threads=4)
    started: list[str] = []
    lock, go = threading.Lock(), threading.Event()

    def work(operator: str, done: threading.Event | None = None) -> None:
        with lock:
            started.append(operator)
        if done is not None:
            done.set()
        go.wait(60)

    try:
        for _ in range(1_000):
            crew.carry("greedy", partial(work, "greedy"))
        done = threading.Event()
        crew.carry("modest", partial(work, "modest", done))
        assert done.wait(60), "while nothing of the other's comes to an end"
        assert started.count("greedy") <= 1, "a quarter of the threads"
        go.set()
        until = time.monotonic() + 60
        while len(started) < 1_001:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        go.set()
        crew.close()


def test_one_operators_backlog_does_not_starve_anothers_job(slow: Services) -> None:
    """Through the whole walk: sixty jobs of one operator wait, and the other's only job is admitted before most of them."""
    slow.crew._most = 2
    done: list[str] = []
    over = threading.Event()
    for number in range(60):
        slow.submit(asking(f"0.01{number:02d}")).add_done_callback(lambda _: done.append("greedy"))
    modest = slow.submit(asking("0.5", by="operator-2", licence=SECOND))
    modest.add_done_callback(lambda _: (done.append("modest"), over.set()))
    assert over.wait(60)
    assert modest.exception() is None
    assert done.index("modest") <= 20


def test_the_licence_of_the_bureau_has_no_quota_of_its_own(slow: Services) -> None:
    record = slow.register.licence(LICENCE)
    assert record is not None
    assert record.licence.quota == Quota()
