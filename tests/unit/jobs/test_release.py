"""The walk in one process: what is charged, what is released, what is shown when, whatever goes wrong where."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from jobs import acts, hops, ledger, lookup, quote
from jobs import release as walk
from jobs.audit import audit
from jobs.lookup import JobSeen
from jobs.order import Order
from jobs.queue import Leases
from jobs.slots import parse_time
from policies.licence import Degree
from policies.loss import Loss
from policies.problem import Problem
from sandbox import steps
from sandbox.finish.formats import FORMATS
from sandbox.plan.ask import Ask
from tests.bureau import LICENCE, OTHER_SQL, Bureau, licence, order

ACCOUNTS = {"population:person", "dataset:visits", f"licence:{LICENCE}", "operator:operator-1@visits"}


def ended(bureau: Bureau, asked: Order, timeout_s: float = 60) -> JobSeen:
    return wait(bureau, submitted(bureau, asked).result(timeout_s), timeout_s)


def submitted(bureau: Bureau, asked: Order) -> Future[str]:
    return bureau.services.submit(asked)


def wait(bureau: Bureau, job: str, timeout_s: float = 60) -> JobSeen:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        seen = lookup.job(bureau.services.register, job, bureau.services.clock())
        assert seen is not None
        if seen.state != "running":
            return seen
        time.sleep(0.01)
    raise AssertionError(f"{job} still runs")


def eventually(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def kinds(bureau: Bureau) -> list[str]:
    return [event.kind for event in bureau.services.register.events(limit=1000) if event.kind.startswith(("job", "charge", "release"))]


def used(bureau: Bureau) -> dict[str, tuple[int, int]]:
    found = ledger.balances(bureau.services.register, ACCOUNTS)
    return {balance.account: (balance.reserved.pico_rho, balance.spent.pico_rho) for balance in found}


def clean(bureau: Bureau) -> bool:
    register = bureau.services.register
    report = audit(bureau.services.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []
    return report.clean


def test_a_release_from_order_to_table(bureau: Bureau) -> None:
    seen = ended(bureau, order())
    assert (seen.state, seen.reused, seen.problem) == ("published", False, ())
    assert kinds(bureau) == [
        "job_submitted", "job_admitted", "charge_reserved", "job_reading", "job_spent", "job_staged", "release_published",
    ]  # fmt: skip
    assert seen.price is not None
    assert used(bureau) == {name: (0, seen.price.pico_rho) for name in ACCOUNTS}
    released = lookup.release(bureau.services.register, str(seen.release), bureau.services.clock(), operator="operator-1")
    staged = bureau.services.staging.load(seen.id)
    assert released is not None
    assert staged is not None
    assert released.record["digests"] == dict(staged.digests)
    assert set(staged.digests) == {f"table.{form}" for form in FORMATS}
    assert staged.read("table.csv").decode().splitlines()[0] == '"city","n","n__half_width"'
    assert clean(bureau)


def test_the_same_question_gets_the_same_bytes_for_nothing(bureau: Bureau) -> None:
    first = ended(bureau, order())
    before = used(bureau)
    again = ended(bureau, order(sql="select  city,  count(*)  as n\nfrom visits group by city"))
    assert (again.state, again.reused, again.release) == ("published", True, first.release)
    assert again.price is not None
    assert again.price.pico_rho == 0
    assert used(bureau) == before
    assert kinds(bureau)[-2:] == ["job_submitted", "release_reused"]
    assert clean(bureau)


def test_a_pure_job_is_charged_half_its_squared_epsilon_and_no_delta(bureau: Bureau) -> None:
    """The ledger knows no other account: rho = epsilon² / 2 goes through every hop, and the audit adds it up."""
    asked = order(ask=Ask.model_validate({"privacy": {"epsilon": "0.2", "delta": "0"}}))
    seen = ended(bureau, asked)
    assert (seen.state, seen.at_delta) == ("published", 0)
    assert seen.price == Loss(2 * 10**10, 0)
    assert used(bureau) == {name: (0, 2 * 10**10) for name in ACCOUNTS}
    released = lookup.release(bureau.services.register, str(seen.release), bureau.services.clock(), operator="operator-1")
    assert released is not None
    assert released.record["delta"] == "0"
    assert {column["mechanism"] for column in released.record["columns"] if column["kind"] == "value"} == {"discrete Laplace"}
    assert clean(bureau)


def test_another_price_is_another_question(bureau: Bureau) -> None:
    first = ended(bureau, order())
    second = ended(bureau, order(ask=Ask.model_validate({"privacy": {"epsilon": "0.25"}})))
    assert not second.reused
    assert first.release != second.release


def test_a_stored_answer_is_not_for_who_may_not_ask(bureau: Bureau) -> None:
    ended(bureau, order())
    acts.suspend_licence(bureau.services.register, LICENCE, reason="test")
    with pytest.raises(Problem) as refused:
        ended(bureau, order())
    assert refused.value.code == "licence_refused"


def test_check_and_dummy_leave_no_trace(bureau: Bureau) -> None:
    size = bureau.services.register.size
    quoted = quote.check(bureau.services.office, order())
    dummy = quote.dummy(bureau.services.office, order())
    assert quoted.plan.loss.pico_rho > 0
    assert not quoted.answered
    assert {balance.account for balance in quoted.accounts} == ACCOUNTS
    assert dummy.table.column_names == ["city", "n", "n__half_width"]
    assert bureau.services.register.size == size
    ended(bureau, order())
    assert quote.check(bureau.services.office, order()).answered


def test_check_lists_what_the_real_run_would_refuse(bureau: Bureau) -> None:
    """Policy and ledger in one answer."""
    acts.grant_licence(
        bureau.services.register, licence("L-poor", per_job=Degree(pico_rho=1, atto_delta=0), total=Degree(pico_rho=2, atto_delta=0))
    )
    with pytest.raises(Problem) as refused:
        quote.check(bureau.services.office, order(licence="L-poor"))
    assert {part.code for part in refused.value.parts} == {"licence_price", "ledger_exhausted"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (order(sql="SELECT FROM WHERE"), "sql_syntax"),
        (order(sql="SELECT COUNT(*) FROM nowhere"), "sql_unknown_table"),
        (order(licence="L-none"), "licence_refused"),
        (order(scenario="advertising"), "licence_refused"),
        (order(by="operator-2"), "licence_refused"),
    ],
)
def test_a_refusal_costs_nothing_and_is_one_event_without_a_word_of_the_query(bureau: Bureau, asked: Order, code: str) -> None:
    size = bureau.services.register.size
    with pytest.raises(Problem) as refused:
        ended(bureau, asked)
    assert refused.value.code == code
    assert bureau.services.register.size == size + 1
    entry = bureau.services.register.entry(size)
    assert b'"kind":"job_refused"' in entry
    assert asked.request.text.encode() not in entry
    assert set(used(bureau).values()) == {(0, 0)}


def test_beyond_the_budget_nothing_is_touched(bureau: Bureau) -> None:
    acts.grant_licence(
        bureau.services.register,
        licence("L-small", per_job=Degree(pico_rho=6 * 10**9, atto_delta=0), total=Degree(pico_rho=6 * 10**9, atto_delta=0)),
    )
    first = ended(bureau, order(licence="L-small"))
    assert first.price is not None
    before = used(bureau)
    with pytest.raises(Problem) as refused:
        ended(bureau, order(sql=OTHER_SQL, licence="L-small"))
    assert refused.value.code == "ledger_exhausted"
    assert used(bureau) == before
    assert clean(bureau)


def break_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise ValueError("secret value 42 of patient 7")

    monkeypatch.setattr(
        *{"totals": (hops, "totals"), "draw": (steps, "draw"), "finish": (steps, "finish"), "encode": (hops, "encode_all")}[name], fails
    )


@pytest.mark.parametrize("where", ["totals", "draw", "finish", "encode"])
def test_every_failure_after_reading_is_the_same_failure(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    break_at(monkeypatch, where)
    seen = ended(bureau, order())
    assert (seen.state, seen.problem, seen.release) == ("failed", ("job_failed",), None)
    assert seen.price is not None
    assert used(bureau) == {name: (0, seen.price.pico_rho) for name in ACCOUNTS}
    assert not any(b"patient" in bureau.services.register.entry(index) for index in range(bureau.services.register.size))
    assert clean(bureau)


def test_a_failure_is_seen_at_a_slot_and_not_before(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, "totals")
    seen = ended(bureau, order())
    assert seen.slot_ms is not None
    assert seen.over_at is not None
    after_ms = (seen.over_at - parse_time(seen.submitted_at)).total_seconds() * 1000
    assert after_ms in bureau.services.settings.slots_ms
    assert after_ms >= seen.slot_ms


@pytest.mark.parametrize("fails", [False, True])
def test_before_its_slot_a_job_is_running_whatever_happened_to_it(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    if fails:
        break_at(monkeypatch, "draw")
    seen = ended(bureau, order())
    assert seen.over_at is not None
    register = bureau.services.register
    early = lookup.job(register, seen.id, seen.over_at - timedelta(microseconds=1))
    assert early is not None
    assert (early.state, early.release, early.problem) == ("running", None, ())
    if not fails:
        assert lookup.release(register, str(seen.release), seen.over_at - timedelta(microseconds=1)) is None
        assert lookup.release(register, str(seen.release), seen.over_at) is not None


def test_the_log_grows_at_public_instants_only(bureau: Bureau) -> None:
    """Totals of this table are there in a few milliseconds; nothing outside says so."""
    seen = ended(bureau, order())
    assert seen.slot_ms == 250
    began = parse_time(seen.submitted_at)
    grown = {event.kind: (parse_time(event.at) - began) / timedelta(milliseconds=1) for event in bureau.services.register.events(limit=1000)}
    assert grown["job_spent"] >= 150
    assert grown["job_staged"] == grown["release_published"] >= 225
    assert seen.over_at is not None
    assert (seen.over_at - began) / timedelta(milliseconds=1) in (250, 1000)


def test_a_server_that_lost_its_lease_writes_nothing(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    services, others = bureau.services, []

    def lose() -> None:
        job = lookup.jobs_of(services.register, None, services.clock())[0].id
        services.leases.give_back(job)
        other = Leases(services.register.engine, services.clock, holder="other:1", lease_s=60)
        others.append(other.claim(job))

    paused(monkeypatch, hops, "totals", lose)
    job = submitted(bureau, order()).result(60)
    eventually(lambda: bool(others))
    time.sleep(1)
    assert kinds(bureau)[-1] == "job_reading"
    assert services.leases.abandoned() == []
    assert others[0].token == 2
    assert lookup.job(services.register, job, services.clock()).state == "running"  # type: ignore[union-attr]  # it is there


def paused(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, then: Callable[[], object]) -> None:
    """Do `then` once, just before the hop."""
    original, once = getattr(where, name), threading.Lock()

    def hop(*arguments: Any, **options: Any) -> Any:
        if once.acquire(blocking=False):
            then()
        return original(*arguments, **options)

    monkeypatch.setattr(where, name, hop)


def _expire(bureau: Bureau) -> None:
    """Its term ends now; nothing but the clock says so, and no sweep has written it down."""
    for margin_s in (0.3, 2, 10):  # on a busy machine the amendment may come after the end it states, and is refused
        soon = bureau.services.clock() + timedelta(seconds=margin_s)
        try:
            acts.amend_licence(bureau.services.register, licence(valid_until=soon), reason="test")
        except Problem as problem:
            if problem.code != "licence_term_over":
                raise
            continue
        eventually(lambda soon=soon: bureau.services.clock() > soon, timeout_s=2 * margin_s + 5)
        return
    raise AssertionError("the machine is too busy to end a term")


ENDINGS: dict[str, Callable[[Bureau], object]] = {
    "suspended": lambda bureau: acts.suspend_licence(bureau.services.register, LICENCE, reason="test"),
    "revoked": lambda bureau: acts.revoke_licence(bureau.services.register, LICENCE, reason="test"),
    "expired": _expire,
    "data withdrawn": lambda bureau: acts.withdraw_dataset(bureau.services.register, "visits", reason="test"),
    "narrowed": lambda bureau: acts.amend_licence(bureau.services.register, licence(scenarios=("insurance",)), reason="test"),
}


@pytest.mark.parametrize(
    ("where", "ending"), [*((where, "suspended") for where in ("totals", "spend", "stage")), *(("publish", ending) for ending in ENDINGS)]
)
def test_a_licence_that_ends_during_the_run_stops_the_release_and_the_charge_stays(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, where: str, ending: str
) -> None:
    paused(monkeypatch, hops, where, lambda: ENDINGS[ending](bureau))
    seen = ended(bureau, order())
    assert (seen.state, seen.problem, seen.release) == ("failed", ("job_withheld",), None)
    assert seen.price is not None
    assert used(bureau) == {name: (0, seen.price.pico_rho) for name in ACCOUNTS}
    eventually(lambda: bureau.services.staging.load(seen.id) is None)
    assert clean(bureau)


def test_a_job_that_is_admitted_reads_in_the_same_transaction(bureau: Bureau) -> None:
    """One instant, one commit, nothing of anybody's in between."""
    ended(bureau, order())
    entries = bureau.services.register.events(limit=1000)
    (admitted,) = [place for place, entry in enumerate(entries) if entry.kind == "job_admitted"]
    assert [entry.kind for entry in entries[admitted : admitted + 3]] == ["job_admitted", "charge_reserved", "job_reading"]
    assert len({entry.at for entry in entries[admitted - 1 : admitted + 3]}) == 1


def damage(bureau: Bureau) -> None:
    manifest = next(bureau.services.settings.vault_dir.rglob("manifest*"))
    data = bytearray(manifest.read_bytes())
    data[len(data) // 2] ^= 1
    manifest.chmod(0o600)
    manifest.write_bytes(data)


def test_a_version_that_cannot_be_opened_is_refused_before_any_charge(bureau: Bureau) -> None:
    damage(bureau)
    with pytest.raises(Problem) as caught:
        ended(bureau, order())
    assert caught.value.code == "data_snapshot_refused"
    assert kinds(bureau)[-1] == "job_refused"
    assert "charge_reserved" not in kinds(bureau)
    assert clean(bureau)


def test_the_answer_is_there_though_its_version_cannot_be_opened_any_more(bureau: Bureau) -> None:
    first = ended(bureau, order())
    damage(bureau)
    assert quote.check(bureau.services.office, order()).answered
    again = ended(bureau, order())
    assert (again.state, again.reused, again.release) == ("published", True, first.release)


@pytest.mark.parametrize("where", ["totals", "spend", "stage", "publish"])
def test_cancelling_after_reading_began_costs_the_price(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    office = bureau.services.office

    def cancel() -> None:
        running = lookup.jobs_of(bureau.services.register, "operator-1", bureau.services.clock())[0]
        hops.cancel(office, running.id, "operator-1")

    paused(monkeypatch, hops, where, cancel)
    seen = ended(bureau, order())
    assert (seen.state, seen.problem, seen.release) == ("cancelled", ("job_cancelled",), None)
    assert seen.price is not None
    assert seen.price.pico_rho > 0
    time.sleep(0.4)  # whatever still runs must find out that it is over
    assert used(bureau) == dict.fromkeys(ACCOUNTS, (0, seen.price.pico_rho))
    assert "release_published" not in kinds(bureau)
    assert clean(bureau)


def test_noise_is_drawn_once_though_publishing_fails(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is gone at the moment of publishing: the job is taken up again and its staged bytes are published."""
    draws: list[int] = []
    real_draw, real_publish, failures = steps.draw, hops._publish, iter([True, False])
    mine = {"visits"}  # not the rehearsal of a server that starts
    monkeypatch.setattr(
        steps, "draw", lambda part, totals: draws.extend([1] if part.scans[0].dataset in mine else []) or real_draw(part, totals)
    )

    def publish(*arguments: Any) -> None:
        if next(failures):
            raise OSError("disk")
        real_publish(*arguments)

    monkeypatch.setattr(hops, "_publish", publish)
    job = submitted(bureau, order()).result(60)
    eventually(lambda: [found.job for found in bureau.services.leases.abandoned()] == [job])
    staged = bureau.services.staging.load(job)
    walk.resume(bureau.services.office, job)
    seen = wait(bureau, job)
    assert seen.state == "published"
    assert draws == [1]
    assert staged is not None
    assert bureau.services.staging.load(job) == staged
    assert clean(bureau)
