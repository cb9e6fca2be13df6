"""The catalogue: what cannot be built, what survives JSON, what a file with faults is told."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.catalogue import Catalogue, Column, Dataset, Snapshot, dataset_from_toml, with_domains
from policies.problem import Problem
from tests.unit.policies.worlds import CITIES, VISITS, changed

TITLE = {"zh": "列", "en": "column"}


def column(**fields: Any) -> Column:
    return Column.model_validate({"name": "x", "type": "integer", "title": TITLE} | fields)


def faults(text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        dataset_from_toml(text)
    assert caught.value.code == "data_catalogue_invalid"
    return caught.value


def places(problem: Problem) -> dict[str, str]:
    return {part.fields["path"]: part.fields["reason_zh"] for part in problem.parts}


def test_a_file_declares_a_dataset() -> None:
    dataset = dataset_from_toml(VISITS)
    assert dataset.private
    assert not dataset_from_toml(CITIES).private
    fee = dataset.get("FEE")
    assert fee is not None
    assert (fee.low, fee.high, fee.decimals) == (Decimal(0), Decimal("10000.50"), 2)
    assert dataset.get("ghost") is None
    assert dataset.grade_of(fee) == "general-3"
    assert dataset.grade_of(changed(fee, grade="core")) == "core"


def test_uses_are_kept_once_and_in_order() -> None:
    assert column(uses=["join", "filter", "filter"]).uses == ("filter", "join")


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "text": st.one_of(st.text(max_size=8), st.dates().map(str), st.integers().map(str), st.sampled_from(["true", "NaN"])),
    "date": st.dates(),
    "boolean": st.booleans(),
}


@settings(deadline=None)
@given(
    st.sampled_from(sorted(_VALUES)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(_VALUES[kind], min_size=1, max_size=5, unique=True))
    )
)
def test_a_domain_of_any_type_survives_json(drawn: tuple[str, list[Any]]) -> None:
    kind, values = drawn
    built = column(type=kind, domain=values)
    assert built.domain == tuple(values)
    text = built.model_dump_json()
    assert Column.model_validate_json(text) == built
    assert Column.model_validate(json.loads(text)) == built
    assert Column.model_validate(built.model_dump()) == built
    through = Column.model_validate_json(text).domain
    assert through is not None
    assert [type(value) for value in through] == [type(value) for value in values]
    assert not any(isinstance(value, int) and abs(value) > 2**53 for value in json.loads(text)["domain"])  # canonical JSON refuses those


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("integer", Decimal(20200101), Decimal(20210101)),
        ("number", Decimal("-30.5"), Decimal("1e3")),
        ("date", date(2020, 1, 1), date(2020, 1, 1)),
        ("timestamp", date(2020, 1, 1), date(2021, 1, 1)),
    ],
)
def test_a_range_of_any_type_survives_json(kind: str, low: Any, high: Any) -> None:
    built = column(type=kind, low=low, high=high)
    for again in (Column.model_validate_json(built.model_dump_json()), Column.model_validate(built.model_dump(mode="json"))):
        assert again == built
        assert (type(again.low), type(again.high)) == (type(low), type(high))


def test_a_float_is_read_as_it_was_written() -> None:
    assert column(type="number", low=0.1, high=1).low == Decimal("0.1")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"low": 1}, "given together"),
        ({"low": 2, "high": 1}, "above high"),
        ({"low": 0.5, "high": 1}, "must be whole"),
        ({"low": 0, "high": 2**62}, "61 bits"),
        ({"type": "number", "low": 0, "high": 10**12, "decimals": 9}, "61 bits"),
        ({"low": "NaN", "high": 1}, "low must be a decimal"),
        ({"low": 0, "high": "Infinity"}, "high must be a decimal"),
        ({"low": "x", "high": 1}, "low must be a decimal"),
        ({"low": True, "high": 1}, "low must be a decimal"),
        ({"low": date(2020, 1, 1), "high": 1}, "low must be a decimal"),
        ({"type": "date", "low": "2020-13-01", "high": "2020-01-01"}, "low must be a date"),
        ({"type": "date", "low": 20200101, "high": 20210101}, "low must be a date"),
        ({"type": "text", "low": 0, "high": 1}, "does not fit type text"),
        ({"decimals": 2}, "decimals do not apply"),
        ({"type": "number", "domain": [1]}, "never a key"),
        ({"type": "timestamp", "domain_from": "t.c"}, "never a key"),
        ({"domain": []}, "non-empty"),
        ({"domain": [1, 1]}, "each value once"),
        ({"domain": [1, True]}, "values of type integer"),
        ({"domain": ["one"]}, "values of type integer"),
        ({"domain": ["1e3"]}, "values of type integer"),
        ({"domain": [2**63]}, "64 bits"),
        ({"type": "text", "domain": [1]}, "values of type text"),
        ({"type": "boolean", "domain": [0]}, "values of type boolean"),
        ({"type": "date", "domain": ["yesterday"]}, "domain must be a date"),
        ({"domain": 3}, "valid tuple"),
        ({"domain_from": "no dot"}, "match pattern"),
        ({"name": "1x"}, "match pattern"),
        ({"nonsense": 1}, "not permitted"),
    ],
)
def test_a_column_that_makes_no_sense_cannot_be_built(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        column(**fields)


def test_a_column_is_a_table_of_fields() -> None:
    with pytest.raises(ValidationError, match="valid dictionary"):
        Column.model_validate(["x"])


def _unit(**fields: Any) -> dict[str, Any]:
    dataset = dataset_from_toml(VISITS)
    return {"columns": (changed(dataset.columns[0], **fields), *dataset.columns[1:])}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": dataset_from_toml(VISITS).columns * 2}, "differ in more than case"),
        ({"unit": None}, "given together"),
        ({"bounds": None}, "given together"),
        ({"unit": {"column": "ghost", "space": "person", "title": TITLE}}, "unit column ghost"),
        ({"unit": {"column": "fee", "space": "person", "title": TITLE}}, "integer or text"),
        (_unit(uses=["filter", "key"]), "never a key"),
        (_unit(uses=["aggregate"]), "never a key"),
        (_unit(domain=[1]), "not made public"),
        (_unit(domain_from="people.id"), "not made public"),
        ({"updated_on": date(2025, 1, 1)}, "before acquired"),
        ({"columns": ()}, "at least 1"),
    ],
)
def test_a_dataset_that_makes_no_sense_cannot_be_built(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        changed(dataset_from_toml(VISITS), **changes)


def test_a_model_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        dataset_from_toml(VISITS).name = "other"


def test_faults_are_all_listed_with_their_place_in_both_languages() -> None:
    broken = (
        VISITS.replace('name = "visits"', 'name = "all visits"')
        .replace('grade = "general-3"', 'grade = "secret"')
        .replace("decimals = 2", "decimals = 2\nunits = 3")
        .replace("domain = [1, 2, 3]", "domain = [1, 1]")
        .replace("approximate_rows = 1000000", "approximate_rows = 0")
    )
    problem = faults(broken)
    assert places(problem) == {
        "name": "须以字母或汉字开头，只含字母、汉字、数字、下划线，至多 63 个字符",
        "grade": "须为下列之一：'core', 'important', 'general-4', 'general-3', 'general-2', 'general-1'",
        "approximate_rows": "不得小于 1",
        "columns[1](City)": "domain 不能为空，取值不能重复",
        "columns[2](fee).units": "没有这一项，请核对名称",
    }
    assert problem.fields["count"] == "5"
    assert problem.words("zh").detail.startswith("共 5 处；第一处在 name：")
    assert "columns[2](fee).units: extra inputs are not permitted" in str(problem)


def test_what_is_missing_is_named_and_an_echo_is_not() -> None:
    assert places(faults(VISITS.replace('title = {zh = "费用", en = "fee"}', ""))) == {"columns[2](fee).title": "缺少此项"}
    assert places(faults('name = "x"'))["columns"] == "缺少此项"
    assert places(faults(CITIES.split("[[columns]]")[0] + "columns = []"))["columns"] == "至少 1 项"


def test_a_fault_of_the_whole_file() -> None:
    assert places(faults(CITIES.replace("updated_on = 2026-02-01", "updated_on = 2020-02-01"))) == {".": "更新日期早于获取日期"}


def test_a_fault_without_chinese_is_still_said() -> None:
    assert places(faults(CITIES.replace("[[columns]]", "[columns]")))  # a table where a list belongs
    problem = faults(CITIES.replace("acquired_on = 2026-01-01", "acquired_on = 1e400"))
    assert places(problem)["acquired_on"]


@pytest.mark.parametrize(
    ("text", "path"),
    [("a = = 1", "line 1, column 5"), ('name = "x"\ngrade = ', "end of document"), ("a = 1\na = 2\n[b]", "line 2, column 6")],
)
def test_a_file_that_is_not_toml_is_located(text: str, path: str) -> None:
    problem = faults(text)
    (part,) = problem.parts
    assert path in part.fields["path"]
    assert part.words("zh").detail.startswith(part.fields["path"] + "：不是合法的 TOML")


def test_domains_are_put_in_place_and_checked() -> None:
    dataset = dataset_from_toml(VISITS)
    done = with_domains(dataset, {"CITY": [7, 8]})
    city = done.get("city")
    assert city is not None
    assert city.domain == (7, 8)
    assert done.columns[0] == dataset.columns[0]
    assert with_domains(dataset, {}) == dataset
    with pytest.raises(ValueError, match="no column ghost"):
        with_domains(dataset, {"ghost": [1]})
    with pytest.raises(ValidationError, match="each value once"):
        with_domains(dataset, {"city": [7, 7]})
    with pytest.raises(ValidationError, match="not made public"):
        with_domains(dataset, {"person": [7]})


def test_a_dataset_survives_json() -> None:
    dataset = dataset_from_toml(VISITS)
    assert Dataset.model_validate_json(dataset.model_dump_json()) == dataset


def test_the_catalogue_is_looked_up_without_case() -> None:
    visits, cities = (Snapshot(dataset=dataset_from_toml(text), version=1, digest="0" * 64) for text in (VISITS, CITIES))
    catalogue = Catalogue((visits, cities))
    assert catalogue["VISITS"] is visits
    assert list(catalogue) == ["visits", "cities"]
    assert len(catalogue) == 2
    assert "ghost" not in catalogue
    with pytest.raises(ValueError, match="one snapshot"):
        Catalogue((visits, visits))
