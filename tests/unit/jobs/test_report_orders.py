"""Reports issued by the clock: when, how often, and what is left when a server dies or another is quicker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs import events as ev
from jobs.audit import audit
from jobs.projections import DoesNotFit
from jobs.register import Register
from jobs.reports import orders
from jobs.reports.clock import Issuer
from jobs.reports.files import File, written
from jobs.reports.issue import issued, listed
from jobs.reports.model import Report
from jobs.reports.orders import end_order, keep, order_report, orders_of
from policies.problem import Problem
from tests.money import licensed, publish, tariff, travel
from yunei.auditing import audit_folder
from yunei.replay import Book
from yunei.replay.book import Contradiction, ReportOrder
from yunei.replay.reports import RULES
from yunei.transparency import Key

FEBRUARY = datetime(2027, 2, 3, tzinfo=UTC)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    """November, a release in it."""
    with licensed(tmp_path, tariff()) as register:
        publish(register, "a")
        yield register


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have their JSON alone: what becomes of a period does not depend on its files."""
    monkeypatch.setattr(orders, "files", lambda report: tuple(_json(report)))


def _json(report: Report) -> list[File]:
    return [written(report, "json", "zh")]


def periods(register: Register) -> list[str | None]:
    return [each.period for each in reversed(listed(register))]


def test_a_period_is_issued_once_it_is_over_with_every_file_and_both_audits_hold_it(register: Register) -> None:
    order = order_report(register, "usage", "month", by="li")
    issuer = Issuer(register, interval_s=60)
    assert (order.next, issuer.once()) == ("2026-11", [])
    travel(register, datetime(2026, 11, 30, 15, 59, tzinfo=UTC))  # a minute before December in China
    assert issuer.once() == []
    travel(register, datetime(2026, 11, 30, 16, 0, tzinfo=UTC))
    (made,) = issuer.once()
    assert (made.kind, made.period, made.subject, made.issued_by) == ("usage", "2026-11", None, "system")
    assert len(made.files) == 7
    assert issuer.once() == []
    (seen,) = orders_of(register)
    assert (seen.next, dict(seen.kept)) == ("2026-12", {"2026-11": made.id})
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).clean
    book = audit_folder(register.settings.log_dir, Key.parse(register.vkey)).book
    assert book.report_orders[order.id].next == "2026-12"


@pytest.mark.usefixtures("light")
def test_what_fell_due_while_no_server_ran_is_made_up_for_in_order(register: Register) -> None:
    order_report(register, "usage", "month", by="li")
    order_report(register, "disclosure", "year", subject="op-1", by="li")
    travel(register, FEBRUARY)
    made = Issuer(register, interval_s=60).once()
    assert [each.period for each in made if each.kind == "usage"] == ["2026-11", "2026-12", "2027-01"]
    assert [(each.period, each.subject, each.owner) for each in made if each.kind == "disclosure"] == [("2026", "op-1", "op-1")]
    assert Issuer(register, interval_s=60).once() == []


@pytest.mark.usefixtures("light")
def test_a_release_that_is_not_visible_yet_keeps_its_period_waiting(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    order_report(register, "revenue", "month", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    with monkeypatch.context() as patched:
        patched.setattr("jobs.reports.issue._last_visible", lambda *_: ev.rfc3339(FEBRUARY))
        assert Issuer(register, interval_s=60).once() == []
    assert [each.period for each in Issuer(register, interval_s=60).once()] == ["2026-11"]


def test_of_two_servers_at_once_one_issues(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_report(register, "usage", "month", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    both = threading.Barrier(2)

    def together(report: Report) -> tuple[File, ...]:
        both.wait(60)
        return tuple(_json(report))

    monkeypatch.setattr(orders, "files", together)
    other = Register.open(register.settings, clock=register.clock)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda each=each: found.append(keep(each, order))) for each in (register, other)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        other.close()
    assert sorted(each is None for each in found) == [False, True]
    assert periods(register) == ["2026-11"]


@pytest.mark.usefixtures("light")
def test_a_server_that_dies_between_report_and_order_leaves_neither(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_report(register, "usage", "month", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))

    class Killed(BaseException):
        pass

    def killed(**_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(orders, "ReportOrderKept", killed)
        with pytest.raises(Killed):
            Issuer(register, interval_s=60).once()
    assert (periods(register), orders_of(register)[0].next) == ([], order.next)
    assert [each.period for each in Issuer(register, interval_s=60).once()] == ["2026-11"]


@pytest.mark.usefixtures("light")
def test_an_order_that_fails_keeps_no_other_waiting(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    order_report(register, "usage", "month", by="li")
    order_report(register, "revenue", "month", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    real = orders.make

    def failing(register: Register, asked: Any) -> Report:
        if asked.kind.name == "revenue":
            raise OSError("disk")
        return real(register, asked)

    monkeypatch.setattr(orders, "make", failing)
    assert [each.kind for each in Issuer(register, interval_s=60).once()] == ["usage"]


@pytest.mark.usefixtures("light")
def test_an_order_ended_issues_nothing_more_and_may_be_given_anew(register: Register) -> None:
    order = order_report(register, "usage", "month", by="li")
    with pytest.raises(Problem, match="report_ordered_already"):
        order_report(register, "usage", "month", by="li")
    order_report(register, "usage", "month", subject="op-1", by="li")
    over = end_order(register, order.id, reason="改由人工签发", by="li")
    assert (over.state, over.ended_by, over.reason) == ("ended", "li", "改由人工签发")
    with pytest.raises(Problem, match="report_order_unknown"):
        end_order(register, order.id, reason="again", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    assert [each.subject for each in Issuer(register, interval_s=60).once()] == ["op-1"]
    assert order_report(register, "usage", "month", by="li").next == "2026-12"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("filing", "month", None, "li"), "report_period"),
        (("disclosure", "month", None, "li"), "report_period"),
        (("usage", "month", "builder-1", "li"), "report_subject_unknown"),
        (("usage", "month", None, "op-1"), "auth_principal_role"),
    ],
)
def test_what_cannot_be_ordered(register: Register, asked: tuple[Any, ...], code: str) -> None:
    kind, every, subject, by = asked
    with pytest.raises(Problem, match=code):
        order_report(register, kind, every, subject=subject, by=by)


def kept(**changes: Any) -> ev.ReportOrderKept:
    return ev.ReportOrderKept.model_validate({"by": "system", "order": "ord-x", "period": "2026-11", "report": "rep-x", **changes})


@pytest.mark.usefixtures("light")
def test_no_table_takes_a_period_twice_or_before_it_is_over_or_by_another_report(register: Register) -> None:
    order = order_report(register, "usage", "month", by="li")
    travel(register, datetime(2026, 12, 1, tzinfo=UTC))
    (made,) = Issuer(register, interval_s=60).once()
    for wrong in ({"report": made.id}, {"report": made.id, "period": "2026-12"}, {"report": "rep-none"}, {"by": "li", "report": made.id}):
        with pytest.raises(DoesNotFit), register.transaction() as act:
            act.append(kept(order=order.id, **wrong))
    assert issued(register, made.id) == made


def test_the_carried_audit_holds_each_period_to_its_order() -> None:
    def after(**changes: Any) -> None:
        book = Book()
        book.at = "2026-11-30T16:00:00.000000Z"
        book.report_orders["ord-x"] = ReportOrder("usage", "month", None, "2026-11")
        book.report_told = (8, "rep-x", "usage", "2026-11", None)
        for name in [each for each in changes if each in ("at", "report_told")]:
            setattr(book, name, changes.pop(name))
        book.report_orders["ord-x"].open = changes.pop("open", True)
        RULES["report_order_kept"](book, {"kind": "report_order_kept", **kept(**changes).model_dump()}, 9)
        assert book.report_orders["ord-x"].next == "2026-12"

    after()
    told = (8, "rep-x", "usage", "2026-11", None)
    for wrong in (
        {"at": "2026-11-30T15:59:59.999999Z"},
        {"open": False},
        {"by": "li"},
        {"period": "2026-12"},
        {"order": "ord-y"},
        {"report": "rep-y"},
        *(
            {"report_told": tuple(changed if place == at else each for place, each in enumerate(told))}
            for at, changed in enumerate((7, "rep-y", "revenue", "2026-10", "op-1"))
        ),
        {"report_told": None},
    ):
        with pytest.raises(Contradiction):
            after(**wrong)
