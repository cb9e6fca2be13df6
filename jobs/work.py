"""What is asked and what was planned, of whatever kind: all that admission, quotes, the ledger and policy know of a job."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from policies.licence import JobKind
from policies.loss import Loss
from sandbox.plan.ask import Privacy
from sandbox.plan.model import ColumnUse, Scan


class Request(Protocol):
    """What is asked, beside licence and scenario. Frozen, and equal to what its own content is read back to."""

    @property
    def kind(self) -> JobKind: ...

    @property
    def privacy(self) -> Privacy: ...

    @property
    def text(self) -> str:
        """The question in one text, as lists of jobs show it: the SQL, or a name for what runs."""
        ...

    def content(self) -> dict[str, Any]:
        """The whole of it, JSON-ready: sealed into the log, and read back by `Kind.request`."""
        ...


class Work(Protocol):
    """A request, compiled: what it reads, does with each column, and costs, from public facts alone. `sandbox.plan.model.Plan` is one."""

    @property
    def query(self) -> str:
        """The question in canonical form."""
        ...

    @property
    def delta(self) -> str:
        """Decimal text: the total delta at which its epsilon is stated."""
        ...

    @property
    def space(self) -> str: ...

    @property
    def scans(self) -> tuple[Scan, ...]: ...

    @property
    def uses(self) -> tuple[ColumnUse, ...]: ...

    @property
    def loss(self) -> Loss: ...

    @property
    def epsilon(self) -> Decimal | None: ...

    @property
    def digest(self) -> str:
        """SHA-256 in hex: equal digests over equal snapshots mean equal answers in distribution."""
        ...


R = TypeVar("R", bound=Request)
W = TypeVar("W", bound=Work)


def private_datasets(scans: Sequence[Scan]) -> list[str]:
    return [scan.dataset for scan in scans if scan.private]
