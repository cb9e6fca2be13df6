"""What a kind of job does at the hops of the walk where kinds differ.

The walk (`jobs/release.py`), admission, quotes and policy know this protocol and those of `jobs.work` only; each kind is a module of
`jobs.kinds`, and a row in `jobs.kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jobs.order import Admitted
from jobs.work import Request, Work
from policies.catalogue import Catalogue
from policies.licence import JobKind
from sandbox.finish.finish import Released

if TYPE_CHECKING:
    from infra.settings import Settings
    from jobs.office import Office

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
