"""What a kind of job is to the walk: how its request becomes a plan, and how the plan becomes an answer.

The walk (`jobs/release.py`), admission, quotes and policy know these protocols only; each kind is a module of `jobs.kinds`, and a row in
`jobs.kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from policies.catalogue import Catalogue
from policies.licence import JobKind
from policies.loss import Loss
from sandbox.finish.finish import Released
from sandbox.plan.ask import Privacy
from sandbox.plan.model import ColumnUse, Scan

if TYPE_CHECKING:
    from infra.settings import Settings
    from jobs.office import Office
    from jobs.order import Admitted


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
T = TypeVar("T")


class Kind(Protocol[R, W, T]):
    """The hops that differ from kind to kind. `T` is what comes over the wall: exact, and redacted when printed."""

    @property
    def name(self) -> JobKind: ...

    def request(self, content: Mapping[str, Any]) -> R:
        """A request from its own content, as sealed."""
        ...

    def compile(self, office: Office, request: R, catalogue: Catalogue) -> W:
        """Hop 4: plan and price from public facts. Raises what is wrong with the request."""
        ...

    def check(self, plan: W) -> None:
        """Hop 4: whatever else must hold before anything is charged, such as OpenDP's map agreeing with the price. Reads no row."""
        ...

    def expected_ms(self, settings: Settings, plan: W, catalogue: Catalogue) -> float:
        """What the job should take at most, from declared sizes and the plan: its public slot follows from it."""
        ...

    def readable(self, office: Office, plan: W) -> None:
        """Hop 7, before reading: raises when the snapshots cannot be opened as they were ingested."""
        ...

    def totals(self, office: Office, job: Admitted[W]) -> T:
        """Hops 7 and 8, behind the wall. Raises nothing that depends on rows but in the way of `hops.constant_failure`. The same job gives the
        same totals when it is run again."""
        ...

    def drawn(self, office: Office, job: Admitted[W], totals: T) -> Released:
        """Hop 9: noise, and the answer made of it."""
        ...

    def about(self, plan: W) -> dict[str, Any]:
        """What the release record says of this kind's answer beside what every record says: bounds, for one. JSON-ready, public."""
        ...

    def explain(self, plan: W) -> dict[str, Any]:
        """The quote's explanation: `zh`, `en` and whatever else is of use, JSON-ready."""
        ...

    def dummy(self, office: Office, plan: W, catalogue: Catalogue) -> Released:
        """The job on rows invented from the catalogue: free, and of the right shape."""
        ...


def private_datasets(scans: Sequence[Scan]) -> list[str]:
    return [scan.dataset for scan in scans if scan.private]
