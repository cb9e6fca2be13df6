"""Accounts by period: opened with the entry, charged for what is read, and nothing else of them moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import update

from infra.database import writing
from infra.tables import accounts
from jobs import acts, ledger
from jobs.audit import audit
from jobs.events import ChargeReserved, Cost, JobAdmitted, JobSubmitted
from jobs.projections import DoesNotFit
from jobs.projections.authority import halting
from jobs.register import Register
from policies.catalogue import Window
from policies.entry import rules_against
from policies.loss import Loss
from policies.problem import Problem
from tests.periods import MONTHS, allow, by_month
from tests.small_register import a_licence, a_register, title
from yunei.problem import NotVerified
from yunei.replay import Book

LOSS = Loss(1_000_000, 10)
ROOM = Loss(10 * LOSS.pico_rho + 7, 1_000)
FIRST = 2025 * 12 + 10  # November


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        allow(register)
        acts.register_dataset(register, by_month(), population_cap=ROOM, dataset_cap=Loss(10**10, 10**6))
        acts.issue_key(register, "op-1", "operator", title=title("operator one"))
        acts.grant_licence(register, a_licence())
        yield register


def named(first: int, last: int, *datasets: str) -> tuple[str, ...]:
    """Of a job that reads these months, the first being 0."""
    own = [name.casefold() for name in datasets or ("visits",)]
    windows = {name: [Window("day", "month", FIRST + first, FIRST + last)] for name in own}
    return ledger.accounts_of(space="person/month", datasets=own, licence="L-1", operator="op-1", windows=windows)


def reserve(register: Register, charge: str, names: tuple[str, ...], loss: Loss = LOSS) -> None:
    with register.transaction(publish=False) as act:
        ledger.reserve(act, charge=charge, job=f"j-{charge}", accounts=names, loss=loss, by="system")


def refused(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def used(register: Register, kind: str) -> dict[str, int]:
    """Pico-rho by period."""
    held = [balance for balance in ledger.balances(register) if balance.kind == kind]
    return {balance.account.partition("@")[2]: (balance.reserved + balance.spent).pico_rho for balance in held}


def replay(register: Register) -> None:
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))


def test_an_account_for_each_period_and_none_for_all(register: Register) -> None:
    found = {balance.account: balance.subject for balance in ledger.balances(register)}
    assert {f"population:person/month@{month}" for month in MONTHS} == {name for name in found if name.startswith("population:")}
    assert {f"dataset:visits@{month}" for month in MONTHS} == {name for name in found if name.startswith("dataset:")}
    assert found["population:person/month@2026-01"] == "person/month@2026-01"
    acts.register_dataset(register, by_month(version=2, high=date(2026, 6, 1)), population_cap=Loss(5), dataset_cap=Loss(5))
    after = {balance.account: balance for balance in ledger.balances(register)}
    assert after.keys() - found.keys() == {
        f"{kind}@{month}" for kind in ("population:person/month", "dataset:visits") for month in ("2026-05", "2026-06")
    }
    assert after["population:person/month@2026-01"].cap == ROOM, "caps of open accounts do not move"


def test_a_charge_names_the_periods_read(register: Register) -> None:
    assert named(2, 3) == (
        "dataset:visits@2026-01",
        "dataset:visits@2026-02",
        "licence:L-1",
        "operator:op-1@visits",
        "population:person/month@2026-01",
        "population:person/month@2026-02",
    )
    with register.transaction() as act:
        act.append(JobSubmitted(by="op-1", job="j-jan", operator="op-1", licence="L-1", scenario="s", request="0" * 64))
        ledger.reserve(act, charge="jan", job="j-jan", accounts=named(2, 2), loss=LOSS, by="system")
        act.append(JobAdmitted(by="system", job="j-jan", plan_digest="a" * 64, question="b" * 64, cost=Cost.of(LOSS)))
    reserve(register, "jan-feb", named(2, 3))
    for kind in ("population", "dataset"):
        assert used(register, kind) == {month: {"2026-01": 2, "2026-02": 1}.get(month, 0) * LOSS.pico_rho for month in MONTHS}
    assert used(register, "licence") == {"": 2 * LOSS.pico_rho}
    with register.transaction() as act:
        ledger.release(act, "jan-feb", by="system")
        ledger.reading(act, "jan", by="system")
        ledger.spend(act, "jan", by="system")
    assert used(register, "population") == {month: LOSS.pico_rho * (month == "2026-01") for month in MONTHS}
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []


def test_one_full_period_refuses_the_whole_charge(register: Register) -> None:
    for number in range(10):
        reserve(register, f"c{number}", named(2, 2))
    problem = refused(lambda: reserve(register, "over", named(1, 4)))
    assert (problem.code, problem.fields["account"]) == ("ledger_exhausted", "population:person/month@2026-01")
    assert used(register, "population")["2025-12"] == 0
    reserve(register, "beside", named(3, 5))


def test_racing_charges_stop_exactly_at_the_cap_of_the_period_they_share(register: Register) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def attempt(number: int) -> None:
        barrier.wait()
        for again in range(4):
            try:
                reserve(register, f"t{number}-{again}", named(number % 3, 2 + number % 4))  # all of them read January
                outcomes.append("passed")
            except Problem as refusal:
                outcomes.append(refusal.code)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ledger_exhausted"] * 22 + ["passed"] * 10
    found = used(register, "population")
    assert found["2026-01"] == 10 * LOSS.pico_rho == max(found.values())
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []


def test_caps_of_a_period_are_raised_by_two(register: Register) -> None:
    account = "population:person/month@2026-01"
    proposal = acts.propose_cap(register, account, ROOM + LOSS, reason="a new month", by="zhang")
    assert refused(lambda: acts.raise_cap(register, account, ROOM + LOSS, proposal=proposal, by="zhang")).code == "auth_second_person"
    acts.raise_cap(register, account, ROOM + LOSS, proposal=proposal, by="qian")
    for number in range(11):
        reserve(register, f"c{number}", named(2, 2))
    assert refused(lambda: reserve(register, "over", named(2, 2))).code == "ledger_exhausted"
    assert used(register, "population")["2026-02"] == 0


def test_a_changed_period_account_is_found_by_the_audit(tmp_path: Path) -> None:
    with a_register(tmp_path) as register:
        allow(register)
        acts.register_dataset(register, by_month())
        with writing(register.engine) as connection:
            connection.execute(update(accounts).where(accounts.c.id == "population:person/month@2026-02").values(reserved_pico_rho=5))
        report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert "2026-02" in " ".join(str(finding) for finding in report.findings)


def test_the_carried_audit_finds_a_charge_that_names_another_period(register: Register) -> None:
    """The event itself says so: somebody who may append wrote February where January was read."""
    wrong = tuple(sorted({*named(2, 2)} - {"population:person/month@2026-01"} | {"population:person/month@2026-02"}))
    with register.transaction() as act:
        act.append(ChargeReserved(by="system", charge="c", job="j", accounts=wrong, cost=Cost.of(LOSS)))
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == [], "tables follow from the events"
    with pytest.raises(NotVerified, match="population of each period"):
        replay(register)


def test_a_charge_on_a_period_that_was_never_opened_touches_nothing(register: Register) -> None:
    assert refused(lambda: reserve(register, "c", named(5, 6))).code == "ledger_account_unknown"
    with pytest.raises(DoesNotFit), register.transaction(publish=False) as act:
        act.append(ChargeReserved(by="system", charge="c", job="j", accounts=named(5, 6), cost=Cost.of(LOSS)))
    assert set(used(register, "population").values()) == {0}


def test_a_frozen_dataset_stops_what_its_periods_paid_for(register: Register) -> None:
    acts.register_dataset(register, by_month("visits_more"), population_cap=ROOM)
    acts.grant_licence(register, a_licence("L-2", datasets=("visits", "visits_more")))
    reserve(register, "more", named(2, 2, "visits_more"))
    reserve(register, "own", named(2, 2))
    acts.set_freeze(register, "dataset", "visits", reason="r", by="zhang")
    with register.transaction(publish=False) as act:
        stopped = {charge: bool(act.writer.rows(*halting("op-1", "L-1", charge))) for charge in ("own", "more")}
    assert stopped == {"own": True, "more": False}


def test_the_policy_must_allow_it(tmp_path: Path) -> None:
    with a_register(tmp_path) as register:
        problem = refused(lambda: acts.register_dataset(register, by_month()))
        assert (problem.code, problem.fields["rules"]) == ("data_block_policy", "licence_period_budget")
        assert problem.fields["unit_en"] == "person and month"
        assert ledger.balances(register) == []
        allow(register)
        acts.register_dataset(register, by_month())
    assert rules_against(by_month().dataset) == ("licence_period_budget",)
    plain = by_month().dataset.model_copy(update={"block": None})
    assert rules_against(plain) == ()


def test_column_and_period_never_change(register: Register) -> None:
    assert refused(lambda: acts.register_dataset(register, by_month(version=2, column="paid"))).code == "data_block_changed"
    year = by_month(version=2)
    assert year.dataset.block is not None
    block = year.dataset.block.model_copy(update={"period": "year"})
    by_year = year.model_copy(update={"dataset": year.dataset.model_copy(update={"block": block})})
    assert refused(lambda: acts.register_dataset(register, by_year)).code == "data_unit_changed"
    plain = year.model_copy(update={"dataset": year.dataset.model_copy(update={"block": None})})
    assert refused(lambda: acts.register_dataset(register, plain)).code == "data_unit_changed"


def test_more_accounts_than_an_entry_holds_are_refused_in_words() -> None:
    assert (
        len(ledger.accounts_of(space="person/day", datasets=["v"], licence="L", operator="o", windows={"v": [Window("d", "day", 1, 400)]}))
        == 802
    )
    windows = {name: [Window("d", "day", 1, 400)] for name in ("v", "w", "x")}
    problem = refused(lambda: ledger.accounts_of(space="person/day", datasets=windows, licence="L", operator="o", windows=windows))
    assert (problem.code, problem.fields["periods"], problem.fields["accounts"]) == ("ledger_periods", "400", "1604")
