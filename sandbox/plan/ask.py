"""What an operator may choose about the privacy of a job: a loss, and bounds no wider than the catalogue's."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from policies.catalogue import Model

Positive = Annotated[Decimal, Field(gt=0, max_digits=40)]


class Privacy(Model):
    """Exactly one of epsilon (at `delta`) or rho. `delta` is the total, thresholds included."""

    epsilon: Positive | None = Field(default=None, le=10**9)
    rho: Positive | None = Field(default=None, le=10**9)
    delta: Annotated[Decimal, Field(gt=0, le=Decimal("0.5"), max_digits=40)] = Decimal("1e-8")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epsilon is None) == (self.rho is None):
            raise ValueError("give exactly one of epsilon and rho")
        return self


class Range(Model):
    low: Decimal
    high: Decimal

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Ask(Model):
    """`ranges` narrow a column's declared range (`table.column` or `column`); the two counts narrow the dataset's bounds."""

    privacy: Privacy
    groups_per_unit: int | None = Field(default=None, ge=1, le=10_000)
    rows_per_group: int | None = Field(default=None, ge=1, le=1_000_000)
    ranges: dict[str, Range] = Field(default_factory=dict, max_length=100)
