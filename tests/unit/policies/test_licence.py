"""The licence: how a bureau writes one, and what cannot be granted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.catalogue import Catalogue, Snapshot, dataset_from_toml
from policies.licence import Degree, Licence, check_scope, licence_from_toml
from policies.loss import Loss, pico_rho_for
from policies.problem import Problem
from tests.unit.policies.worlds import LICENCE, VISITS, changed

PER_JOB, TOTAL = 'per_job = {rho = "0.02", delta = "1e-8"}', 'total = {rho = "1", delta = "1e-6"}'


def faults(text: str) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        licence_from_toml(text)
    assert caught.value.code == "licence_invalid"
    return {part.fields["path"]: part.fields["reason_en"] for part in caught.value.parts}


def test_a_file_states_a_licence() -> None:
    licence = licence_from_toml(LICENCE)
    assert licence.per_job.loss == Loss(20_000_000_000, 10_000_000_000)
    assert licence.total.loss == Loss(10**12, 10**12)
    assert licence.job_kinds == ("sql",)
    assert licence.grant_on("VISITS") is licence.datasets[0]
    assert licence.grant_on("ghost") is None


def test_a_licence_survives_json_that_rounds_nothing() -> None:
    licence = licence_from_toml(LICENCE.replace(TOTAL, 'total = {rho = "123456.789012345678", delta = "0.1"}'))
    text = licence.model_dump_json()
    assert json.loads(text)["total"] == {"pico_rho": "123456789012345678", "atto_delta": "100000000000000000"}
    assert Licence.model_validate_json(text) == licence
    assert Licence.model_validate(json.loads(text)) == licence
    assert Licence.model_validate(licence.model_dump()) == licence


def test_it_is_in_force_from_its_start_until_before_its_end() -> None:
    licence = licence_from_toml(LICENCE)
    start, end = licence.valid_from, licence.valid_until
    tick = timedelta(microseconds=1)
    assert [licence.in_force(now) for now in (start - tick, start, end - tick, end)] == [False, True, True, False]


def test_a_job_stated_like_the_cap_fits_under_it() -> None:
    licence = licence_from_toml(LICENCE.replace(PER_JOB, 'per_job = {epsilon = "1", delta = "1e-8"}'))
    cap, delta = licence.per_job.loss, Decimal("1e-8")
    for share in (Decimal(0), delta / 2, delta * 9 / 10):  # of delta, spent on a threshold
        assert cap.covers(Loss.of(Decimal(pico_rho_for(Decimal(1), delta - share)) / 10**12, share))
    assert not cap.covers(Loss(pico_rho_for(Decimal("1.01"), delta)))


@settings(deadline=None)
@given(st.decimals("0.01", "50", places=2), st.sampled_from([Decimal("1e-4"), Decimal("1e-6"), Decimal("3e-9"), Decimal("1e-12")]))
def test_a_total_in_epsilon_and_delta_is_kept_to_the_last(epsilon: Decimal, delta: Decimal) -> None:
    spent = Degree.model_validate({"epsilon": epsilon, "delta": delta}).loss.epsilon(delta)
    assert spent is not None
    assert epsilon - Decimal("0.00001") <= spent <= epsilon


def test_half_of_the_delta_of_a_total_is_for_thresholds() -> None:
    assert Degree.within(Decimal(1), Decimal("1e-6")).atto_delta == 5 * 10**11
    assert Degree.admitting(Decimal(1), Decimal("1e-6")).atto_delta == 10**12


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rho": "0.5", "delta": "1e-6"}, (500_000_000_000, 10**12)),
        ({"rho": 2}, (2 * 10**12, 0)),
        ({"rho": "0.0000000000019", "delta": "1.9e-18"}, (1, 1)),  # a cap is rounded down
        ({"rho": 0.1, "delta": 1e-9}, (10**11, 10**9)),
        ({"pico_rho": 5, "atto_delta": "7"}, (5, 7)),
    ],
)
def test_ways_to_write_a_degree(given: dict[str, Any], expected: tuple[int, int]) -> None:
    degree = Degree.model_validate(given)
    assert (degree.pico_rho, degree.atto_delta) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilon": "1"}, "rho and delta, or epsilon and delta"),
        ({"delta": "1e-6"}, "rho and delta, or epsilon and delta"),
        ({"epsilon": "1", "rho": "1", "delta": "1e-6"}, "rho and delta, or epsilon and delta"),
        ({"epsilon": "0", "delta": "1e-6"}, "above 0"),
        ({"epsilon": "1", "delta": "0"}, "between 0 and 1"),
        ({"epsilon": "1", "delta": "1"}, "between 0 and 1"),
        ({"epsilon": "NaN", "delta": "1e-6"}, "epsilon must be a decimal"),
        ({"epsilon": "Infinity", "delta": "1e-6"}, "epsilon must be a decimal"),
        ({"epsilon": "-1", "delta": "1e-6"}, "epsilon must be a decimal"),
        ({"epsilon": "much", "delta": "1e-6"}, "epsilon must be a decimal"),
        ({"epsilon": "1", "delta": "1e-999999"}, "delta must be a decimal"),
        ({"epsilon": "1e999999", "delta": "1e-6"}, "epsilon must be a decimal"),
        ({"rho": True}, "rho must be a decimal"),
        ({"rho": None}, "rho must be a decimal"),
        ({"rho": "1000001"}, "less than or equal"),
        ({"pico_rho": -1, "atto_delta": 0}, "greater than or equal"),
        ({"pico_rho": 1}, "required"),
        ("0.5", "valid dictionary"),
    ],
)
def test_a_degree_that_makes_no_sense_cannot_be_built(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Degree.model_validate(given)


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("2027-01-01", "2026-01-01", ".", "ends before it starts"),
        ("2027-01-01T00:00:00+08:00", "9999-12-31T23:59:59-01:00", ".", "between the years"),
        ("2026-01-01T00:00:00+08:00", "0001-01-01T00:00:00+08:00", ".", "between the years"),
        (PER_JOB, 'per_job = {rho = "2"}', ".", "more than the total (rho 1, delta 0.000001)"),
        (PER_JOB, 'per_job = {epsilon = "1"}', "per_job", "epsilon and delta"),
        (PER_JOB, "", "per_job", "required"),
        ("2026-01-01T00:00:00+08:00", "2026-01-01T00:00:00", "valid_from", "timezone"),
        ('operator = "op-1"', 'operator = "运营"', "operator", "ASCII letter"),
        ('"care-planning", "insurance"', "", "scenarios", "at least 1 item"),
        ('dataset = "visits"', 'dataset = "visits"\n[[datasets]]\ndataset = "VISITS"', ".", "granted once"),
        (
            'dataset = "visits"',
            'dataset = "visits"\ncolumns = [{name = "fee", uses = ["print"]}]',
            "datasets[0](visits).columns[0](fee).uses[0]",
            "should be 'filter'",
        ),
        (
            'dataset = "visits"',
            'dataset = "visits"\ncolumns = [{name = "fee", uses = []}]',
            "datasets[0](visits).columns[0](fee).uses",
            "at least 1",
        ),
        ('id = "SX', 'job_kinds = ["shell"]\nid = "SX', "job_kinds[0]", "'sql'"),
        ('id = "SX', 'job_kinds = []\nid = "SX', "job_kinds", "at least 1"),
    ],
)
def test_a_licence_that_makes_no_sense_is_located(old: str, new: str, path: str, said: str) -> None:
    assert old in LICENCE
    found = faults(LICENCE.replace(old, new, 1))
    assert list(found) == [path]
    assert said in found[path]


def test_a_grant_allows_the_uses_it_names() -> None:
    whole = licence_from_toml(LICENCE).datasets[0]
    assert whole.allows("anything", "key")
    some = changed(whole, columns=[{"name": "fee", "uses": ["aggregate"]}])
    assert some.allows("FEE", "aggregate")
    assert not some.allows("fee", "key")
    assert not some.allows("city", "aggregate")


def test_scope_is_checked_against_the_catalogue() -> None:
    catalogue = Catalogue((Snapshot(dataset=dataset_from_toml(VISITS), version=1, digest="0" * 64),))
    licence = licence_from_toml(LICENCE)
    check_scope(licence, catalogue)
    fee = {"name": "FEE", "uses": ["aggregate"]}
    check_scope(changed(licence, datasets=[{"dataset": "visits", "columns": [fee]}]), catalogue)
    wide = changed(licence, datasets=[{"dataset": "visits", "columns": [fee, {"name": "ghost", "uses": ["key"]}]}, {"dataset": "beds"}])
    with pytest.raises(Problem) as caught:
        check_scope(wide, catalogue)
    assert [part.fields["path"] for part in caught.value.parts] == ["datasets[0](visits).columns(ghost)", "datasets[1](beds)"]


def test_times_of_any_zone_compare() -> None:
    licence = changed(licence_from_toml(LICENCE), valid_from=datetime(2026, 1, 1, tzinfo=UTC))
    assert not licence.in_force(datetime(2026, 1, 1, 7, 59, tzinfo=timezone(timedelta(hours=8))))
