"""Pace windows: a day and a month bound what an account takes, beside its lifetime total, and the log alone says so too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs import acts, ledger
from jobs import events as ev
from jobs.acts.data import keep_pace
from jobs.audit import audit
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.degree import Degree
from policies.loss import Loss
from policies.problem import LANGUAGES, Problem
from policies.quota import Pace, Quota
from tests.small_register import ACCOUNTS, Ticking, a_licence, a_register, a_snapshot, submit
from yunei.problem import NotVerified
from yunei.replay import Book

LOSS = Loss(1_000, 10)
DAY = Degree(pico_rho=2_500, atto_delta=1_000)
MONTH = Degree(pico_rho=4_500, atto_delta=1_000)
EVENING = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)  # 23:00 on the 29th in China
NEXT_MORNING = datetime(2026, 11, 29, 16, 30, tzinfo=UTC)  # the 30th
DECEMBER = datetime(2026, 11, 30, 16, 30, tzinfo=UTC)


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    """The licence may spend two and a half charges a day and four and a half a month; the dataset has no pace."""
    with a_register(tmp_path, database_url=database_url) as register:
        acts.register_dataset(register, a_snapshot())
        acts.issue_key(register, "op-1", "operator")
        paced = a_licence().model_copy(update={"quota": Quota(pace=Pace(day=DAY, month=MONTH))})
        acts.grant_licence(register, paced)
        at(register, EVENING)
        yield register


def at(register: Register, moment: datetime) -> None:
    assert isinstance(register.clock, Ticking)
    register.clock.now = moment


def refused(register: Register, job: str) -> Problem:
    with pytest.raises(Problem) as caught:
        submit(register, job, LOSS)
    return caught.value


def licence_window(register: Register, window: str) -> ledger.Windowed:
    (balance,) = ledger.balances(register, ["licence:L-1"])
    return next(each for each in balance.windows if each.window == window)


def agrees(register: Register) -> Book:
    """Tables, log and the auditor's own rules say the same."""
    register.publish()
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    book.finish()
    for balance in report.accounts:
        paces = book.accounts[balance.account].paces
        told = {each.window: (each.cap, each.period, each.used) for each in balance.windows}
        assert {window: (Loss(*pace.cap), pace.period, Loss(*pace.used)) for window, pace in paces.items()} == told
    return book


def test_a_day_bounds_the_pace_and_the_next_has_room(register: Register) -> None:
    submit(register, "a", LOSS)
    submit(register, "b", LOSS)
    before = ledger.balances(register)
    problem = refused(register, "c")
    assert (problem.code, problem.fields["account"], problem.fields["window_en"]) == ("ledger_pace", "licence:L-1", "day")
    assert problem.fields["retry_at"] == "2026-11-30T00:00:00+08:00"
    assert all("2026-11-30" in problem.words(language).remedy for language in LANGUAGES)
    assert ledger.balances(register) == before
    at(register, NEXT_MORNING)
    submit(register, "d", LOSS)
    assert licence_window(register, "day") == ledger.Windowed("day", DAY.loss, "2026-11-30", LOSS)
    agrees(register)


def test_a_month_bounds_the_pace_over_its_days(register: Register) -> None:
    for job in ("a", "b"):
        submit(register, job, LOSS)
    at(register, NEXT_MORNING)
    for job in ("c", "d"):
        submit(register, job, LOSS)
    problem = refused(register, "e")
    assert {part.fields["window_en"] for part in problem.parts} == {"day", "month"}
    at(register, DECEMBER)
    submit(register, "f", LOSS)
    assert licence_window(register, "month") == ledger.Windowed("month", MONTH.loss, "2026-12", LOSS)
    agrees(register)


def test_a_reservation_given_back_makes_room_on_its_own_day_alone(register: Register) -> None:
    submit(register, "a", LOSS)
    submit(register, "b", LOSS)
    give_back(register, "a")
    assert licence_window(register, "day").used == LOSS
    at(register, NEXT_MORNING)
    submit(register, "c", LOSS)
    give_back(register, "b")
    assert licence_window(register, "day").used == LOSS  # c's: b was yesterday's
    assert licence_window(register, "month").used == LOSS
    agrees(register)


def give_back(register: Register, job: str) -> None:
    with register.transaction() as act:
        act.append(ev.JobCancelled(by="op-1", job=job, charge=f"c-{job}"))


def test_a_window_that_is_set_counts_what_its_period_has_taken_already(register: Register) -> None:
    submit(register, "a", LOSS)
    give_back(register, "a")
    submit(register, "b", LOSS)
    narrow = Pace(day=Degree(pico_rho=1_500, atto_delta=1_000))
    with register.transaction() as act:
        keep_pace(act, "population:person", narrow, "system")
    (population,) = ledger.balances(register, ["population:person"])
    assert [window.used for window in population.windows] == [LOSS]
    assert refused(register, "c").fields["account"] == "population:person"
    with register.transaction() as act:
        keep_pace(act, "population:person", narrow, "system")
    assert [recorded.kind for recorded in register.events(limit=1_000)].count("pace_set") == 3  # nothing changed: no event
    with register.transaction() as act:
        keep_pace(act, "population:person", Pace(), "system")
    submit(register, "d", LOSS)
    agrees(register)


def test_a_new_version_of_a_dataset_brings_its_pace(register: Register) -> None:
    second = a_snapshot(version=2)
    dataset = second.dataset.model_copy(update={"pace": Pace(day=Degree(pico_rho=500, atto_delta=1_000))})
    acts.register_dataset(register, second.model_copy(update={"dataset": dataset}))
    assert refused(register, "a").fields["account"] == "dataset:visits"
    snapshot = register.snapshot("visits", 2)
    assert snapshot is not None
    assert snapshot.dataset.pace == dataset.pace  # the document carries it
    agrees(register)


def test_the_tables_admit_no_charge_past_a_window_whoever_asks(register: Register) -> None:
    """The check with words is not what holds: the projection's own condition is."""
    for job in ("a", "b"):
        submit(register, job, LOSS)

    def force() -> None:
        with register.transaction() as act:
            act.append(ev.ChargeReserved(by="system", charge="forced", job="j", accounts=ACCOUNTS, cost=ev.Cost.of(LOSS)))

    with pytest.raises(DoesNotFit):
        force()
    agrees(register)


def test_the_auditors_own_rules_find_a_charge_past_a_window(register: Register) -> None:
    for job in ("a", "b"):
        submit(register, job, LOSS)
    book = agrees(register)
    event = {
        "kind": "charge_reserved", "at": ev.rfc3339(register.clock()), "by": "system", "charge": "forced", "job": "j",
        "accounts": list(ACCOUNTS), "cost": {"pico_rho": "1000", "atto_delta": "10"},
    }  # fmt: skip
    body = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(NotVerified, match="verify_replay") as caught:
        book.apply(register.size, body)
    assert "licence:L-1 is over its day's pace" in str(caught.value)


def test_a_pace_lowered_below_what_was_taken_leaves_nothing(register: Register) -> None:
    submit(register, "a", LOSS)
    with register.transaction() as act:
        keep_pace(act, "licence:L-1", Pace(day=Degree(pico_rho=1, atto_delta=1)), "system")
    assert licence_window(register, "day").left(register.clock()) == Loss(0)
    assert [balance.windows[0].window for balance in ledger.balances(register, ["licence:L-1"])] == ["day"]
    assert refused(register, "b").fields["rho_left"] == "0"
    agrees(register)
