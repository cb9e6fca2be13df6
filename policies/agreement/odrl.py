"""A licence as an ODRL 2.2 agreement (W3C Recommendation, ODRL Information Model and Vocabulary, 2018) in JSON-LD with its context inlined.

Nothing is fetched to read it. Terms that ODRL does not have (privacy loss, uses of a column) are in the profile `urn:yunei:odrl:`; a reader
that does not know the profile must not act on the policy, as ODRL asks. The document is an image of the licence for catalogues and other
systems; what binds is the signed document it names.
"""

from __future__ import annotations

from typing import Any

from policies.agreement.clauses import Standing
from policies.catalogue import Catalogue
from policies.licence import DatasetGrant, Licence

PROFILE = "urn:yunei:odrl:"
CONTEXT: dict[str, Any] = {
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "dcterms": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "yunei": PROFILE,
    "uid": "@id",
    "type": "@type",
    "Agreement": "odrl:Agreement",
    "AssetCollection": "odrl:AssetCollection",
    "profile": {"@id": "odrl:profile", "@type": "@id"},
    "assigner": {"@id": "odrl:assigner", "@type": "@id"},
    "assignee": {"@id": "odrl:assignee", "@type": "@id"},
    "target": {"@id": "odrl:target", "@type": "@id"},
    "action": {"@id": "odrl:action", "@type": "@vocab"},
    "permission": {"@id": "odrl:permission", "@type": "@id"},
    "prohibition": {"@id": "odrl:prohibition", "@type": "@id"},
    "obligation": {"@id": "odrl:obligation", "@type": "@id"},
    "duty": {"@id": "odrl:duty", "@type": "@id"},
    "constraint": {"@id": "odrl:constraint", "@type": "@id"},
    "leftOperand": {"@id": "odrl:leftOperand", "@type": "@vocab"},
    "operator": {"@id": "odrl:operator", "@type": "@vocab"},
    "rightOperand": {"@id": "odrl:rightOperand"},
    "unit": {"@id": "odrl:unit", "@type": "@id"},
    "title": {"@id": "dcterms:title", "@container": "@language"},
    "identifier": "dcterms:identifier",
    "isReplacedBy": {"@id": "dcterms:isReplacedBy", "@type": "@id"},
    "replaces": {"@id": "dcterms:replaces", "@type": "@id"},
    "version": {"@id": "dcterms:hasVersion"},
    "state": {"@id": "yunei:state"},
    "sha256": {"@id": "yunei:sha256"},
    "column": {"@id": "yunei:column"},
    "references": {"@id": "dcterms:references"},
}


def licence_odrl(licence: Licence, catalogue: Catalogue, standing: Standing) -> dict[str, Any]:
    """One permission per dataset, or per column where the licence names columns; term, scenario and loss are its constraints."""
    agreement: dict[str, Any] = {
        "@context": CONTEXT,
        "type": "Agreement",
        "uid": f"urn:yunei:licence:{licence.id}",
        "profile": PROFILE,
        "identifier": licence.id,
        "title": {"zh-CN": licence.title.zh, "en": licence.title.en},
        "version": str(standing.version),
        "state": standing.state,
        "sha256": standing.digest,
        "assigner": "urn:yunei:bureau",
        "assignee": f"urn:yunei:principal:{licence.operator}",
        "permission": [rule for grant in licence.datasets for rule in _permissions(licence, grant, catalogue)],
        "prohibition": [
            {"target": _dataset(grant), "action": action} for grant in licence.datasets for action in ("odrl:distribute", "odrl:extract")
        ],
    }
    if licence.decision_document is not None:
        agreement["references"] = licence.decision_document.number
    if licence.renews:
        agreement["replaces"] = f"urn:yunei:licence:{licence.renews}"
    if licence.disposal.products == "withdraw":
        end = {"leftOperand": "odrl:dateTime", "operator": "odrl:gteq", "rightOperand": _time(licence.valid_until.isoformat())}
        agreement["obligation"] = [{"action": "odrl:delete", "target": f"urn:yunei:licence:{licence.id}:results", "constraint": [end]}]
    return agreement


def _dataset(grant: DatasetGrant) -> str:
    return f"urn:yunei:dataset:{grant.dataset.casefold()}"


def _permissions(licence: Licence, grant: DatasetGrant, catalogue: Catalogue) -> list[dict[str, Any]]:
    constraints = _constraints(licence)
    duties = [{"action": "odrl:obtainConsent", "references": grant.consent}] if grant.consent else []
    duties += [{"action": "yunei:secondApproval", "references": grant.second_approval}] if grant.second_approval else []
    base: dict[str, Any] = {"target": _dataset(grant), "constraint": constraints, **({"duty": duties} if duties else {})}
    if grant.columns is None:
        dataset = catalogue[grant.dataset].dataset if grant.dataset in catalogue else None
        uses = sorted({use for column in dataset.columns for use in column.uses}) if dataset else []
        return [base | {"action": ["odrl:aggregate", *(f"yunei:{use}" for use in uses)]}]
    return [base | {"column": column.name, "action": [f"yunei:{use}" for use in column.uses]} for column in grant.columns]


def _constraints(licence: Licence) -> list[dict[str, Any]]:
    def bound(left: str, amount: object) -> dict[str, Any]:
        return {"leftOperand": left, "operator": "odrl:lteq", "rightOperand": {"@value": str(amount), "@type": "xsd:decimal"}}

    return [
        {"leftOperand": "odrl:dateTime", "operator": "odrl:gteq", "rightOperand": _time(licence.valid_from.isoformat())},
        {"leftOperand": "odrl:dateTime", "operator": "odrl:lt", "rightOperand": _time(licence.valid_until.isoformat())},
        {"leftOperand": "odrl:purpose", "operator": "odrl:isAnyOf", "rightOperand": list(licence.scenarios)},
        {"leftOperand": "yunei:jobKind", "operator": "odrl:isAnyOf", "rightOperand": list(licence.job_kinds)},
        bound("yunei:rhoPerJob", f"{licence.per_job.loss.rho:f}"),
        bound("yunei:deltaPerJob", f"{licence.per_job.loss.delta:f}"),
        bound("yunei:rhoTotal", f"{licence.total.loss.rho:f}"),
        bound("yunei:deltaTotal", f"{licence.total.loss.delta:f}"),
    ]


def _time(text: str) -> dict[str, str]:
    return {"@value": text, "@type": "xsd:dateTime"}
