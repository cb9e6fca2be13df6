"""Fees in the register: posted with what they are for, once, as the tariff says; periods closed in order; both audits find what is bent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from infra.database import reading, writing
from infra.tables import fee_lines, fee_shares, fees, metering, settlement_shares, settlements
from jobs import acts, statements
from jobs import fees as fees_of_jobs
from jobs.acts.periods import close_period
from jobs.audit import audit, rebuild
from jobs.events import FeePosted, PeriodClosed, canonical
from jobs.projections import DoesNotFit
from jobs.register import Register
from jobs.statements import FeeSeen, Statement
from policies.licence import DatasetGrant
from policies.loss import Loss
from policies.period import Period
from policies.problem import Problem
from policies.tariff import Tariff
from tests.money import START, TARIFF, Bend, amended, bent, charging, deliver, licensed, priced, publish, tariff, travel
from tests.small_register import a_register
from yunei.auditing import audit_folder
from yunei.problem import YuneiProblem
from yunei.replay import Book
from yunei.transparency import Key

NOVEMBER, DECEMBER = Period.parse("2026-11"), Period.parse("2026-12")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a register with a licence that charges, to be copied."""
    home = tmp_path_factory.mktemp("made") / "home"
    with licensed(home, tariff()):
        pass
    return home


@pytest.fixture
def register(made: Path, tmp_path: Path) -> Iterator[Register]:
    shutil.copytree(made, tmp_path / "home")
    with a_register(tmp_path / "home") as register:
        yield register


def posted(register: Register) -> list[FeeSeen]:
    """Oldest first, all of them."""
    return statements.fees_of(register, START + timedelta(days=400), limit=1000)[::-1]


def statement(register: Register, period: Period = NOVEMBER) -> Statement:
    return statements.statements_of(register, period, register.clock())[0]


def replayed(register: Register) -> Book:
    """The carried audit of what is in the log."""
    register.publish()
    return audit_folder(register.settings.log_dir, Key.parse(register.vkey)).book


def clean(register: Register) -> bool:
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.clean, report.findings
    return replayed(register).bill.unpriced == 0


def test_a_release_is_charged_for_line_by_line_and_shared(register: Register) -> None:
    publish(register, "a", rows=500)
    (fee,) = posted(register)
    assert [(line.item, line.quantity, line.fen) for line in fee.lines] == [
        ("call", 1, 50),
        ("compute", 250, 8),
        ("loss", 10**9, 100),
        ("release", 1, 12_000),
        ("rows", 500, 125),
    ]
    assert (fee.fen, fee.shares, fee.free) == (12_283, (("health", 8598), ("treasury", 3685)), False)
    assert (fee.cause, fee.release, fee.scenario, fee.period) == ("release", "r-a", "city-health", "2026-11")
    assert clean(register)


def test_rounding_and_tiers_go_on_through_the_period(register: Register) -> None:
    for number in range(5):
        publish(register, f"a{number}", rows=500)
    rows = [line.fen for fee in posted(register) for line in fee.lines if line.item == "rows"]
    assert rows == [125, 125, 50, 50, 50]
    compute = [line.fen for fee in posted(register) for line in fee.lines if line.item == "compute"]
    assert compute == [8, 9, 8, 8, 9]  # 0.333 yuan a second: 8.325 fen each, and no fen lost
    travel(register, datetime(2026, 11, 30, 16, tzinfo=UTC))  # midnight in China: another month, from the beginning again
    publish(register, "b", rows=500)
    assert posted(register)[-1].period == "2026-12"
    assert [line.fen for line in posted(register)[-1].lines if line.item == "rows"] == [125]
    assert clean(register)


def test_a_scenario_has_its_own_price_or_none(register: Register) -> None:
    publish(register, "a", scenario="industry")
    publish(register, "b", scenario="public-good", rows=5000)
    publish(register, "c")
    fees = posted(register)
    assert [line.fen for line in fees[0].lines if line.measure == "call"] == [200]
    assert (fees[1].fen, fees[1].free, fees[1].shares) == (0, True, ())
    assert [line.quantity for line in fees[1].lines if line.item == "rows"] == [5000]
    assert [line.fen for line in fees[2].lines if line.item == "rows"] == [1]  # what was free did not use up the first tier
    assert clean(register)


def test_a_delivery_is_a_call(register: Register) -> None:
    deliver(register, publish(register, "a"))
    deliver(register, "r-a")
    assert [(fee.cause, fee.fen) for fee in posted(register)][1:] == [("delivery", 50), ("delivery", 50)]
    assert statement(register).usage.deliveries == 2
    assert clean(register)
    meter = replayed(register).meters["op-1", "L-1"]
    assert (meter.releases, meter.deliveries, meter.compute_ms) == (1, 2, 250)


def test_a_joint_release_is_shared_by_the_weights_of_its_datasets(register: Register) -> None:
    publish(register, "a", datasets=("visits", "hospitals"))
    (fee,) = posted(register)
    assert dict(fee.shares) == {"health": 6383, "platform": 3040, "treasury": 2736}
    assert sum(dict(fee.shares).values()) == fee.fen
    assert clean(register)


def test_without_a_tariff_nothing_is_posted(tmp_path: Path) -> None:
    with licensed(tmp_path, None) as register:
        deliver(register, publish(register, "a"))
        assert posted(register) == []
        assert statements.statements_of(register, NOVEMBER, register.clock()) == []
        assert clean(register)


def test_what_is_used_is_metered_whether_or_not_it_is_priced(register: Register) -> None:
    publish(register, "a", slot_ms=1000, scenario="public-good")
    with reading(register.engine) as connection:
        row = connection.execute(select(metering)).one()
    assert (row.scenario, row.compute_ms, row.rows) == ("public-good", 1000, 3)


def test_a_fee_is_seen_when_its_release_is(register: Register) -> None:
    publish(register, "a", slot_ms=60_000)
    assert statements.fees_of(register, register.clock()) == []
    assert statement(register).posted == 0
    travel(register, START + timedelta(minutes=5))
    assert len(statements.fees_of(register, register.clock())) == 1
    assert statement(register).posted == posted(register)[0].fen
    assert statement(register).usage.releases == 1


def test_a_revised_tariff_holds_from_its_amendment_on(register: Register) -> None:
    publish(register, "a", rows=900)
    amended(register, items=[priced("rows", "row", "1")])
    publish(register, "b", rows=900)
    fees = posted(register)
    assert [line.fen for line in fees[1].lines] == [90_000]
    assert [line.fen for line in fees[0].lines if line.item == "rows"] == [225]
    assert clean(register)


def test_an_amended_licence_with_the_same_tariff_goes_on_counting(register: Register) -> None:
    publish(register, "a", rows=900)
    acts.amend_licence(register, charging(tariff(), valid_until=datetime(2028, 1, 1, tzinfo=UTC)), reason="renewed", by="li")
    publish(register, "b", rows=900)
    assert [line.fen for fee in posted(register) for line in fee.lines if line.item == "rows"] == [225, 105]
    assert clean(register)


def test_a_dataset_taken_out_does_not_keep_an_old_release_from_being_delivered(register: Register) -> None:
    publish(register, "a")
    left = charging(tariff(contributions=[TARIFF["contributions"][1]]), datasets=(DatasetGrant(dataset="hospitals"),))
    acts.amend_licence(register, left, reason="narrowed", by="li")
    deliver(register, "r-a")
    assert posted(register)[-1].shares == (("platform", 50),)
    assert clean(register)


def test_a_tariff_cannot_be_dropped_or_change_its_period(register: Register) -> None:
    for given in (None, tariff(period="year")):
        with pytest.raises(Problem) as caught:
            acts.amend_licence(register, charging(given), reason="x", by="li")
        assert caught.value.code == "licence_amendment_refused"


def test_a_tariff_that_does_not_fit_the_catalogue_is_not_granted(register: Register) -> None:
    stranger = [*TARIFF["bodies"], {"id": "x", "title": {"zh": "外人", "en": "stranger"}}]
    with pytest.raises(Problem) as caught:
        acts.grant_licence(register, charging(tariff(bodies=stranger), id="L-2"))
    assert caught.value.code == "licence_invalid"


# ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_period_is_closed_with_its_months_and_its_ceiling(register: Register) -> None:
    for job in "abc":
        publish(register, job)
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    assert close_period(register, NOVEMBER, by="li") == ["L-1"]
    assert [(fee.cause, fee.fen) for fee in posted(register)][-1] == ("term", 3000)
    november = statement(register)
    whole = sum(fee.fen for fee in posted(register))
    assert (november.posted, november.allowed, november.payable, november.carried) == (whole, 30_000, 30_000, whole - 30_000)
    assert november.closed_at is not None
    assert sum(body.payable for body in november.bodies) == november.payable
    travel(register, datetime(2027, 1, 1, tzinfo=UTC))
    close_period(register, DECEMBER, by="li")
    december = statement(register, DECEMBER)
    assert (december.brought, december.posted) == (whole - 30_000, 3000)
    assert december.payable == whole - 27_000
    assert november.payable + december.payable == whole + 3000
    assert clean(register)
    book = replayed(register)
    assert sum(book.bill.revenue.values()) == november.payable + december.payable


def test_a_month_begun_is_a_month(tmp_path: Path) -> None:
    """From the grant on, at the price that holds at its end, until the licence ends."""
    with licensed(tmp_path, tariff(period="quarter", allowed_revenue=None)) as register:
        travel(register, datetime(2026, 12, 10, tzinfo=UTC))
        acts.amend_licence(
            register, charging(tariff(period="quarter", allowed_revenue=None, items=[priced("held", "month", "50")])), reason="x", by="li"
        )
        acts.revoke_licence(register, "L-1", reason="x", by="li")
        travel(register, datetime(2027, 5, 1, tzinfo=UTC))
        close_period(register, Period.parse("2026-Q4"), by="li")
        assert [(fee.fen, fee.lines[0].quantity) for fee in posted(register)] == [(3000, 1), (5000, 1)]  # November, December
        close_period(register, Period.parse("2027-Q1"), by="li")
        assert len(posted(register)) == 2
        assert clean(register)


@pytest.mark.parametrize(
    ("at", "period", "licence", "code"),
    [
        (datetime(2026, 11, 30, 15, tzinfo=UTC), "2026-11", None, "fee_period_open"),
        (datetime(2026, 12, 1, tzinfo=UTC), "2026-10", None, "fee_period_nothing"),
        (datetime(2027, 2, 1, tzinfo=UTC), "2026-12", None, "fee_period_order"),
        (datetime(2027, 2, 1, tzinfo=UTC), "2026", None, "fee_period_nothing"),
        (datetime(2027, 2, 1, tzinfo=UTC), "2026-11", "L-none", "fee_period_nothing"),
    ],
)
def test_a_period_is_closed_when_it_is_over_and_in_order(register: Register, at: datetime, period: str, licence: str | None, code: str) -> None:
    travel(register, at)
    size = register.size
    with pytest.raises(Problem) as caught:
        close_period(register, Period.parse(period), licence=licence, by="li")
    assert caught.value.code == code
    assert register.size == size


def test_a_period_is_closed_once(register: Register) -> None:
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    close_period(register, NOVEMBER, by="li")
    for licence, code in (("L-1", "fee_period_closed"), (None, "fee_period_nothing")):
        with pytest.raises(Problem) as caught:
            close_period(register, NOVEMBER, licence=licence, by="li")
        assert caught.value.code == code


def test_every_licence_that_charges_by_the_period_is_closed(register: Register) -> None:
    acts.grant_licence(register, charging(tariff(), id="L-2"))
    acts.grant_licence(register, charging(tariff(period="year"), id="L-3"))
    acts.grant_licence(register, charging(None, id="L-4"))
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    assert close_period(register, NOVEMBER, by="li") == ["L-1", "L-2"]
    assert clean(register)


def test_revenue_is_added_up_by_body(register: Register) -> None:
    acts.grant_licence(register, charging(tariff(bodies=[{**body, "id": body["id"]} for body in TARIFF["bodies"]]), id="L-2"))
    publish(register, "a")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    close_period(register, NOVEMBER, by="li")
    seen = statements.statements_of(register, Period.parse("2026"), register.clock())
    assert [(each.licence, str(each.period)) for each in seen] == [(name, month) for name in ("L-1", "L-2") for month in ("2026-11", "2026-12")]
    revenue = statements.revenue_of(seen)
    assert sum(each.payable for each in revenue) == sum(each.payable for each in seen)
    assert [(each.title.en, len(each.from_licences)) for each in revenue] == [("health", 4), ("platform", 4), ("treasury", 4)]


# ── both audits ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def furnish(register: Register) -> None:
    """A release, a joint one, a free one, a delivery, a closed month, an amended tariff, another release."""
    deliver(register, publish(register, "a", rows=700))
    publish(register, "b", rows=700, datasets=("visits", "hospitals"))
    publish(register, "c", scenario="public-good")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    close_period(register, NOVEMBER, by="li")
    amended(register, allowed_revenue="10.00")
    publish(register, "d")


def test_tables_of_fees_follow_from_the_log_on_every_database(database_url: str, tmp_path: Path) -> None:
    with licensed(tmp_path / "home", tariff(), {"database_url": database_url}) as register:
        furnish(register)
        assert clean(register)
        assert replayed(register).bill.computed == 6
        seen = statements.statements_of(register, Period.parse("2026"), register.clock())
        assert [(each.fees, each.payable, each.carried) for each in seen] == [(5, 27_657, 0), (1, 1_000, 11_159)]
        assert [item.fen for item in seen[0].items] == [150, 17, 3000, 200, 24_000, 290]
        rebuild(register.engine)
        assert clean(register)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        (lambda: update(fees).where(fees.c.subject == "release:r-a").values(fen=fees.c.fen - 1), "fees"),
        (lambda: update(fees).where(fees.c.subject == "release:r-a").values(free=True), "fees"),
        (lambda: update(fee_lines).where(fee_lines.c.item == "rows").values(quantity=1), "fee_lines"),
        (lambda: update(fee_shares).where(fee_shares.c.body == "health").values(body="wealth"), "fee_shares"),
        (lambda: delete(fee_shares).where(fee_shares.c.body == "health"), "fee_shares"),
        (lambda: update(settlement_shares).where(settlement_shares.c.body == "health").values(payable_fen=0), "settlement_shares"),
        (lambda: update(settlements).values(closed_by="nobody"), "settlements"),
        (lambda: update(metering).where(metering.c.release == "r-a").values(compute_ms=1), "metering"),
    ],
)
def test_money_changed_behind_the_logs_back_is_named(register: Register, statement: Callable[[], Any], table: str) -> None:
    furnish(register)
    with writing(register.engine) as connection:
        connection.execute(statement())
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert [(finding.code, finding.fields["table"]) for finding in report.findings] == [("log_table_differs", table)]


def _cheaper(data: dict[str, Any]) -> None:
    """A fen less, everywhere: the sums still hold."""
    line = next(line for line in data["lines"] if line["item"] == "rows")
    for holder in (line, data["shares"][0], data):
        holder["fen"] = str(int(holder["fen"]) - 1)


def _moved(data: dict[str, Any]) -> None:
    """A fen from one body to another."""
    first, second = data["shares"][:2]
    first["fen"], second["fen"] = str(int(first["fen"]) - 1), str(int(second["fen"]) + 1)


def _less_used(data: dict[str, Any]) -> None:
    next(line for line in data["lines"] if line["item"] == "compute")["quantity"] = "249"


def _free(data: dict[str, Any]) -> None:
    data["free"], data["fen"], data["shares"] = True, "0", []
    for line in data["lines"]:
        line["fen"] = "0"


def _left_out(data: dict[str, Any]) -> None:
    data["lines"] = [line for line in data["lines"] if line["item"] != "rows"]
    data["fen"] = str(sum(int(line["fen"]) for line in data["lines"]))
    data["shares"][0]["fen"] = str(int(data["fen"]) - sum(int(share["fen"]) for share in data["shares"][1:]))


LIES: dict[str, Bend] = {
    "a fen less": _cheaper,
    "a fen moved": _moved,
    "less used": _less_used,
    "free without ground": _free,
    "an item left out": _left_out,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_fee_that_adds_up_and_is_not_the_tariffs_is_found_by_both_audits(register: Register, lie: Bend) -> None:
    """A server that was replaced posts another fee in the right place: tree, sums and order are perfect."""
    publish(register, "a", rows=700, datasets=("visits", "hospitals"))
    publish(register, "b", rows=700, bend=lie)
    assert [finding.code for finding in audit(register.settings.log_dir, [register.vkey], register.engine).findings] == ["log_fee_wrong"]
    with pytest.raises(YuneiProblem) as caught:
        replayed(register)
    assert caught.value.code == "verify_replay"
    assert caught.value.fields["index"] == str(register.size - 1)


@pytest.mark.parametrize("what", ["release", "delivery"])
@pytest.mark.parametrize("last", [False, True])
def test_what_was_not_charged_for_is_found_by_both_audits(register: Register, what: str, last: bool) -> None:
    publish(register, "a", charged=what != "release")
    if what == "delivery":
        deliver(register, "r-a", charged=False)
    if not last:
        publish(register, "b")
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert [finding.code for finding in report.findings] == ["log_fee_missing"]
    with pytest.raises(YuneiProblem) as caught:
        replayed(register)
    assert "not charged for" in caught.value.fields["what"]


def again(register: Register) -> FeePosted:
    event = register.event(register.size - 1).event
    assert isinstance(event, FeePosted)
    return event


def test_a_fee_does_not_come_twice(register: Register) -> None:
    publish(register, "a")
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(again(register))
    book = replayed(register)
    with pytest.raises(YuneiProblem) as caught:
        book.apply(register.size, canonical(again(register), "2027-01-01T00:00:00.000000Z"))
    assert "twice" in caught.value.fields["what"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(fen="1"),
        lambda data: data["shares"].pop(),
        lambda data: data.update(operator="somebody"),
        lambda data: data.update(scenario="industry"),
        lambda data: data.update(release="r-none"),
        lambda data: data.update(period="2026-12"),
        lambda data: data.update(free=True),
    ],
)
def test_a_fee_that_contradicts_itself_does_not_fit_and_does_not_replay(register: Register, change: Bend) -> None:
    publish(register, "a", charged=False)
    with register.transaction() as act:
        due, at = fees_of_jobs.due(act, "r-a"), act.at
    assert due is not None
    wrong = bent(due, change)
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(wrong)
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    with pytest.raises(YuneiProblem):
        book.apply(register.size, canonical(wrong, at))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(allowed="30001", payable="30001", carried=str(int(data["carried"]) - 1)),
        lambda data: data.update(posted=str(int(data["posted"]) - 1), carried=str(int(data["carried"]) - 1)),
        lambda data: data.update(brought="1", carried=str(int(data["carried"]) + 1)),
        lambda data: data.update(period="2026-12"),
    ],
)
def test_a_settlement_that_does_not_add_up_does_not_replay(register: Register, change: Bend) -> None:
    for job in "abc":
        publish(register, job)
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    close_period(register, NOVEMBER, by="li")
    last = register.event(register.size - 1)
    assert isinstance(last.event, PeriodClosed)
    data = last.event.model_dump(mode="json")
    change(data)
    book = Book()
    for index in range(last.index):
        book.apply(index, register.entry(index))
    with pytest.raises(YuneiProblem):
        book.apply(last.index, canonical(PeriodClosed.model_validate(data), last.at))


def closed(**changes: Any) -> PeriodClosed:
    """November without any fee, not even that of the month."""
    nothing = {"posted": "0", "brought": "0", "payable": "0", "carried": "0", "allowed": "30000", "shares": []}
    return PeriodClosed.model_validate({"by": "li", "licence": "L-1", "period": "2026-11", **nothing, **changes})


@pytest.mark.parametrize("changes", [{}, {"allowed": "30001"}, {"allowed": None}])
def test_a_period_closed_without_its_months_or_under_another_ceiling_is_found_by_both_audits(
    register: Register, changes: dict[str, Any]
) -> None:
    if changes:  # then nothing is due by the month
        amended(register, items=[priced("rows", "row", "1")])
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    with register.transaction() as act:
        act.append(closed(**changes))
    assert [finding.code for finding in audit(register.settings.log_dir, [register.vkey], register.engine).findings] == ["log_fee_wrong"]
    with pytest.raises(YuneiProblem) as caught:
        replayed(register)
    assert ("revenue allowed" if changes else "months of period") in caught.value.fields["what"]


def test_months_charged_for_and_not_closed_do_not_replay(register: Register) -> None:
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    close_period(register, NOVEMBER, by="li")
    book = Book()
    for index in range(register.size - 1):
        book.apply(index, register.entry(index))
    with pytest.raises(YuneiProblem):
        book.finish()


def test_without_the_documents_sums_and_order_are_still_held(register: Register) -> None:
    furnish(register)
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    book.finish()
    assert (book.bill.computed, book.bill.unpriced) == (0, 6)


def test_a_document_that_is_not_the_one_named_is_no_ground_for_a_fee(register: Register) -> None:
    furnish(register)
    register.publish()
    licence = register.licence("L-1")
    assert licence is not None
    folder = register.settings.log_dir / "documents"
    path = folder / licence.document[:2] / licence.document
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"1000", b"1001"))
    with pytest.raises(YuneiProblem) as caught:
        replayed(register)
    assert "not the one the log names" in caught.value.fields["what"]


def test_losses_are_priced_by_what_was_charged(register: Register) -> None:
    publish(register, "a", loss=Loss(123_456_789_012, 0))
    assert [line.fen for line in posted(register)[0].lines if line.item == "loss"] == [12_346]
    assert clean(register)


def row_count(connection: Connection, table: Any) -> int:
    return len(connection.execute(select(table)).all())


def test_a_failed_close_leaves_nothing(register: Register) -> None:
    acts.grant_licence(register, charging(tariff(), id="L-0"))
    travel(register, datetime(2027, 2, 1, tzinfo=UTC))
    with pytest.raises(Problem):
        close_period(register, DECEMBER, by="li")
    with reading(register.engine) as connection:
        assert row_count(connection, settlements) == 0
        assert row_count(connection, fees) == 0


def test_the_example_tariff_of_the_tests_is_one() -> None:
    assert Tariff.model_validate(TARIFF) == tariff()
