"""The kinds of job, as one table. Whoever adds a kind writes a module here and a row below; policies say who may use it."""

from __future__ import annotations

import json
from typing import Any

from jobs.kind import Kind
from jobs.kinds.exact import ExactKind
from jobs.kinds.model import ModelKind
from jobs.kinds.program import ProgramKind
from jobs.kinds.sql import SqlKind
from jobs.kinds.synthetic import SyntheticKind
from jobs.order import Asker, Order
from jobs.work import Request, Work
from policies.licence import JobKind

KINDS: dict[JobKind, Kind[Any, Any, Any]] = {
    "sql": SqlKind(),
    "exact": ExactKind(),
    "synthetic": SyntheticKind(),
    "model": ModelKind(),
    "program": ProgramKind(),
}

REVIEWED: frozenset[JobKind] = frozenset({"exact"})  # people let out what these give, or do not

__all__ = ["KINDS", "REVIEWED", "Kind", "Request", "Work", "kind_of", "unsealed"]


def kind_of(order: Order) -> Kind[Any, Any, Any]:
    return KINDS[order.request.kind]


def unsealed(by: Asker, sealed: bytes, idempotency: str | None) -> tuple[Order, dict[str, int]]:
    """The order in sealed bytes (`Order.sealed`), and the versions of the data it was admitted on."""
    kept = json.loads(sealed)
    request = KINDS[kept.get("kind", "sql")].request(kept)
    return Order(by, kept["licence"], kept["scenario"], request, idempotency), dict(kept["versions"])
