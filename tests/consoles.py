"""The console's pages by path, with the acts of which one opens it: what is visited as everybody, and measured."""

from __future__ import annotations

from typing import Protocol

from api.console.said import NAVIGATION
from policies.roles import ROLES, reach


class Places(Protocol):
    """What there is to look at."""

    @property
    def job(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def review(self) -> str: ...
    @property
    def held(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def licence(self) -> str: ...


def pages_of(town: Places) -> dict[str, tuple[str, ...]]:
    places = {place.path: place.acts for group in NAVIGATION for place in group.places}
    return {
        **places,
        f"/console/jobs/{town.job}": ("job_list",),
        f"/console/releases/{town.release}": ("release_show",),
        f"/console/licences/{town.licence}": ("licence_list",),
        f"/console/budgets/licence:{town.licence}": ("account_list",),
        "/console/datasets/visits": ("dataset_list",),
        "/console/register/3": ("events_read",),
        f"/console/products/{town.product}": ("product_list",),
        f"/console/reviews/{town.review}": ("review_list",),
        f"/console/workbench/{town.held}": ("review_look",),
        "/console/reports/preview?kind=incident&period=2026": ("report_preview",),
        "/console/exact": ("job_check",),
        "/console/ask/model": ("job_check",),
        "/console/ask/synthetic": ("job_check",),
        "/console/ask/program": ("job_check",),
        "/console/products/new": ("product_make",),
        f"/console/traces?product={town.product}": ("product_trace",),
        "/console/rules?begin=general": ("pack_show",),
        f"/console/ask?job={town.job}": ("job_check",),
    }


def opens(principal: str, acts: tuple[str, ...]) -> bool:
    """Whether the role that the principal is named after may do one of these."""
    role = principal.rstrip("-0123456789")
    assert role in ROLES
    return any(reach(role, act) is not None for act in acts)  # type: ignore[arg-type]  # acts of the table
