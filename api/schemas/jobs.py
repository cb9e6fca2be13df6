"""Jobs over HTTP: asked, priced, tried on dummy rows, followed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from api.problems import KIND_TAG
from api.schemas.base import LOSS, SQL_LIMIT, Closed, LossView, ProblemView, example
from api.schemas.exact import ExactJob
from api.schemas.fees import FeeQuoteView
from api.schemas.model import ModelJob
from api.schemas.register import AccountView
from api.schemas.runs import ProgramJob
from api.schemas.synthetic import SyntheticJob
from jobs.kinds.sql import SqlRequest
from policies.licence import Identifier, JobKind
from sandbox.plan.ask import Ask, Privacy, Range

JOB = {
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
    "privacy": {"epsilon": "0.5", "delta": "0.00000001"},
}


class JobRequest(Closed):
    """One body for `check`, `dummy` and the real run. What it does not say, the catalogue does."""

    kind: Literal["sql"] = "sql"

    model_config = ConfigDict(json_schema_extra=example(**JOB))

    licence: Identifier = Field(description="id of the licence the job runs under")
    scenario: Identifier = Field(description="the scenario the answer is for; one of the licence's")
    sql: Annotated[str, StringConstraints(min_length=1, max_length=SQL_LIMIT)] = Field(description="one SELECT; see the SQL reference")
    privacy: Privacy = Field(description="epsilon at delta, or rho: what the job may spend; or the accuracy to price")
    groups_per_unit: int | None = Field(default=None, ge=1, le=10_000, description="keys one unit may touch; at most the dataset's bound")
    rows_per_group: int | None = Field(
        default=None, ge=1, le=1_000_000, description="rows one unit may have in a key; at most the dataset's bound"
    )
    ranges: dict[str, Range] = Field(default_factory=dict, max_length=100, description="narrower ranges, by column or table.column")
    edges: int | None = Field(default=None, ge=2, le=512, description="from how many values, at most, a quantile is chosen")
    weights: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict, max_length=100, description="how rho is split, by output label; without it, for the least relative error"
    )

    def request(self) -> SqlRequest:
        return SqlRequest(self.sql, self.ask())

    def ask(self) -> Ask:
        return Ask(
            privacy=self.privacy,
            groups_per_unit=self.groups_per_unit,
            rows_per_group=self.rows_per_group,
            ranges=self.ranges,
            edges=self.edges,
            weights=self.weights,
        )


def _kind(body: Any) -> str:
    """The tag of a body that is checked, or of one that is made: `sql` where it says none."""
    return KIND_TAG + str(body.get("kind", "sql") if isinstance(body, dict) else getattr(body, "kind", "sql"))


# One body for each kind of job: a schema with the literal `kind`, licence, scenario, privacy, and `request()`; here with its tag.
AnyJob = Annotated[
    Annotated[JobRequest, Tag(KIND_TAG + "sql")]
    | Annotated[SyntheticJob, Tag(KIND_TAG + "synthetic")]
    | Annotated[ProgramJob, Tag(KIND_TAG + "program")]
    | Annotated[ModelJob, Tag(KIND_TAG + "model")]
    | Annotated[ExactJob, Tag(KIND_TAG + "exact")],
    Discriminator(_kind),
]


class Quote(Closed):
    """What a job would cost and how exact it would be. Nothing was read, spent or logged."""

    model_config = ConfigDict(
        json_schema_extra=example(
            price=LOSS,
            answered=False,
            slot_ms=250,
            accounts=[],
            explanation={"zh": "……", "en": "…"},
            fee=None,
        )
    )

    price: LossView
    answered: bool = Field(description="true: the same question was released before, so the real run is free and gives the same bytes")
    slot_ms: int = Field(description="milliseconds after admission at which the answer becomes visible, chosen from public facts")
    accounts: list[AccountView] = Field(description="every account the charge names, as they are before it")
    explanation: dict[str, Any] = Field(description="bounds and where they come from, sensitivity, mechanism, expected error, emitted SQL")
    fee: FeeQuoteView | None = Field(default=None, description="what the tariff charges; null: there is none, or the answer is there already")


class ColumnView(Closed):
    label: str
    kind: Literal["key", "value", "half_width"]
    mechanism: str | None = None
    scale: float | None = None
    low: float | None = None
    high: float | None = None
    half_width_column: str | None = None


class DummyAnswer(Closed):
    """The job on invented rows, made from the catalogue alone: right columns and types, meaningless values, no cost."""

    model_config = ConfigDict(
        json_schema_extra=example(
            dummy=True,
            columns=[{"label": "male", "kind": "key"}, {"label": "n", "kind": "value", "mechanism": "discrete Gaussian"}],
            rows=[{"male": 0, "n": 812, "n__half_width": 16.5}],
        )
    )

    dummy: Literal[True] = True
    columns: list[ColumnView]
    rows: list[dict[str, Any]]


JOB_VIEW = {
    "id": "job-7k2mq4ztx3bd",
    "state": "running",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "kind": "sql",
    "sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
    "request": {"sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male", "ask": {"privacy": {"epsilon": "0.5", "delta": "0.00000001"}}},
    "submitted_at": "2026-11-22T08:30:00.000000Z",
    "slot_ms": 250,
    "price": LOSS,
    "reused": False,
    "release": None,
    "problem": None,
}


class JobView(Closed):
    """A job as its operator sees it. Until its public slot it is `running`, whatever happened to it."""

    model_config = ConfigDict(json_schema_extra=example(**JOB_VIEW))

    id: str
    state: Literal["running", "held", "returned", "published", "cancelled", "failed", "refused", "rejected"]
    licence: str
    scenario: str
    kind: JobKind
    sql: str = Field(description="the question in one text: the SQL, or a name for what runs")
    request: dict[str, Any] = Field(description="what was asked, whole, as sealed into the log")
    submitted_at: str
    slot_ms: int | None = Field(description="public slot, in milliseconds after admission; null for an answer that was already there")
    price: LossView | None = Field(description="what the job was charged; nothing for a reused answer")
    reused: bool = Field(description="answered with an earlier release of the same question: same bytes, no charge")
    release: str | None
    problem: ProblemView | None


class JobList(Closed):
    model_config = ConfigDict(json_schema_extra=example(jobs=[JOB_VIEW], next=None))

    jobs: list[JobView]
    next: str | None = Field(description="pass as ?before= for older ones; null: there are none")
