"""A version as Croissant 1.0 (MLCommons, format specification of March 2024): JSON-LD with its context inlined, nothing to be fetched.

Files are named, not addressed: they are beside the document. Names, terms and provenance stand in schema.org's own properties.
"""

from __future__ import annotations

from typing import Any

from policies.product.facts import Facts

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = (("int", "sc:Integer"), ("uint", "sc:Integer"), ("double", "sc:Float"), ("float", "sc:Float"), ("decimal", "sc:Number"))
_TYPES_EXACT = {"bool": "sc:Boolean", "string": "sc:Text", "large_string": "sc:Text"}


def data_type(arrow: str) -> str:
    """
    >>> data_type("int64"), data_type("decimal128(18, 2)"), data_type("date32[day]"), data_type("timestamp[us]"), data_type("string")
    ('sc:Integer', 'sc:Number', 'sc:Date', 'sc:DateTime', 'sc:Text')
    """
    if arrow.startswith(("date", "timestamp")):
        return "sc:Date" if arrow.startswith("date") else "sc:DateTime"
    return _TYPES_EXACT.get(arrow) or next((kind for start, kind in _TYPES if arrow.startswith(start)), "sc:Text")


def to_croissant(facts: Facts) -> dict[str, Any]:
    description, record = facts.description, facts.record
    told = record["files"]
    table = next((form for form in ("parquet", "csv", "excel", "arrow", "json") if form in told), None)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "@id": facts.urn,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts.id,
        "alternateName": [{"@value": description.title.zh, "@language": "zh-CN"}, description.title.en],
        "description": [{"@value": description.about.zh, "@language": "zh-CN"}, description.about.en],
        "identifier": [facts.urn, *([facts.code] if facts.code else [])],
        "version": f"{facts.number}.0.0",
        "datePublished": facts.issued,
        "keywords": list(description.keywords),
        "license": f"urn:yunei:licence:{record['licence']['id']}",
        "usageInfo": [{"@value": description.terms.zh, "@language": "zh-CN"}, description.terms.en],
        "creator": {
            "@type": "sc:Organization",
            "@id": f"urn:yunei:principal:{facts.operator}",
            "name": [{"@value": facts.operator_title.zh, "@language": "zh-CN"}, facts.operator_title.en],
        },
        "isBasedOn": [
            {
                "@type": "sc:Dataset",
                "@id": f"urn:yunei:dataset:{source['dataset'].casefold()}:{source['version']}",
                "name": source["dataset"],
                "identifier": source["registration_no"],
                "creator": {"@type": "sc:GovernmentOrganization", "name": source["source_body"]["zh"]},
                "dateCreated": source["acquired_on"],
            }
            for source in record["sources"]
        ],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": form,
                "name": name,
                "contentUrl": name,
                "encodingFormat": media.partition(";")[0],
                "contentSize": f"{told[form]['bytes']} B",
                "sha256": told[form]["sha256"],
            }
            for form, (name, media) in facts.files.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "table",
                "name": "table",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"table/{column['name']}",
                        "name": column["name"],
                        "dataType": data_type(column["type"]),
                        **({"source": {"fileObject": {"@id": table}, "extract": {"column": column["name"]}}} if table else {}),
                    }
                    for column in record["table"]["columns"]
                ],
            }
        ],
    }
