"""The authorised-operation licence (授权运营协议): who may do what with which data, in which scenario, how much, until when.

Serves Shanxi Big Data Regulation (2020) and Implementing Opinion 2025-3: authorisation by scenario, a term, and supervision of use.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from policies.catalogue import Model, Name, Title, Use
from policies.loss import Loss

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
JobKind = Literal["sql"]
LicenceState = Literal["active", "suspended", "revoked"]


class Degree(Model):
    """How much: zCDP losses, as integers (pico-rho, atto-delta)."""

    pico_rho: int = Field(ge=0, le=10**18)
    atto_delta: int = Field(ge=0, le=10**18)

    @property
    def loss(self) -> Loss:
        return Loss(self.pico_rho, self.atto_delta)


class ColumnGrant(Model):
    name: Name
    uses: tuple[Use, ...] = Field(min_length=1)


class DatasetGrant(Model):
    """A dataset in scope. `columns` None grants every column with the uses its catalogue entry allows; a grant never widens those."""

    dataset: Name
    columns: tuple[ColumnGrant, ...] | None = None

    def allows(self, column: str, use: Use) -> bool:
        if self.columns is None:
            return True
        return any(grant.name.casefold() == column.casefold() and use in grant.uses for grant in self.columns)


class Licence(Model):
    id: Identifier
    operator: Identifier
    title: Title
    datasets: tuple[DatasetGrant, ...] = Field(min_length=1)
    scenarios: tuple[Identifier, ...] = Field(min_length=1)
    job_kinds: tuple[JobKind, ...] = ("sql",)
    per_job: Degree
    total: Degree
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    decision_document: str = Field(min_length=1, description="三重一大集体决策文件号")
    disposal: Literal["delete-results", "keep-results"] = "keep-results"
    results_owner: Literal["operator", "bureau", "shared"] = "operator"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid_until <= self.valid_from:
            raise ValueError(f"licence {self.id}: it ends before it starts")
        if not self.total.loss.covers(self.per_job.loss):
            raise ValueError(f"licence {self.id}: one job may not spend more than the total")
        names = [grant.dataset.casefold() for grant in self.datasets]
        if len(set(names)) != len(names):
            raise ValueError(f"licence {self.id}: a dataset is granted once")
        return self

    def grant_on(self, dataset: str) -> DatasetGrant | None:
        return next((grant for grant in self.datasets if grant.dataset.casefold() == dataset.casefold()), None)

    def in_force(self, now: datetime) -> bool:
        return self.valid_from <= now < self.valid_until
