"""What a job is before and after admission: the order as handed in, and the admitted job with the plan it was admitted with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from jobs.queue import Lease
from jobs.slots import Slots
from policies.catalogue import Catalogue
from sandbox.plan.ask import Ask
from sandbox.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as authenticated."""

    id: str
    role: str
    status: str


@dataclass(frozen=True, slots=True)
class Order:
    """A closed job request. `idempotency` is a digest over caller and Idempotency-Key, or None."""

    by: Asker
    licence: str
    scenario: str
    sql: str
    ask: Ask
    idempotency: str | None = None

    def content(self) -> dict[str, Any]:
        """What was asked, JSON-ready: what two requests with one Idempotency-Key must share."""
        return {"licence": self.licence, "scenario": self.scenario, "sql": self.sql, "ask": self.ask.model_dump(mode="json")}

    def sealed(self, versions: dict[str, int]) -> bytes:
        """The bytes the log commits to: who, what, and on which versions of the data, so that the same plan can be made again."""
        whole = {"by": self.by.id, "versions": versions, **self.content()}
        return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unsealed(cls, by: Asker, sealed: bytes, idempotency: str | None) -> tuple[Order, dict[str, int]]:
        """The order in sealed bytes, and the versions of the data it was admitted on."""
        kept = json.loads(sealed)
        order = cls(by, kept["licence"], kept["scenario"], kept["sql"], Ask.model_validate(kept["ask"]), idempotency)
        return order, dict(kept["versions"])

    def same_as(self, sealed: bytes) -> bool:
        kept = json.loads(sealed)
        return {name: kept[name] for name in self.content()} == self.content()


def idempotency_digest(principal: str, key: str) -> str:
    """Names one Idempotency-Key of one caller; the key itself is kept nowhere."""
    return hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job that was admitted and is ours to carry. `catalogue` holds the versions it was admitted on, whatever is current now."""

    id: str
    order: Order
    plan: Plan
    catalogue: Catalogue
    question: str
    charge: str
    slots: Slots
    lease: Lease
    state: str
