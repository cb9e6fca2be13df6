"""Fees in the register: posted with what they are for, once, as the tariff says; periods closed in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from infra.database import reading
from infra.tables import metering
from jobs import acts, statements
from jobs.acts.periods import close_period
from jobs.register import Register
from policies.licence import DatasetGrant
from policies.period import Period
from policies.problem import Problem
from tests.money import (
    DECEMBER,
    NOVEMBER,
    START,
    TARIFF,
    amended,
    charging,
    clean,
    deliver,
    licensed,
    posted,
    priced,
    publish,
    replayed,
    statement,
    tariff,
    travel,
)


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
