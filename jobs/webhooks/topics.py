"""What may be told by webhook: one row per kind of entry.

A message says that something happened and to what, with the entry's index: whoever wants more asks the API, with its key. Nothing of the data,
and nothing that its reader could not see in the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from infra.tables import reports
from jobs.directory import Principal
from jobs.events import Recorded
from jobs.products import seen
from policies.product import SHOWN

Known = Callable[[Connection, Principal, str], bool]  # may this owner know of this subject now?


@dataclass(frozen=True, slots=True)
class Topic:
    """`kind` of the entry; `subject` is what it is about, such as a product; `data` what is told; `known` who may be told."""

    type: str
    kind: str
    zh: str
    en: str
    subject: Callable[[Recorded], str]
    data: Callable[[Recorded], dict[str, Any]]
    known: Known


def _fields(*names: str) -> Callable[[Recorded], dict[str, Any]]:
    return lambda recorded: {name: getattr(recorded.event, name) for name in names}


def _product(recorded: Recorded) -> str:
    return str(getattr(recorded.event, "product"))  # noqa: B009  # of whichever event


def _knows_product(connection: Connection, owner: Principal, product: str) -> bool:
    """Its own operator; a builder that is or was entitled, of what builders see; whoever supervises."""
    found = seen.product(connection, product)
    if found is None:
        return False
    if owner.role == "builder":
        return found.state in SHOWN and seen.entitlement(connection, product, owner.id) is not None
    return owner.role in ("supervisor", "auditor") or owner.id == found.operator


def _knows_deliveries(connection: Connection, owner: Principal, product: str) -> bool:
    """Who else has a product is no builder's to know."""
    return owner.role != "builder" and _knows_product(connection, owner, product)


def _knows_alerts(_connection: Connection, owner: Principal, _alert: str) -> bool:
    """Whoever answers for alerts, and whoever audits that."""
    return owner.role in ("supervisor", "auditor")


def _knows_report(connection: Connection, owner: Principal, report: str) -> bool:
    """Whoever supervises or audits; an operator, of its own."""
    if owner.role in ("supervisor", "auditor"):
        return True
    whose = connection.execute(select(reports.c.owner).where(reports.c.id == report)).scalar_one_or_none()
    return owner.role == "operator" and whose == owner.id


def _about_product(type: str, kind: str, zh: str, en: str, *names: str, known: Known = _knows_product) -> Topic:
    return Topic(type, kind, zh, en, _product, _fields("product", *names), known)


TOPICS: Mapping[str, Topic] = {
    topic.type: topic
    for topic in (
        _about_product("product.version_added", "product_version_added", "产品有新版本", "a product has a new version", "version", "rows"),
        _about_product("product.published", "product_published", "产品上架", "a product is published"),
        _about_product("product.deprecated", "product_deprecated", "产品不再更新", "a product is deprecated", "successor", "reason"),
        _about_product("product.recalled", "product_recalled", "产品或其版本被召回", "a product or a version is recalled", "version", "reason"),
        _about_product(
            "product.delivered",
            "product_delivered",
            "产品被交付",
            "a product is delivered",
            "version",
            "recipient",
            "format",
            known=_knows_deliveries,
        ),
        Topic(
            "alert.raised",
            "alert_raised",
            "发出告警",
            "an alert is raised",
            lambda recorded: str(getattr(recorded.event, "alert")),  # noqa: B009  # of whichever event
            _fields("alert", "rule", "severity"),
            _knows_alerts,
        ),
        Topic(
            "report.issued",
            "report_issued",
            "签发报告",
            "a report is issued",
            lambda recorded: str(getattr(recorded.event, "report")),  # noqa: B009  # of whichever event
            _fields("report", "report_kind", "period"),
            _knows_report,
        ),
    )
}
TRIAL = "webhook.test"
