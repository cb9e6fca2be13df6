"""Rises of a lifetime total over HTTP: proposed by one, confirmed by another."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from api.schemas.base import LOSS, Closed, LossView, example
from policies.degree import Degree


class CapStated(Closed):
    """A cap as people write it: rho and delta, or epsilon and delta."""

    rho: str | None = Field(default=None, max_length=80)
    epsilon: str | None = Field(default=None, max_length=80)
    delta: str = Field(max_length=80)

    @model_validator(mode="after")
    def _is_a_degree(self) -> Self:
        self.degree()
        return self

    def degree(self) -> Degree:
        """In whole pico-rho and atto-delta; ValidationError, located, when it is none."""
        return Degree.model_validate({name: value for name, value in self.model_dump().items() if value is not None})


class CapProposal(Closed):
    """The new cap replaces the present one, it is not added to it."""

    model_config = ConfigDict(
        json_schema_extra=example(cap={"rho": "2", "delta": "0.000001"}, reason="年度复核后提高 · after the yearly review")
    )

    cap: CapStated
    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


PROPOSED: dict[str, Any] = {
    "proposal": 57,
    "account": "dataset:visits",
    "cap": {**LOSS, "rho": "2"},
    "reason": "年度复核后提高 · after the yearly review",
    "by": "li",
    "at": "2026-11-22T08:30:00.000000Z",
    "raised_by": None,
    "raised_at": None,
}


class CapProposalView(Closed):
    """`proposal` is the entry of the log that the second person names; `raised_by` is null until one has confirmed it."""

    model_config = ConfigDict(json_schema_extra=example(**PROPOSED))

    proposal: int
    account: str
    cap: LossView
    reason: str
    by: str
    at: str
    raised_by: str | None
    raised_at: str | None


class CapProposalList(Closed):
    model_config = ConfigDict(json_schema_extra=example(proposals=[PROPOSED]))

    proposals: list[CapProposalView]
