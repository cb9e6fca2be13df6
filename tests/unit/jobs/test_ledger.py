"""The ledger: all accounts or none, each loss once, and nothing given back after reading."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from infra.database import writing
from infra.settings import Settings
from infra.tables import accounts
from jobs import acts, ledger
from jobs.audit import audit
from jobs.events import ChargeReserved, Cost, JobCancelled, JobRefused
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.loss import Loss
from policies.problem import LANGUAGES, Problem
from tests.processes import forking
from tests.small_register import ACCOUNTS, a_licence, a_register, a_snapshot, furnish, run, submit

LOSS = Loss(1_000_000, 10)


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        furnish(register)
        yield register


def reserve(register: Register, charge: str, loss: Loss = LOSS, names: tuple[str, ...] = ACCOUNTS) -> None:
    with register.transaction(publish=False) as act:
        ledger.reserve(act, charge=charge, job=f"j-{charge}", accounts=names, loss=loss, by="system")


def problem(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def test_a_job_is_charged_to_population_datasets_licence_and_operator() -> None:
    assert ledger.accounts_of(space="Person", datasets=["Visits", "labs"], licence="L-1", operator="op-1") == (
        "dataset:labs",
        "dataset:visits",
        "licence:L-1",
        "operator:op-1@labs",
        "operator:op-1@visits",
        "population:person",
    )


def test_a_charge_takes_from_every_account_and_moves_with_its_job(register: Register) -> None:
    submit(register, "a", LOSS)
    before = ledger.balances(register, ACCOUNTS)
    assert [balance.account for balance in before] == sorted(ACCOUNTS)
    assert {(balance.reserved, balance.spent) for balance in before} == {(LOSS, Loss(0))}
    with register.transaction() as act:
        ledger.reading(act, "c-a", by="system")
    assert {(balance.reserved, balance.spent) for balance in ledger.balances(register, ACCOUNTS)} == {(LOSS, Loss(0))}
    with register.transaction() as act:
        ledger.spend(act, "c-a", by="system")
    after = ledger.balances(register, ACCOUNTS)
    assert {(balance.reserved, balance.spent) for balance in after} == {(Loss(0), LOSS)}
    assert all(balance.left + LOSS == balance.cap for balance in after)


def test_one_account_without_room_and_none_is_touched(register: Register) -> None:
    small = next(balance for balance in ledger.balances(register) if balance.kind == "operator")
    refusal = problem(lambda: reserve(register, "c", Loss(small.cap.pico_rho + 1)))
    assert refusal.code == "ledger_exhausted"
    assert refusal.fields["account"] == small.account
    assert (refusal.fields["rho_left"], refusal.fields["rho_needed"]) == ("0.5", "0.500000000001")
    assert refusal.parts == ()
    assert {balance.reserved for balance in ledger.balances(register)} == {Loss(0)}
    assert all("0.500000000001" in refusal.words(language).detail for language in LANGUAGES)


def test_every_account_without_room_is_named(register: Register) -> None:
    refusal = problem(lambda: reserve(register, "c", Loss(1, 10**18)))
    assert [part.fields["account"] for part in refusal.parts] == sorted(ACCOUNTS)
    assert refusal.fields["delta_needed"] == "1"


@pytest.mark.parametrize("loss", [Loss(10**21), Loss(10**18, 10**18)])
def test_a_loss_past_what_the_database_can_hold_is_just_a_refusal(register: Register, loss: Loss) -> None:
    assert problem(lambda: reserve(register, "c", loss)).code == "ledger_exhausted"


def test_the_last_of_the_budget_can_be_spent_and_not_one_unit_more(register: Register) -> None:
    names = (ledger.licence_account("L-1"),)
    cap = ledger.balances(register, names)[0].cap
    reserve(register, "all", Loss(cap.pico_rho, 0), names)
    assert problem(lambda: reserve(register, "rho", Loss(1), names)).fields["epsilon_left"] == "0"
    reserve(register, "delta", Loss(0, cap.atto_delta), names)
    assert problem(lambda: reserve(register, "more", Loss(0, 1), names)).code == "ledger_exhausted"


def test_after_a_refusal_the_transaction_may_go_on(register: Register) -> None:
    with register.transaction() as act:
        with pytest.raises(Problem):
            ledger.reserve(act, charge="c", job="j", accounts=ACCOUNTS, loss=Loss(10**13), by="system")
        act.append(JobRefused(by="system", operator="op-1", codes=("ledger_exhausted",)))
    assert register.events(kinds=("job_refused",))[0].event.model_dump()["codes"] == ("ledger_exhausted",)


def test_a_charge_is_made_once(register: Register) -> None:
    reserve(register, "c")
    assert problem(lambda: reserve(register, "c")).code == "ledger_charge_exists"
    assert {balance.reserved for balance in ledger.balances(register, ACCOUNTS)} == {LOSS}


def test_an_account_that_was_never_opened_is_named(register: Register) -> None:
    refusal = problem(lambda: reserve(register, "c", names=(*ACCOUNTS, "dataset:secret")))
    assert (refusal.code, refusal.fields["account"]) == ("ledger_account_unknown", "dataset:secret")


def test_a_reservation_is_given_back_only_before_reading(register: Register) -> None:
    submit(register, "a", LOSS)
    with register.transaction() as act:
        ledger.release(act, "c-a", by="system")
    assert {balance.left == balance.cap for balance in ledger.balances(register)} == {True}
    submit(register, "b", LOSS)
    with register.transaction() as act:
        ledger.reading(act, "c-b", by="system")

    def give_back() -> None:
        with register.transaction() as act:
            ledger.release(act, "c-b", by="system")

    assert problem(give_back).code == "ledger_charge_state"
    with register.transaction() as act:
        ledger.forfeit(act, "c-b", by="system")
    assert {(balance.reserved, balance.spent) for balance in ledger.balances(register, ACCOUNTS)} == {(Loss(0), LOSS)}


def test_a_spent_charge_that_is_forfeited_is_not_counted_twice(register: Register) -> None:
    submit(register, "a", LOSS)
    with register.transaction() as act:
        ledger.reading(act, "c-a", by="system")
        ledger.spend(act, "c-a", by="system")
        ledger.forfeit(act, "c-a", by="system")
    assert {(balance.reserved, balance.spent) for balance in ledger.balances(register, ACCOUNTS)} == {(Loss(0), LOSS)}


@pytest.mark.parametrize(("steps", "spent"), [(0, Loss(0)), (1, LOSS), (2, LOSS)])
def test_cancelling_is_free_before_reading_and_only_then(register: Register, steps: int, spent: Loss) -> None:
    submit(register, "a", LOSS)
    with register.transaction() as act:
        for step in (ledger.reading, ledger.spend)[:steps]:
            step(act, "c-a", by="system")
        act.append(JobCancelled(by="op-1", job="a", charge="c-a"))
    assert {(balance.reserved, balance.spent) for balance in ledger.balances(register, ACCOUNTS)} == {(Loss(0), spent)}


def test_a_refusal_after_admission_gives_the_reservation_back(register: Register) -> None:
    submit(register, "a", LOSS)
    with register.transaction() as act:
        act.append(JobRefused(by="system", job="a", operator="op-1", codes=("licence_refused",), rules=("licence_state",), charge="c-a"))
    assert {balance.left == balance.cap for balance in ledger.balances(register)} == {True}


@pytest.mark.parametrize("step", [ledger.spend, ledger.release, ledger.reading, ledger.forfeit])
def test_no_step_is_taken_twice_or_for_a_charge_that_is_not_there(register: Register, step: Callable[..., int]) -> None:
    run(register, "a", LOSS)

    def again(charge: str) -> None:
        with register.transaction() as act:
            step(act, charge, by="system")
            step(act, charge, by="system")

    for charge in ("c-a", "none"):
        with pytest.raises((Problem, DoesNotFit)):
            again(charge)
    assert {(balance.reserved, balance.spent) for balance in ledger.balances(register, ACCOUNTS)} == {(Loss(0), LOSS)}


def test_the_projection_refuses_what_the_words_above_it_let_through(register: Register) -> None:
    def overdraw() -> None:
        with register.transaction() as act:
            act.append(ChargeReserved(by="system", charge="c", job="j", accounts=ACCOUNTS, cost=Cost(pico_rho=10**13, atto_delta=0)))

    with pytest.raises(DoesNotFit, match="accounts"):
        overdraw()
    assert {balance.reserved for balance in ledger.balances(register)} == {Loss(0)}


def test_a_free_check_raises_what_reserving_would(register: Register) -> None:
    ledger.require_room(register, ACCOUNTS, LOSS, register.clock())
    assert problem(lambda: ledger.require_room(register, ACCOUNTS, Loss(10**12), register.clock())).code == "ledger_exhausted"


def test_a_cap_is_raised_by_two_people_and_never_lowered(register: Register) -> None:
    for name in ("li", "wang"):
        acts.issue_key(register, name, "supervisor")
    account, cap = "population:person", Loss(2 * 10**12, 10**12)
    proposal = acts.propose_cap(register, account, cap, reason="census", by="li")
    for by, number, wanted in (
        ("li", proposal, cap),
        ("wang", 0, cap),
        ("wang", 10**6, cap),
        ("ghost", proposal, cap),
        ("wang", proposal, cap + Loss(1)),
    ):
        assert (
            problem(lambda by=by, number=number, wanted=wanted: acts.raise_cap(register, account, wanted, proposal=number, by=by)).code
            == "auth_second_person"
        )
    acts.raise_cap(register, account, cap, proposal=proposal, by="wang")
    assert ledger.balances(register, [account])[0].cap == cap
    for lower in (Loss(10**12, 10**12), cap, Loss(3 * 10**12, 0), Loss(10**18 + 1, 10**12)):
        assert problem(lambda lower=lower: acts.propose_cap(register, account, lower, reason="x", by="li")).code == "ledger_cap_not_raised"


def test_a_thousand_submissions_against_room_for_ten(register: Register) -> None:
    names = room_for_ten(register)
    barrier, outcomes = threading.Barrier(100), []

    def attempt(number: int) -> None:
        barrier.wait()
        outcomes.extend(attempts(register, names, (f"t{number}-{again}" for again in range(10))))

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ten_passed(register, names, outcomes)


def test_a_thousand_submissions_from_four_processes(register: Register) -> None:
    names = room_for_ten(register)
    context = forking()
    with context.Pool(4) as pool:
        given = [(register.settings, names, f"p{number}") for number in range(4)]
        outcomes = [outcome for part in pool.starmap(a_quarter, given) for outcome in part]
    ten_passed(register, names, outcomes)


def room_for_ten(register: Register) -> tuple[str, ...]:
    acts.register_dataset(register, a_snapshot("small", space="enterprise"), population_cap=Loss(10 * LOSS.pico_rho + 7, 1000))
    acts.grant_licence(register, a_licence("L-2", datasets=("small",)))
    return ledger.accounts_of(space="enterprise", datasets=["small"], licence="L-2", operator="op-1")


def a_quarter(settings: Settings, names: tuple[str, ...], prefix: str) -> list[str]:
    """What one of four processes does: 250 submissions from five threads."""
    register = Register.open(settings)
    with ThreadPoolExecutor(5) as pool:
        parts = pool.map(lambda thread: attempts(register, names, (f"{prefix}-{thread}-{number}" for number in range(50))), range(5))
        outcomes = [outcome for part in parts for outcome in part]
    register.close()
    return outcomes


def attempts(register: Register, names: tuple[str, ...], charges: Iterable[str]) -> list[str]:
    outcomes = []
    for charge in charges:
        try:
            reserve(register, charge, LOSS, names)
            outcomes.append("passed")
        except Problem as refusal:
            outcomes.append(refusal.code)
    return outcomes


def ten_passed(register: Register, names: tuple[str, ...], outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["ledger_exhausted"] * 990 + ["passed"] * 10
    tight = next(balance for balance in ledger.balances(register, names) if balance.kind == "population")
    assert tight.left == Loss(7, 900)
    register.publish()
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []


@pytest.mark.parametrize("operators", [1, 5])
def test_operators_who_collude_stop_where_one_alone_does(tmp_path: Path, operators: int) -> None:
    """Each has room of its own for more than the population has: together they learn no more than one would."""
    with a_register(tmp_path) as register:
        acts.register_dataset(register, a_snapshot(), population_cap=Loss(10 * LOSS.pico_rho, 1_000), dataset_cap=Loss(10**12, 10**6))
        names = {}
        for number in range(operators):
            operator, held = f"op-{number}", f"L-{number}"
            acts.issue_key(register, operator, "operator")
            acts.grant_licence(register, a_licence(held, operator=operator), operator_cap=Loss(10**12, 10**6))
            names[operator] = ledger.accounts_of(space="person", datasets=["visits"], licence=held, operator=operator)
        stopped_by = []
        for turn in range(30):
            try:
                reserve(register, f"c-{turn}", names=names[f"op-{turn % operators}"])
            except Problem as refusal:
                stopped_by.append(refusal.fields["account"])
        assert stopped_by == ["population:person"] * 20  # ten passed


def test_a_tampered_account_cannot_leave_its_bounds(register: Register) -> None:
    with pytest.raises(IntegrityError), writing(register.engine) as connection:
        connection.execute(update(accounts).values(spent_pico_rho=accounts.c.cap_pico_rho + 1))
