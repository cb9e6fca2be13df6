"""Tariffs: what a bureau may write, what is refused and where, and what usage comes to."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from policies.catalogue import Catalogue, Snapshot, dataset_from_toml
from policies.fees import USAGE_OF_DELIVERY, allot, cost_fen, fee_of, half_even, settle, usage_of_release
from policies.licence import Licence, check_scope, licence_from_toml
from policies.loss import Loss
from policies.problem import LANGUAGES, Problem
from policies.tariff import MAX_YUAN, MEASURES, Tariff, example, succession_faults
from tests.unit.policies.worlds import LICENCE, VISITS

CATALOGUE = Catalogue((Snapshot(dataset=dataset_from_toml(VISITS), version=1, digest="0" * 64),))

ITEM = """
[[tariff.items]]
name = "release"
title = {zh = "统计结果", en = "release"}
measure = "release"
price = "120.00"
guided = {base = "100", up_percent = 20, down_percent = 50}
"""
ROWS = """
[[tariff.items]]
name = "rows"
title = {zh = "行", en = "rows"}
measure = "row"
per = 1000
ceiling = "5"
[[tariff.items.tiers]]
above = 0
up_to = 1000
price = "2.5"
[[tariff.items.tiers]]
above = 1000
price = 1
"""
REST = """
[[tariff.free]]
scenario = "care-planning"
condition = {zh = "用于公共治理", en = "for public governance"}
document = "晋数〔2026〕9号"
[[tariff.bodies]]
id = "health"
title = {zh = "省卫生健康委", en = "Health Commission"}
[[tariff.bodies]]
id = "treasury"
title = {zh = "省财政", en = "treasury"}
role = "treasury"
[[tariff.contributions]]
dataset = "visits"
shares = {health = "66.67", treasury = "33.33"}
"""
HEAD = """
[tariff]
document = "晋发改价格〔2026〕1号"
period = "quarter"
allowed_revenue = "1000.00"
"""
TARIFF = HEAD + ITEM + ROWS + REST


def faults(tariff: str) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        licence_from_toml(LICENCE + tariff)
    assert caught.value.code == "licence_invalid"
    for part in caught.value.parts:
        for language in LANGUAGES:
            assert part.words(language).detail
    return {part.fields["path"]: part.fields["reason_en"] for part in caught.value.parts}


def stated() -> Tariff:
    found = licence_from_toml(LICENCE + TARIFF).tariff
    assert found is not None
    return found


def test_a_file_states_a_tariff_and_json_keeps_it() -> None:
    licence = licence_from_toml(LICENCE + TARIFF)
    again = Licence.model_validate_json(licence.model_dump_json())
    assert again == licence
    assert again.tariff is not None
    assert again.tariff.digest == stated().digest
    assert licence_from_toml(LICENCE + TARIFF.replace("120.00", "119.00")).tariff.digest != stated().digest  # type: ignore[union-attr]  # it has one
    assert stated().allowed_fen == 100_000
    assert licence_from_toml(LICENCE).tariff is None


def test_the_example_is_a_tariff() -> None:
    assert Tariff.model_validate(example()).period == "quarter"


@pytest.mark.parametrize(
    ("tariff", "path", "reason"),
    [
        (TARIFF.replace('price = "120.00"', 'price = "-1"'), "tariff.items[0](release).price", "greater than or equal to 0"),
        (TARIFF.replace('price = "120.00"', 'price = "120.01"'), "tariff.items[0](release).price", "outside the band"),
        (TARIFF.replace('price = "120.00"', 'price = "49.99"'), "tariff.items[0](release).price", "outside the band"),
        (TARIFF.replace('price = "120.00"', 'price = "1.0000001"'), "tariff.items[0](release).price", "no more than 6 decimal places"),
        (TARIFF.replace('price = "120.00"', f'price = "{MAX_YUAN + 1}"'), "tariff.items[0](release).price", "less than or equal to"),
        (TARIFF.replace('ceiling = "5"', 'ceiling = "2"'), "tariff.items[1](rows).tiers[0].price", "above its ceiling of 2 yuan"),
        (TARIFF.replace('ceiling = "5"\n', ""), "tariff.items[1](rows)", "give guided or ceiling"),
        (TARIFF.replace("above = 1000", "above = 999"), "tariff.items[1](rows).tiers[1]", "tiers overlap"),
        (TARIFF.replace("up_to = 1000\n", ""), "tariff.items[1](rows).tiers[1]", "tiers overlap"),
        (TARIFF.replace("above = 1000", "above = 1001"), "tariff.items[1](rows).tiers[1]", "a gap between tiers"),
        (TARIFF.replace("above = 0", "above = 1"), "tariff.items[1](rows).tiers[0]", "a gap between tiers"),
        (TARIFF.replace("up_to = 1000", "up_to = 0"), "tariff.items[1](rows).tiers[0]", "ends before it starts"),
        (TARIFF.replace("1000\nprice = 1", "1000\nup_to = 2000\nprice = 1"), "tariff.items[1](rows).tiers[1]", "the last tier has no end"),
        (
            TARIFF.replace("up_to = 1000", "up_to = 999.5").replace("above = 1000", "above = 999.5"),
            "tariff.items[1](rows).tiers[0]",
            "within one count of its measure",
        ),
        (TARIFF.replace('price = "120.00"\n', ""), "tariff.items[0](release)", "price or tiers, one of them"),
        (TARIFF.replace('name = "rows"', 'name = "release"'), "tariff.items[1](release)", "item names are given once"),
        (TARIFF.replace('measure = "row"', 'measure = "release"'), "tariff.items[1](rows)", "priced twice in one scenario"),
        (
            TARIFF.replace('measure = "row"', 'measure = "month"\nscenarios = ["insurance"]'),
            "tariff.items[1](rows).scenarios",
            "has no scenarios",
        ),
        (
            TARIFF.replace('measure = "row"', 'measure = "row"\nscenarios = ["other"]'),
            "tariff.items[1](rows).scenarios",
            "has no scenario other",
        ),
        (TARIFF.replace('scenario = "care-planning"', 'scenario = "other"'), "tariff.free[0].scenario", "has no scenario other"),
        (TARIFF.replace('"66.67"', '"66.66"'), "tariff.contributions[0](visits).shares", "add up to 100 percent"),
        (TARIFF.replace("health = ", "wealth = "), "tariff.contributions[0](visits).shares.wealth", "there is no body wealth"),
        (TARIFF.replace('dataset = "visits"', 'dataset = "ghosts"'), "tariff.contributions[0](ghosts)", "does not grant this dataset"),
        (TARIFF.replace('dataset = "visits"', 'dataset = "ghosts"'), "tariff.contributions", "dataset visits has no share"),
        (TARIFF.replace('id = "treasury"', 'id = "health"'), "tariff.bodies[1]", "bodies are given once"),
        (TARIFF.replace('period = "quarter"', 'period = "week"'), "tariff.period", "'month', 'quarter' or 'year'"),
        (TARIFF.replace('"1000.00"', '"1000.001"'), "tariff.allowed_revenue", "no more than 2 decimal places"),
    ],
)
def test_what_is_wrong_is_named_and_located(tariff: str, path: str, reason: str) -> None:
    found = faults(tariff)
    assert path in found, found
    assert reason in found[path]


def test_every_fault_of_a_tariff_is_told_at_once() -> None:
    bad = TARIFF.replace('"120.00"', '"-1"').replace("above = 1000", "above = 5").replace('"66.67"', '"1"')
    assert len(faults(bad)) == 3


def test_a_source_body_must_be_the_catalogues() -> None:
    licence = licence_from_toml(LICENCE + TARIFF)
    check_scope(licence, CATALOGUE)
    other = licence_from_toml(LICENCE + TARIFF.replace("省卫生健康委", "省教育厅"))
    with pytest.raises(Problem) as caught:
        check_scope(other, CATALOGUE)
    assert [part.fields["path"] for part in caught.value.parts] == ["tariff.bodies[0](health)"]


def test_an_amendment_keeps_what_accounts_run_across() -> None:
    plain: dict[str, Any] = stated().model_dump()
    other = deepcopy(plain)
    other["period"] = "year"
    other["bodies"][0]["title"]["zh"] = "省教育厅"
    assert [fault.place for fault in succession_faults(stated(), Tariff.model_validate(other))] == [
        ("tariff", "period"),
        ("tariff", "bodies", 0),
    ]
    assert [fault.place for fault in succession_faults(stated(), None)] == [("tariff",)]
    dearer = Tariff.model_validate(plain | {"allowed_revenue": None})
    assert not list(succession_faults(stated(), dearer))
    assert not list(succession_faults(None, stated()))


def test_a_quantity_is_priced_tier_by_tier() -> None:
    rows = stated().items[1]
    assert [cost_fen(rows, count) for count in (0, 1, 2, 3, 1000, 1001, 3000)] == [0, 0, 0, 1, 250, 250, 450]


@pytest.mark.parametrize(("numerator", "expected"), [(0, 0), (1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (7, 2), (9, 2), (10, 2), (11, 3)])
def test_rounding_is_half_to_even(numerator: int, expected: int) -> None:
    assert half_even(numerator, 4) == expected


def test_usage_is_counted_in_whole_units() -> None:
    usage = usage_of_release(rows=7, bytes=900, slot_ms=1500, loss=Loss(125 * 10**9, 5))
    assert set(usage) | {"month"} == set(MEASURES)
    assert usage["epsilon"] == 500_000  # rho = epsilon²/2
    assert (usage["compute_second"], MEASURES["compute_second"].scale) == (1500, 1000)


def test_a_fee_has_lines_and_shares_that_add_up() -> None:
    usage = usage_of_release(rows=500, bytes=900, slot_ms=50, loss=Loss(1))
    fee = fee_of(stated(), usage, scenario="insurance", datasets=["Visits"], before={})
    assert [(line.item, line.quantity, line.fen) for line in fee.lines] == [("release", 1, 12_000), ("rows", 500, 125)]
    assert (fee.fen, fee.shares, fee.free) == (12_125, (("health", 8084), ("treasury", 4041)), False)
    assert fee_of(stated(), USAGE_OF_DELIVERY, scenario="insurance", datasets=["visits"], before={}).lines == ()


def test_what_serves_the_public_is_counted_and_free() -> None:
    usage = usage_of_release(rows=500, bytes=900, slot_ms=50, loss=Loss(1))
    fee = fee_of(stated(), usage, scenario="care-planning", datasets=["visits"], before={})
    assert [(line.quantity, line.fen) for line in fee.lines] == [(1, 0), (500, 0)]
    assert (fee.fen, fee.shares, fee.free) == (0, (), True)


def test_a_joint_release_is_shared_by_weight() -> None:
    plain = stated().model_dump()
    plain["contributions"] = [
        {"dataset": "visits", "weight": 3, "shares": {"health": Decimal(100)}},
        {"dataset": "fares", "weight": 1, "shares": {"treasury": Decimal(100)}},
    ]
    joint = Tariff.model_validate(plain)
    assert joint.weights(["visits"]) == {"health": 30_000}
    assert allot(1000, joint.weights(["VISITS", "fares"])) == {"health": 750, "treasury": 250}


def test_an_amount_that_nobody_shares_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        allot(1, {})
    assert allot(0, {}) == {}


def test_revenue_beyond_what_is_allowed_is_carried() -> None:
    first = settle({"a": 70, "b": 50}, {}, 100)
    second = settle({"a": 10}, first.carried, 100)
    assert sum(first.payable.values()) == 100
    assert sum(first.carried.values()) == 20
    assert sum(second.payable.values()) == 30
    assert not any(second.carried.values())
