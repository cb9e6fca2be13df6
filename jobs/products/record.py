"""What a version was made of: the document that its entry in the log commits to, as RFC 8785 canonical JSON.

    product, version     which
    files                SHA-256 and bytes of the table as released, in every form
    table                rows, columns: name, type, and of released ones mechanism, scale and bounds
    sources              datasets: version and digest, registration number, source body, date of acquisition
    licence, scenario    under which it was made, and the licence's document
    releases             index in the log, job, plan and policy (with the ids of its rules), table, bounds, price: rho, delta, epsilon
    parent               the version before it, by its document
    total                of a running total: the plan, the period, and the nodes that were added (`jobs.products.totals`)

Every product names its sources and their dates of acquisition (Shanxi regulation on government data, 2020 draft, art. 20 para. 2). The query
is not told: the plan's digest names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa
import rfc8785
from sqlalchemy import Connection, select

from infra.tables import policy_versions
from jobs import directory, rulebook
from jobs.events import ReleasePublished
from jobs.lookup import ReleaseSeen
from jobs.products.store import Copy
from jobs.products.totals import Total
from policies.decide import AUTHORITY
from policies.loss import Loss
from sandbox.finish.streams import Form


def columns_of(schema: pa.Schema) -> list[dict[str, str]]:
    """Names and types: what is the same in every version."""
    return [{"name": field.name, "type": str(field.type)} for field in schema]


def columns_sha256(schema: pa.Schema) -> str:
    return hashlib.sha256(rfc8785.dumps(columns_of(schema))).hexdigest()


def document_of(
    connection: Connection,
    product: str,
    version: int,
    parts: Sequence[tuple[ReleaseSeen, ReleasePublished]],
    schema: pa.Schema,
    files: Mapping[Form, Copy],
    parent: str | None,
    total: Total | None = None,
) -> bytes:
    """`parts`: the releases, in order, with their entries in the log; all under one licence, in one scenario. `total`: what they add up to."""
    licence = directory.licence(connection, parts[0][1].licence)
    assert licence is not None  # releases are under licences there are
    sources = {(source["dataset"], source["version"]): source for release, _ in parts for source in release.record["sources"]}
    said = {column["label"]: column for column in parts[-1][0].record["columns"]}
    changed = {} if total is None else total.columns
    content = {
        "product": product,
        "version": version,
        "files": {form: {"sha256": copy.sha256, "bytes": str(copy.bytes)} for form, copy in files.items()},
        "table": {
            "rows": str(rows_of(parts, total)),
            "columns": [
                column | _released({**said.get(column["name"], {}), **changed.get(column["name"], {})}) for column in columns_of(schema)
            ],
        },
        "sources": [sources[key] for key in sorted(sources)],
        "licence": {"id": licence.licence.id, "document": licence.document},
        "scenario": parts[0][0].record["scenario"],
        "releases": [_part(connection, release, event) for release, event in parts],
        "parent": parent,
        **({} if total is None else {"total": total.said}),
    }
    return cast(bytes, rfc8785.dumps(_plain(content)))


def rows_of(parts: Sequence[tuple[ReleaseSeen, ReleasePublished]], total: Total | None) -> int:
    """Of tables that follow each other, all; of tables that are added up, those of any."""
    return parts[0][1].rows if total is not None else sum(event.rows for _, event in parts)


def _released(column: Mapping[str, Any]) -> dict[str, Any]:
    return {name: column[name] for name in ("kind", "mechanism", "scale", "low", "high", "half_width_column") if column.get(name) is not None}


def _part(connection: Connection, release: ReleaseSeen, event: ReleasePublished) -> dict[str, Any]:
    record = release.record
    loss = Loss(event.cost.pico_rho, event.cost.atto_delta)
    epsilon = loss.epsilon(Decimal(record["delta"]))
    return {
        "release": release.id,
        "index": release.index,
        "job": event.job,
        "kind": record.get("kind", "sql"),
        "plan": event.plan_digest,
        "question": event.question,
        "policy": {"digest": event.policy_digest, "rules": _rules(connection, event.policy_digest)},
        "record": event.record,
        "table_sha256": event.table_sha256,
        "rows": str(event.rows),
        "bounds": record.get("bounds", {}),
        "loss": {
            "pico_rho": str(event.cost.pico_rho),
            "atto_delta": str(event.cost.atto_delta),
            "epsilon": None if epsilon is None else str(epsilon),
            "at_delta": str(record["delta"]),
        },
        "published_at": release.published_at,
    }


def _rules(connection: Connection, policy: str | None) -> list[str] | None:
    """The ids of the rules that decided; None when the text is not held any more."""
    if policy == AUTHORITY.digest:
        return list(AUTHORITY.rules)
    found = connection.execute(select(policy_versions.c.document).where(policy_versions.c.policy == policy).limit(1)).scalar_one_or_none()
    return None if found is None else list(rulebook.held(connection, found).rules)


def _plain(value: Any) -> Any:
    """Numbers that JSON readers might round, as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return value if isinstance(value, int) and abs(value) < 2**53 else str(value)
