"""What an operator may choose about the privacy of a job: a loss, and bounds no wider than the catalogue's."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from policies.catalogue import Model
from sandbox.plan.model import MOST_EDGES

Positive = Annotated[Decimal, Field(gt=0, max_digits=40)]


_ACCURACY = r"^\s*(?:±|\+/-)?\s*(\d{1,15}(?:\.\d{1,9})?)\s*(%?)\s*$"


class Privacy(Model):
    """Exactly one of epsilon (at `delta`), rho, or an accuracy that a price is then found for. `delta` is the total, thresholds included;
    0 asks for pure DP: Laplace noise, which has no delta to state and can choose no private keys.

    `accuracy`: the wanted 95 % half-width of every output, "50" or "± 50" in its own unit, or "2%" of the value that the catalogue lets
    one suppose (its approximate number of rows, the middle of declared ranges).
    """

    epsilon: Positive | None = Field(default=None, le=10**9)
    rho: Positive | None = Field(default=None, le=10**9)
    accuracy: Annotated[str, Field(pattern=_ACCURACY)] | None = None
    delta: Annotated[Decimal, Field(ge=0, le=Decimal("0.5"), max_digits=40)] = Decimal("1e-8")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.epsilon, self.rho, self.accuracy].count(None) != 2:
            raise ValueError("give exactly one of epsilon, rho and accuracy")
        if self.accuracy is not None and self.wanted[0] <= 0:
            raise ValueError("an accuracy is above 0")
        return self

    @field_validator("accuracy", mode="before")
    @classmethod
    def _number(cls, given: object) -> object:
        return str(given) if isinstance(given, (int, float, Decimal)) and not isinstance(given, bool) else given

    @property
    def wanted(self) -> tuple[Fraction, bool]:
        """The accuracy as a number, and whether it is a share."""
        match = re.match(_ACCURACY, self.accuracy or "")
        assert match is not None
        return Fraction(match[1]) / (100 if match[2] else 1), bool(match[2])

    @property
    def pure(self) -> bool:
        return self.delta == 0

    @property
    def asked(self) -> str:
        """What was asked, in the words of the job."""
        return next(f"{name} = {value}" for name in ("epsilon", "rho", "accuracy") if (value := getattr(self, name)) is not None)


class Range(Model):
    low: Decimal
    high: Decimal

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Ask(Model):
    """`ranges` narrow a column's declared range (`table.column` or `column`); the two counts narrow the dataset's bounds.

    `weights` split rho over the totals by the labels of the outputs they are for (1 where not named); without them it is split so that the
    summed squared relative error to expect is least. `edges`: from how many values, at most, a quantile is chosen.
    """

    privacy: Privacy
    groups_per_unit: int | None = Field(default=None, ge=1, le=10_000)
    rows_per_group: int | None = Field(default=None, ge=1, le=1_000_000)
    ranges: dict[str, Range] = Field(default_factory=dict, max_length=100)
    edges: int | None = Field(default=None, ge=2, le=MOST_EDGES)
    weights: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict, max_length=100)
