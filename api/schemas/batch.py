"""Many queries priced together."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import LOSS, SQL_LIMIT, Closed, LossView, ProblemView, decimal_text, example
from api.schemas.jobs import Quote
from policies.licence import Identifier
from sandbox.plan.ask import Ask, Privacy, Range
from sandbox.plan.batch import MOST_QUERIES

_COUNT = "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male"


class BatchQuery(Closed):
    """One query of a batch, with the bounds of a job."""

    model_config = ConfigDict(json_schema_extra=example(sql=_COUNT))

    sql: Annotated[str, StringConstraints(min_length=1, max_length=SQL_LIMIT)] = Field(description="one query; see the SQL reference")
    groups_per_unit: int | None = Field(default=None, ge=1, le=10_000, description="keys one unit may touch; at most the dataset's bound")
    rows_per_group: int | None = Field(
        default=None, ge=1, le=1_000_000, description="rows one unit may have in a key; at most the dataset's bound"
    )
    ranges: dict[str, Range] = Field(default_factory=dict, max_length=100, description="narrower ranges, by column or table.column")
    edges: int | None = Field(default=None, ge=2, le=512, description="from how many values, at most, a quantile is chosen")
    weights: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict, max_length=100, description="how this query's rho is split, by output label"
    )

    def ask(self, privacy: Privacy) -> Ask:
        return Ask(privacy=privacy, **{name: getattr(self, name) for name in type(self).model_fields if name != "sql"})


class BatchRequest(Closed):
    """Up to 100 queries under one licence and scenario, and one privacy loss for all of them."""

    model_config = ConfigDict(
        json_schema_extra=example(
            licence="lic-health-2026-01",
            scenario="chronic-disease",
            privacy={"epsilon": "1", "delta": "0.00000001"},
            queries=[{"sql": _COUNT}, {"sql": "SELECT COUNT(*) AS n FROM nafld1"}],
        )
    )

    licence: Identifier = Field(description="id of the licence the jobs will run under")
    scenario: Identifier = Field(description="the scenario the answers are for; one of the licence's")
    privacy: Privacy = Field(description="epsilon at delta, or rho, for all queries together; or the accuracy that each is priced for")
    queries: list[BatchQuery] = Field(min_length=1, max_length=MOST_QUERIES)


class SpendView(Closed):
    """A job's `privacy`: what is null is left out of it."""

    model_config = ConfigDict(json_schema_extra=example(rho="0.0123", epsilon=None, accuracy=None, delta="0.00000001"))

    rho: str | None
    epsilon: str | None
    accuracy: str | None
    delta: str

    @classmethod
    def of(cls, privacy: Privacy) -> SpendView:
        named = {name: None if (value := getattr(privacy, name)) is None else decimal_text(value) for name in ("rho", "epsilon")}
        return cls(**named, accuracy=privacy.accuracy, delta=decimal_text(privacy.delta))


class BatchEntry(Closed):
    model_config = ConfigDict(json_schema_extra=example(privacy=None, quote=None, problem=None))

    privacy: SpendView | None = Field(description="what to submit the query with: its share; null: it cannot be asked")
    quote: Quote | None
    problem: ProblemView | None = Field(description="why the query cannot be asked, or not at its share")


class BatchQuote(Closed):
    """Each query's share and quote. Nothing was read, spent or logged, and nothing is reserved."""

    model_config = ConfigDict(json_schema_extra=example(price=LOSS, queries=[]))

    price: LossView = Field(description="all queries that can be asked, together, read at the delta of the request")
    queries: list[BatchEntry] = Field(description="in the order of the request")
