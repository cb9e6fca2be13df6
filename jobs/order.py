"""What a job is before and after admission: the order as handed in, and the admitted job with the plan it was admitted with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from jobs.ledger import accounts_of
from jobs.queue import Lease
from jobs.slots import Slots
from jobs.work import Request, W, Work, private_datasets
from policies.catalogue import Catalogue, Window

if TYPE_CHECKING:
    from jobs.office import Office


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
    request: Request
    idempotency: str | None = None

    def content(self) -> dict[str, Any]:
        """What was asked, JSON-ready: what two requests with one Idempotency-Key must share."""
        kind: dict[str, Any] = {} if self.request.kind == "sql" else {"kind": self.request.kind}
        return {"licence": self.licence, "scenario": self.scenario, **kind, **self.request.content()}

    def sealed(self, versions: dict[str, int]) -> bytes:
        """The bytes the log commits to: who, what, and on which versions of the data, so that the same plan can be made again."""
        whole = {"by": self.by.id, "versions": versions, **self.content()}
        return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    def same_as(self, sealed: bytes) -> bool:
        kept = json.loads(sealed)
        return {name: kept.get(name) for name in self.content()} == self.content()


def idempotency_digest(principal: str, key: str) -> str:
    """Names one Idempotency-Key of one caller; the key itself is kept nowhere."""
    return hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Admitted(Generic[W]):
    """A job that was admitted and is ours to carry. `catalogue` holds the versions it was admitted on, whatever is current now."""

    id: str
    order: Order
    plan: W
    catalogue: Catalogue
    question: str
    charge: str
    slots: Slots
    lease: Lease
    state: str

    @property
    def accounts(self) -> tuple[str, ...]:
        return accounts_named(self.plan, self.order)

    def seed(self, office: Office) -> int:
        """Keys what the job chooses pseudo-randomly behind the wall: secret, below 2**64, the job's own, the same in a second run."""
        return int.from_bytes(office.key_ring.derive("groups", self.id.encode())[:8], "big")


def accounts_named(plan: Work, order: Order) -> tuple[str, ...]:
    """Every account that a charge for the plan names."""
    windows: dict[str, list[Window | None]] = {}
    for scan in plan.scans:
        if scan.private:
            windows.setdefault(scan.dataset.casefold(), []).append(scan.window)
    return accounts_of(space=plan.space, datasets=private_datasets(plan.scans), licence=order.licence, operator=order.by.id, windows=windows)
