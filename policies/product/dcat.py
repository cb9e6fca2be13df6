"""A version as DCAT 3 with PROV-O (W3C Recommendations of 2024 and 2013) in JSON-LD, its context inlined: what it is, what it was made of, by
whom, under which licence, and the files it comes as."""

from __future__ import annotations

from typing import Any

from policies.product.facts import Facts

CONTEXT: dict[str, Any] = {
    "@version": 1.1,
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "adms": "http://www.w3.org/ns/adms#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "yunei": "urn:yunei:product:",
    "title": {"@id": "dcterms:title", "@container": "@language"},
    "description": {"@id": "dcterms:description", "@container": "@language"},
    "rights": {"@id": "dcterms:rights", "@container": "@language"},
    "name": {"@id": "foaf:name", "@container": "@language"},
    "identifier": "dcterms:identifier",
    "otherIdentifier": "adms:identifier",
    "keyword": "dcat:keyword",
    "issued": {"@id": "dcterms:issued", "@type": "xsd:dateTime"},
    "acquired": {"@id": "dcterms:issued", "@type": "xsd:date"},
    "license": {"@id": "dcterms:license", "@type": "@id"},
    "publisher": "dcterms:publisher",
    "version": "dcat:version",
    "previousVersion": {"@id": "dcat:previousVersion", "@type": "@id"},
    "wasRevisionOf": {"@id": "prov:wasRevisionOf", "@type": "@id"},
    "wasGeneratedBy": "prov:wasGeneratedBy",
    "wasAssociatedWith": {"@id": "prov:wasAssociatedWith", "@type": "@id"},
    "wasDerivedFrom": {"@id": "prov:wasDerivedFrom", "@type": "@id"},
    "used": {"@id": "prov:used", "@type": "@id"},
    "endedAtTime": {"@id": "prov:endedAtTime", "@type": "xsd:dateTime"},
    "source": {"@id": "dcterms:source"},
    "distribution": "dcat:distribution",
    "mediaType": "dcat:mediaType",
    "byteSize": {"@id": "dcat:byteSize", "@type": "xsd:nonNegativeInteger"},
    "checksum": "spdx:checksum",
    "checksumValue": "spdx:checksumValue",
    "algorithm": {"@id": "spdx:algorithm", "@type": "@id"},
    "scenario": "yunei:scenario",
    "plan": "yunei:plan",
    "logIndex": {"@id": "yunei:logIndex", "@type": "xsd:integer"},
    "loss": {"@id": "yunei:loss", "@type": "@json"},
    "Dataset": "dcat:Dataset",
    "Distribution": "dcat:Distribution",
    "Entity": "prov:Entity",
    "Activity": "prov:Activity",
    "Organization": "foaf:Organization",
}


def to_product_dcat(facts: Facts) -> dict[str, Any]:
    record, description = facts.record, facts.description
    sources = {f"urn:yunei:dataset:{each['dataset'].casefold()}:{each['version']}": each for each in record["sources"]}
    before = (
        {} if facts.number == 1 else {name: f"urn:yunei:product:{facts.id}:{facts.number - 1}" for name in ("previousVersion", "wasRevisionOf")}
    )
    return {
        "@context": CONTEXT,
        "@id": facts.urn,
        "@type": ["Dataset", "Entity"],
        "identifier": facts.id,
        **({"otherIdentifier": facts.code} if facts.code else {}),
        "title": _words(description.title.zh, description.title.en),
        "description": _words(description.about.zh, description.about.en),
        "rights": _words(description.terms.zh, description.terms.en),
        "keyword": list(description.keywords),
        "version": str(facts.number),
        **before,
        "issued": facts.issued,
        "license": f"urn:yunei:licence:{record['licence']['id']}",
        "scenario": record["scenario"],
        "publisher": {
            "@id": f"urn:yunei:principal:{facts.operator}",
            "@type": "Organization",
            "name": _words(facts.operator_title.zh, facts.operator_title.en),
        },
        "wasDerivedFrom": list(sources),
        "source": [
            {
                "@id": urn,
                "@type": ["Dataset", "Entity"],
                "identifier": each["dataset"],
                "otherIdentifier": each["registration_no"],
                "version": str(each["version"]),
                "acquired": each["acquired_on"],
                "publisher": {"@type": "Organization", "name": _words(each["source_body"]["zh"], each["source_body"]["en"])},
                "checksum": _sha256(each["digest"]),
            }
            for urn, each in sources.items()
        ],
        "wasGeneratedBy": [
            {
                "@id": f"urn:yunei:job:{part['job']}",
                "@type": "Activity",
                "identifier": part["release"],
                "used": list(sources),
                "wasAssociatedWith": f"urn:yunei:principal:{facts.operator}",
                "endedAtTime": part["published_at"],
                "plan": part["plan"],
                "logIndex": str(part["index"]),
                "loss": part["loss"],
            }
            for part in record["releases"]
        ],
        "distribution": [
            {
                "@id": f"{facts.urn}:{form}",
                "@type": "Distribution",
                "identifier": name,
                "mediaType": media.partition(";")[0],
                "byteSize": record["files"][form]["bytes"],
                "checksum": _sha256(record["files"][form]["sha256"]),
            }
            for form, (name, media) in facts.files.items()
        ],
    }


def _words(zh: str, en: str) -> dict[str, str]:
    return {"zh-CN": zh, "en": en}


def _sha256(digest: str) -> dict[str, str]:
    return {"algorithm": "spdx:checksumAlgorithm_sha256", "checksumValue": digest}
