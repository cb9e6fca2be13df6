"""What is bent about money, both audits find; what contradicts itself neither fits nor replays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
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
from policies.loss import Loss
from policies.period import Period
from policies.problem import Problem
from policies.tariff import Tariff
from tests.money import (
    DECEMBER,
    NOVEMBER,
    TARIFF,
    Bend,
    amended,
    bent,
    charging,
    clean,
    deliver,
    licensed,
    posted,
    priced,
    publish,
    replayed,
    tariff,
    travel,
)
from yunei.problem import YuneiProblem
from yunei.replay import Book

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
