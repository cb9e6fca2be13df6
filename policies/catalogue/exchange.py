"""The catalogue as other catalogues read it, and back: DCAT 3 in JSON-LD (W3C Recommendation, 2024) and CSVW metadata (W3C, 2015).

What DCAT or CSVW have a term for is said in it. The rest of a dataset's entry (privacy unit, bounds, uses of a column, …) travels whole in
`yunei:details`, a JSON literal, so that reading a document we wrote gives the same entry, and one from elsewhere is refused with the list of
what it lacks. Contexts are inlined: nothing is fetched. There are no distributions: the data does not leave.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from policies.catalogue.base import ColumnType
from policies.catalogue.dataset import Dataset, Snapshot, data_catalogue_invalid
from policies.reasons import Reason, explained, reasons_of

YUNEI = "urn:yunei:catalogue:"
RDF_JSON = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"
CONTEXT: dict[str, Any] = {
    "@version": 1.1,
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "adms": "http://www.w3.org/ns/adms#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "yunei": YUNEI,
    "Catalog": "dcat:Catalog",
    "Dataset": "dcat:Dataset",
    "dataset": {"@id": "dcat:dataset", "@type": "@id"},
    "identifier": "dcterms:identifier",
    "otherIdentifier": "adms:identifier",
    "title": {"@id": "dcterms:title", "@container": "@language"},
    "publisher": {"@id": "dcterms:publisher"},
    "name": {"@id": "foaf:name", "@container": "@language"},
    "issued": {"@id": "dcterms:issued", "@type": "xsd:date"},
    "modified": {"@id": "dcterms:modified", "@type": "xsd:date"},
    "accessRights": "dcterms:accessRights",
    "rights": {"@id": "dcterms:rights", "@container": "@language"},
    "provenance": "dcterms:provenance",
    "version": "dcat:version",
    "checksum": "spdx:checksum",
    "checksumValue": "spdx:checksumValue",
    "algorithm": {"@id": "spdx:algorithm", "@type": "@id"},
    "column": {"@id": "csvw:column", "@container": "@list"},
    "columnName": "csvw:name",
    "columnTitle": {"@id": "csvw:title", "@container": "@language"},
    "datatype": "csvw:datatype",
    "required": {"@id": "csvw:required", "@type": "xsd:boolean"},
    "details": {"@id": "yunei:details", "@type": "@json"},
}
DATATYPES: Mapping[ColumnType, str] = {
    "integer": "integer", "decimal": "decimal", "number": "double", "text": "string", "date": "date", "timestamp": "dateTime",
    "boolean": "boolean",
}  # fmt: skip
_TYPES = {datatype: kind for kind, datatype in DATATYPES.items()}
_SAID = ("name", "title", "registration_no", "source_body", "acquired_on", "updated_on", "columns")  # by terms of DCAT
_COLUMN_SAID = ("name", "title", "type", "nullable", "low", "high")  # by terms of CSVW


def to_dcat(snapshots: Iterable[Snapshot]) -> dict[str, Any]:
    """The catalogue as one `dcat:Catalog`."""
    title = {"zh-CN": "公共数据授权运营目录", "en": "Catalogue of public data under authorised operation"}
    return {
        "@context": CONTEXT,
        "@id": "urn:yunei:catalogue",
        "@type": "Catalog",
        "title": title,
        "dataset": [_dcat(snapshot) for snapshot in snapshots],
    }


def _dcat(snapshot: Snapshot) -> dict[str, Any]:
    dataset = snapshot.dataset
    data = dataset.model_dump(mode="json")
    return {
        "@id": f"urn:yunei:dataset:{dataset.name.casefold()}",
        "@type": "Dataset",
        "identifier": dataset.name,
        "otherIdentifier": dataset.registration_no,
        "title": _words(data["title"]),
        "publisher": {"name": _words(data["source_body"])},
        "issued": data["acquired_on"],
        "modified": data["updated_on"],
        "accessRights": dataset.share.attribute,
        "rights": _words(data["share"]["reason"]),
        "provenance": dataset.share.basis,
        "version": str(snapshot.version),
        "checksum": {"algorithm": "spdx:checksumAlgorithm_sha256", "checksumValue": snapshot.digest},
        "column": [
            {
                "columnName": column["name"],
                "columnTitle": _words(column["title"]),
                "datatype": DATATYPES[column["type"]],
                "required": not column["nullable"],
                "details": _rest(column, ("name", "title", "type", "nullable")),
            }
            for column in data["columns"]
        ],
        "details": _rest(data, _SAID),
    }


def to_csvw(snapshot: Snapshot) -> dict[str, Any]:
    """One dataset as CSVW metadata of a table; there is no file at its `url`."""
    dataset = snapshot.dataset
    data = dataset.model_dump(mode="json")
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "und"}],
        "@id": f"urn:yunei:dataset:{dataset.name.casefold()}",
        "url": f"urn:yunei:dataset:{dataset.name.casefold()}:table",
        "dc:identifier": dataset.name,
        "dc:title": _values(data["title"]),
        "dc:publisher": _values(data["source_body"]),
        "dc:issued": {"@value": data["acquired_on"], "@type": "xsd:date"},
        "dc:modified": {"@value": data["updated_on"], "@type": "xsd:date"},
        f"{YUNEI}registration": dataset.registration_no,
        f"{YUNEI}details": _json_literal(_rest(data, _SAID)),
        "tableSchema": {"columns": [_csvw_column(column) for column in data["columns"]]},
    }


def _csvw_column(column: Mapping[str, Any]) -> dict[str, Any]:
    datatype: dict[str, Any] = {"base": DATATYPES[column["type"]]}
    datatype |= {term: column[name] for name, term in (("low", "minimum"), ("high", "maximum")) if column[name] is not None}
    return {
        "name": column["name"],
        "titles": _words(column["title"]),
        "datatype": datatype,
        "required": not column["nullable"],
        f"{YUNEI}details": _json_literal(_rest(column, _COLUMN_SAID)),
    }


def from_json_ld(document: Any) -> list[Dataset]:
    """The datasets of a DCAT catalogue or dataset, or of CSVW metadata, in the shape written here (compacted with the same context). Raises
    `data_catalogue_invalid` with one located part per fault."""
    if not isinstance(document, dict):
        raise _fault(".", "须为 JSON-LD 对象", "this must be a JSON-LD object")
    if "tableSchema" in document:
        given = [_entry("", document, _csvw_entry)]
    elif document.get("@type") == "Dataset":
        given = [_entry("", document, _dcat_entry)]
    elif isinstance(document.get("dataset"), list):
        given = [_entry(f"dataset[{place}]", each, _dcat_entry) for place, each in enumerate(document["dataset"])]
    else:
        raise _fault(
            "@type", "须为 DCAT 目录、DCAT 数据集或 CSVW 表的元数据", "this is no DCAT catalogue or dataset, nor CSVW metadata of a table"
        )
    if not given:
        raise _fault("dataset", "目录中没有数据集", "the catalogue has no dataset")
    made, faults = [], list[Reason]()
    for place, entry in enumerate(given):
        try:
            made.append(Dataset.model_validate(entry))
        except ValidationError as error:
            where = f"dataset[{place}]." if len(given) > 1 else ""
            faults += [Reason(where + reason.path, reason.zh, reason.en) for reason in reasons_of(error, entry)]
    if faults:
        raise explained(data_catalogue_invalid, faults)
    return made


def _entry(place: str, document: Any, read: Any) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], read(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = str(error.args[0]) if isinstance(error, KeyError) else ""
        path = f"{place}.{what}".strip(".") or "."
        raise _fault(path, "缺少此项，或形式不符", "this is missing or not of the shape expected") from None


def _dcat_entry(document: Mapping[str, Any]) -> dict[str, Any]:
    columns = [
        _json_of(column["details"])
        | {
            "name": column["columnName"],
            "title": _title(column["columnTitle"]),
            "type": _TYPES[column["datatype"]],
            "nullable": column.get("required") is not True,
        }
        for column in document["column"]
    ]
    return _json_of(document["details"]) | {
        "name": document["identifier"],
        "registration_no": document["otherIdentifier"],
        "title": _title(document["title"]),
        "source_body": _title(document["publisher"]["name"]),
        "acquired_on": document["issued"],
        "updated_on": document["modified"],
        "columns": columns,
    }


def _csvw_entry(document: Mapping[str, Any]) -> dict[str, Any]:
    columns = []
    for column in document["tableSchema"]["columns"]:
        datatype = column["datatype"]
        bounds = {name: datatype[term] for name, term in (("low", "minimum"), ("high", "maximum")) if term in datatype}
        columns.append(
            _json_of(column[f"{YUNEI}details"])
            | bounds
            | {
                "name": column["name"],
                "title": _title(column["titles"]),
                "type": _TYPES[datatype["base"]],
                "nullable": column.get("required") is not True,
            }
        )
    return _json_of(document[f"{YUNEI}details"]) | {
        "name": document["dc:identifier"],
        "registration_no": document[f"{YUNEI}registration"],
        "title": _title({each["@language"]: each["@value"] for each in document["dc:title"]}),
        "source_body": _title({each["@language"]: each["@value"] for each in document["dc:publisher"]}),
        "acquired_on": document["dc:issued"]["@value"],
        "updated_on": document["dc:modified"]["@value"],
        "columns": columns,
    }


def _words(title: Mapping[str, str]) -> dict[str, str]:
    return {"zh-CN": title["zh"], "en": title["en"]}


def _values(title: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"@value": text, "@language": tag} for tag, text in _words(title).items()]


def _title(words: Mapping[str, str]) -> dict[str, str]:
    return {"zh": words["zh-CN"], "en": words["en"]}


def _rest(data: Mapping[str, Any], said: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in said and value is not None}


def _json_literal(value: Any) -> dict[str, str]:
    return {"@value": json.dumps(value, ensure_ascii=False, sort_keys=True), "@type": RDF_JSON}


def _json_of(literal: Any) -> dict[str, Any]:
    value = json.loads(literal["@value"]) if isinstance(literal, dict) and set(literal) == {"@value", "@type"} else literal
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _fault(path: str, zh: str, en: str) -> Exception:
    return explained(data_catalogue_invalid, [Reason(path, zh, en)])
