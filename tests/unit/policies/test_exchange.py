"""The catalogue as DCAT and CSVW, there and back; what a foreign document lacks; finding datasets in both languages."""

from __future__ import annotations

import copy
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pyld.jsonld
import pytest

from policies.agreement import as_toml
from policies.catalogue import Column, Dataset, Snapshot, Title, dataset_from_toml, from_json_ld, search, to_csvw, to_dcat
from policies.problem import Problem
from tests.unit.policies.worlds import CITIES, VISITS

SNAPSHOTS = [Snapshot(dataset=dataset_from_toml(text), version=3, digest="a" * 64) for text in (VISITS, CITIES)]
ODD = Dataset.model_validate(
    dict(SNAPSHOTS[0].dataset)
    | {
        "name": "就诊",
        "columns": (
            *SNAPSHOTS[0].dataset.columns,
            Column(name="日期", type="date", title=Title(zh='"引号"', en="a\\b\x7f\n"), low=date(2020, 1, 1), high=date(2020, 12, 31)),
            Column(name="big", type="integer", title=Title(zh="大", en="big"), domain=(-(2**62), 0, 2**60 + 1), nullable=False),
            Column(name="flag", type="boolean", title=Title(zh="是", en="flag"), domain=(True, False)),
            Column(name="x", type="number", title=Title(zh="数", en="x"), low=Decimal("-0.5"), high=Decimal("1e3"), out_of_range="clamp"),
        ),
    }
)
ALL = [*SNAPSHOTS, Snapshot(dataset=ODD, version=1, digest="b" * 64)]


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, ensure_ascii=False))


def no_network(url: str, options: object) -> Any:
    raise AssertionError(f"{url} was asked for: the context is not inlined")


def test_a_catalogue_comes_back_from_dcat_as_it_was() -> None:
    assert from_json_ld(through_json(to_dcat(ALL))) == [snapshot.dataset for snapshot in ALL]
    for snapshot in ALL:
        assert from_json_ld(through_json(to_dcat([snapshot])["dataset"][0])) == [snapshot.dataset]


@pytest.mark.parametrize("snapshot", ALL, ids=lambda snapshot: snapshot.dataset.name)
def test_a_dataset_comes_back_from_csvw_and_from_toml_as_it_was(snapshot: Snapshot) -> None:
    assert from_json_ld(through_json(to_csvw(snapshot))) == [snapshot.dataset]
    assert dataset_from_toml(as_toml(snapshot.dataset)) == snapshot.dataset


def test_a_json_ld_processor_reads_dcat_without_the_network() -> None:
    document = through_json(to_dcat(ALL))
    (catalogue,) = pyld.jsonld.expand(document, {"documentLoader": no_network})
    dcat, terms = "http://www.w3.org/ns/dcat#", "http://purl.org/dc/terms/"
    assert catalogue["@type"] == [f"{dcat}Catalog"]
    first, *_ = catalogue[f"{dcat}dataset"]
    assert first["@id"] == "urn:yunei:dataset:visits"
    assert {each["@language"]: each["@value"] for each in first[f"{terms}title"]} == {"zh-cn": "就诊", "en": "Visits"}
    assert first[f"{terms}issued"] == [{"@type": "http://www.w3.org/2001/XMLSchema#date", "@value": "2026-01-01"}]
    assert first[f"{dcat}version"] == [{"@value": "3"}]
    (details,) = first["urn:yunei:catalogue:details"]
    assert details["@type"] == "@json"
    assert details["@value"]["unit"]["space"] == "person"
    assert pyld.jsonld.compact(catalogue, document["@context"], {"documentLoader": no_network})["dataset"][0]["identifier"] == "visits"
    assert pyld.jsonld.to_rdf(document, {"documentLoader": no_network, "format": "application/n-quads"}).count(f"<{dcat}Dataset>") == len(ALL)


def test_csvw_says_columns_as_csvw_does() -> None:
    fee = to_csvw(SNAPSHOTS[0])["tableSchema"]["columns"][2]
    assert fee["datatype"] == {"base": "decimal", "minimum": "0", "maximum": "10000.50"}
    assert fee["titles"] == {"zh-CN": "费用", "en": "fee"}
    keys = {key for key in to_csvw(SNAPSHOTS[0]) if ":" not in key}
    assert keys == {"@context", "@id", "url", "tableSchema"}, "other properties of CSVW have a prefix or are full addresses"


def spoil(path: list[Any], value: Any) -> Any:
    document = copy.deepcopy(through_json(to_dcat(SNAPSHOTS)))
    at = document
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], "."),
        ({}, "@type"),
        ({"@type": "Catalog", "dataset": []}, "dataset"),
        (spoil(["dataset", 1, "identifier"], None), "dataset[1].identifier"),
        (spoil(["dataset", 0, "title"], {"fr": "x"}), "dataset[0].zh-CN"),
        (spoil(["dataset", 0, "column", 0, "datatype"], "hexBinary"), "dataset[0].hexBinary"),
        (spoil(["dataset", 0, "details"], "[]"), "dataset[0]"),
        (spoil(["dataset", 0, "details", "grade"], "secret"), "dataset[0].grade"),
        (spoil(["dataset", 1, "details", "share"], None), "dataset[1].share"),
        (spoil(["dataset", 0, "column", 2, "details", "low"], "20000"), "dataset[0].columns[2](fee)"),
        (spoil(["dataset", 0, "modified"], "2025-01-01"), "dataset[0]."),
        (spoil(["dataset", 0, "details", "colour"], "red"), "dataset[0].colour"),
    ],
)
def test_what_is_wrong_with_a_document_is_named_and_located(document: Any, path: str) -> None:
    with pytest.raises(Problem) as caught:
        from_json_ld(document)
    assert caught.value.code == "data_catalogue_invalid"
    assert caught.value.fields["path"].startswith(path)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("", ["visits", "cities", "就诊"]),
        ("就诊", ["visits", "就诊"]),  # the title weighs as much as the name's field here; order of the catalogue decides
        ("卫生健康", ["visits", "就诊"]),
        ("民政", ["cities"]),
        ("CITIES", ["cities"]),
        ("cit", ["cities", "visits", "就诊"]),  # the beginning of a word: the name first, then columns
        ("费用", ["visits", "就诊"]),
        ("费", ["visits", "就诊"]),
        ("140000-2026-0002", ["cities"]),
        ("general-3", ["visits", "就诊"]),
        ("一般数据三级", ["visits", "就诊"]),
        ("健康 fee", ["visits", "就诊"]),
        ("健康 民政", []),
        ("海关", []),
        ("' OR 1=1 --", []),
    ],
)
def test_datasets_are_found_by_what_people_type(question: str, names: list[str]) -> None:
    found = [snapshot.dataset.name for snapshot in search(ALL, question)]
    assert sorted(found) == sorted(names)
    if question == "cit":
        assert found[0] == "cities"


def test_a_long_question_costs_no_more_than_a_short_one() -> None:
    assert search(ALL, "就" * 10**6) == []
