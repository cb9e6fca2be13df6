"""Budgets by period in the catalogue: which periods there are, what is refused, what the unit is called."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from policies.catalogue import BLOCK_PERIODS, MOST_PERIODS, Dataset, Window, dataset_from_toml
from policies.catalogue.blocks import bounds_of, label_of, period_in, period_of
from policies.problem import Problem

TOML = """
name = "visits"
title = { zh = "就诊", en = "Visits" }
registration_no = "SX-1"
source_body = { zh = "卫健委", en = "Health" }
acquired_on = 2026-01-01
updated_on = 2026-02-01
grade = "general-3"
share = { attribute = "conditional", reason = { zh = "依法", en = "law" }, basis = "art. 12" }
approximate_rows = 1000
[unit]
column = "pid"
space = "person"
title = { zh = "个人", en = "person" }
pseudonym = true
[bounds]
groups_per_unit = 2
rows_per_group = 3
[block]
column = "day"
period = "month"
[[columns]]
name = "pid"
type = "text"
title = { zh = "人", en = "person" }
uses = ["join", "distinct"]
[[columns]]
name = "day"
type = "date"
title = { zh = "日", en = "day" }
nullable = false
low = 2026-01-15
high = 2027-02-03
"""


def declared(*changes: tuple[str, str]) -> Dataset:
    text = TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return dataset_from_toml(text)


@pytest.mark.parametrize("kind", BLOCK_PERIODS)
def test_periods_part_the_calendar(kind: Any) -> None:
    """Every day lies in one period; each period is its days, and its label names it alone, in order of time."""
    days = [date(1999, 12, 1) + timedelta(days=each) for each in range(3000)]
    numbers = [period_of(kind, day) for day in days]
    assert all(after - before in (0, 1) for before, after in pairwise(numbers))
    for day, number in zip(days, numbers, strict=True):
        low, high = bounds_of(kind, number)
        assert low <= day <= high
        assert period_of(kind, low - timedelta(days=1)) == number - 1
        assert period_of(kind, high + timedelta(days=1)) == number + 1
    labels = [label_of(kind, number) for number in sorted(set(numbers))]
    assert labels == sorted(set(labels))


def test_weeks_are_those_of_the_calendar() -> None:
    for day in (date(2026, 1, 1), date(2027, 1, 1), date(2020, 12, 31), date(2024, 12, 30), date(2026, 1, 4), date(2021, 1, 3)):  # two Sundays
        year, week, _ = day.isocalendar()
        assert label_of("week", period_of("week", day)) == f"{year}-W{week:02d}"


def test_an_entry_says_its_periods() -> None:
    made = declared()
    assert made.space == "person/month"
    assert made.unit_title is not None
    assert (made.unit_title.zh, made.unit_title.en) == ("个人—月", "person and month")
    assert made.periods == Window("day", "month", 2026 * 12, 2027 * 12 + 1)
    assert made.periods is not None
    assert (made.periods.labels[0], made.periods.labels[-1], len(made.periods)) == ("2026-01", "2027-02", 14)
    assert (made.periods.low, made.periods.high) == (date(2026, 1, 1), date(2027, 2, 28))
    assert Dataset.model_validate_json(made.model_dump_json()) == made
    plain = declared(('[block]\ncolumn = "day"\nperiod = "month"\n', ""))
    assert (plain.space, plain.periods) == ("person", None)
    assert plain.unit_title is not None
    assert plain.unit_title.en == "person"
    assert (period_in("person/month"), period_in("person")) == ("month", None)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (('pseudonym = true\n', ""), "pseudonym"),
        (('column = "day"\nperiod', 'column = "nothing"\nperiod'), "nothing"),
        (('column = "day"\nperiod', 'column = "pid"\nperiod'), "pid"),
        (('type = "date"', 'type = "text"'), "text"),
        (("nullable = false\n", ""), "nullable"),
        (("low = 2026-01-15\nhigh = 2027-02-03", ""), "low"),
        (("high = 2027-02-03", "high = 9999-12-31"), "low"),
        (("high = 2027-02-03", 'high = 2027-02-03\nout_of_range = "clamp"'), "out_of_range"),
        (('period = "month"', 'period = "day"'), None),
        (('period = "month"', 'period = "hour"'), "period"),
        (('pseudonym = true', 'pseudonym = true\nvia = { column = "bill", references = "bills.bill" }'), "own"),
    ],
)  # fmt: skip
def test_what_is_refused(change: tuple[str, str], word: str | None) -> None:
    if word is None:
        assert len(declared(change).periods or ()) == 385
        return
    with pytest.raises(Problem) as raised:
        declared(change)
    assert raised.value.code == "data_catalogue_invalid"


def test_too_many_periods_are_refused_in_both_languages() -> None:
    assert MOST_PERIODS == 400
    just = ("high = 2027-02-03", "high = 2027-02-18")
    assert len(declared(('period = "month"', 'period = "day"'), just).periods or ()) == MOST_PERIODS
    with pytest.raises(Problem) as raised:
        declared(('period = "month"', 'period = "day"'), ("high = 2027-02-03", "high = 2027-02-19"))
    said = [raised.value.words(language).detail for language in ("zh", "en")]
    assert "401" in said[0]
    assert "至多 400 期" in said[0]
    assert "at most 400 periods" in said[1]
