"""Money: whatever the tariff, the usage and the way it is divided, no fen is lost and none is made."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.fees import allot, cost_fen, fee_of, settle
from policies.tariff import MEASURES, ROUNDING, Item, Measure, Tariff
from yunei.replay import pricing

OFTEN = settings(max_examples=200, deadline=None)
PRICES = st.decimals("0", "1000", places=6)
MEASURED: st.SearchStrategy[Measure] = st.sampled_from([each for each in MEASURES if each != "month"])


@st.composite
def items(draw: st.DrawFn, name: str = "item", measure: Measure | None = None) -> dict[str, Any]:
    """An item with one price or with tiers, at any scale."""
    measure = measure or draw(MEASURED)
    item: dict[str, Any] = {"name": name, "title": {"zh": "项", "en": "item"}, "measure": measure, "ceiling": "1000"}
    item["per"] = draw(st.sampled_from([1, 3, 1000, 10**6]))
    if draw(st.booleans()):
        return {**item, "price": draw(PRICES)}
    bounds = [Decimal(0), *sorted(Decimal(each) for each in draw(st.sets(st.integers(1, 5000), min_size=1, max_size=4)))]
    ends: list[Decimal | None] = [*bounds[1:], None]
    return {**item, "tiers": [{"above": low, "up_to": high, "price": draw(PRICES)} for low, high in zip(bounds, ends, strict=True)]}


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    measures = draw(st.lists(MEASURED, min_size=1, max_size=4, unique=True))
    percents = [st.integers(1, 9_999).map(lambda cut: (Decimal(cut) / 100, 100 - Decimal(cut) / 100)) for _ in range(3)]
    return Tariff.model_validate(
        {
            "document": "1",
            "items": [draw(items(name=measure, measure=measure)) for measure in measures],
            "free": [{"scenario": "good", "condition": {"zh": "公益", "en": "welfare"}, "document": "2"}],
            "bodies": [{"id": body, "title": {"zh": body, "en": body}, "role": "platform"} for body in "abc"],
            "contributions": [
                {"dataset": f"d{at}", "weight": draw(st.integers(1, 9)), "shares": dict(zip(pair, draw(percents[at]), strict=True))}
                for at, pair in enumerate(("ab", "bc", "ca"))
            ],
        }
    )


USAGES = st.fixed_dictionaries({measure: st.integers(0, 6000 * MEASURES[measure].scale) for measure in MEASURES if measure != "month"})


@OFTEN
@given(items().map(Item.model_validate), st.lists(st.integers(0, 4000), min_size=1, max_size=12))
def test_a_periods_lines_add_up_however_usage_is_divided(item: Item, parts: list[int]) -> None:
    scale = MEASURES[item.measure].scale
    used, lines = 0, []
    for part in parts:
        lines.append(cost_fen(item, used + part * scale) - cost_fen(item, used))
        used += part * scale
    assert sum(lines) == cost_fen(item, sum(parts) * scale)
    assert min(lines) >= 0


@OFTEN
@given(items().map(Item.model_validate), st.integers(0, 10**7))
def test_a_price_is_exact_to_half_a_fen_and_half_goes_to_even(item: Item, quantity: int) -> None:
    units, exact = Fraction(quantity, MEASURES[item.measure].scale), Fraction(0)
    for start, end, micro in item.steps:
        low = Fraction(start, MEASURES[item.measure].scale)
        high = units if end is None else min(units, Fraction(end, MEASURES[item.measure].scale))
        exact += max(Fraction(0), high - low) * Fraction(micro, int(ROUNDING)) / item.per * 100
    fen = cost_fen(item, quantity)
    assert abs(fen - exact) <= Fraction(1, 2)
    if abs(fen - exact) == Fraction(1, 2):
        assert fen % 2 == 0


@OFTEN
@given(items().map(Item.model_validate), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_never_costs_less(item: Item, quantity: int, more: int) -> None:
    assert cost_fen(item, quantity + more) >= cost_fen(item, quantity)


@OFTEN
@given(tariffs(), st.lists(USAGES, min_size=1, max_size=5), st.sets(st.sampled_from(["d0", "d1", "d2"]), min_size=1))
def test_fees_add_up_in_lines_in_shares_and_over_a_period(tariff: Tariff, usages: list[dict[Measure, int]], datasets: set[str]) -> None:
    before: dict[str, int] = {}
    total = 0
    for usage in usages:
        fee = fee_of(tariff, usage, scenario="any", datasets=datasets, before=before)
        assert fee.fen == sum(fen for _, fen in fee.shares) == sum(line.fen for line in fee.lines)
        before = {line.item: before.get(line.item, 0) + line.quantity for line in fee.lines}
        total += fee.fen
    whole = {measure: sum(usage[measure] for usage in usages) for measure in usages[0]}
    assert total == fee_of(tariff, whole, scenario="any", datasets=datasets, before={}).fen
    assert fee_of(tariff, whole, scenario="good", datasets=datasets, before={}).fen == 0


@OFTEN
@given(tariffs(), USAGES, USAGES, st.sets(st.sampled_from(["d0", "D1", "d2", "d9"])))
def test_the_auditors_own_arithmetic_agrees(tariff: Tariff, used: dict[Measure, int], usage: dict[Measure, int], datasets: set[str]) -> None:
    before = {item.name: used[item.measure] for item in tariff.items}
    fee = fee_of(tariff, usage, scenario="any", datasets=datasets, before=before)
    plain = tariff.model_dump(mode="json")
    counted: dict[str, int] = {**usage}
    lines = pricing.lines_of(plain, counted, "any", before)
    assert lines == {line.item: (line.measure, line.quantity, line.fen) for line in fee.lines}
    assert pricing.shares_of(plain, fee.fen, datasets) == dict(fee.shares)
    assert pricing.digest_of(plain) == tariff.digest


AMOUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 10**12), max_size=5)


@OFTEN
@given(st.integers(0, 10**12), st.dictionaries(st.sampled_from("abcde"), st.integers(0, 10**9), min_size=1).filter(lambda w: any(w.values())))
def test_what_is_allotted_adds_up_and_is_within_a_fen_of_fair(amount: int, weights: dict[str, int]) -> None:
    parts, whole = allot(amount, weights), sum(weights.values())
    assert sum(parts.values()) == amount
    assert all(abs(Fraction(amount * weight, whole) - parts[name]) < 1 for name, weight in weights.items())
    assert parts == pricing.divided(amount, weights)


@OFTEN
@given(st.lists(AMOUNTS, min_size=1, max_size=8), st.lists(st.none() | st.integers(0, 10**12), min_size=8, max_size=8))
def test_revenue_over_periods_is_kept_within_its_ceiling_and_nothing_is_lost(posted: list[dict[str, int]], ceilings: list[int | None]) -> None:
    carried: dict[str, int] = {}
    paid: dict[str, int] = {}
    for amounts, allowed in zip(posted, ceilings, strict=False):
        settled = settle(amounts, carried, allowed)
        payable = sum(settled.payable.values())
        assert allowed is None or payable <= allowed
        assert all(carry >= 0 for carry in settled.carried.values())
        assert payable == (allowed or 0) or not any(settled.carried.values())  # nothing is held back while there is room
        assert pricing.settled(amounts, carried, allowed) == {
            name: (settled.payable.get(name, 0), carry) for name, carry in settled.carried.items()
        }
        for name, part in settled.payable.items():
            paid[name] = paid.get(name, 0) + part
        carried = dict(settled.carried)
    for name in "abcde":
        assert sum(each.get(name, 0) for each in posted) == paid.get(name, 0) + carried.get(name, 0)


@OFTEN
@given(st.integers(2000 * 12, 8998 * 12), st.sampled_from(["month", "quarter", "year"]))
def test_the_auditors_calendar_agrees(months: int, kind: Any) -> None:
    from jobs.events import rfc3339
    from policies.period import Period

    period = Period.holding(kind, Period("month", months).start)
    assert pricing.bounds(str(period)) == (rfc3339(period.start), rfc3339(period.end))
    assert pricing.months_of(str(period)) == [str(month) for month in period.months()]
    assert pricing.stepped(str(period), 1) == str(period.following)
    assert pricing.period_at(kind, rfc3339(period.start)) == str(period) == str(Period.parse(str(period)))
