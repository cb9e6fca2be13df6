"""What goes in and out over HTTP: closed models, each with an example that the documentation shows and a test validates.

Exact numbers (losses) are decimal strings. Times are RFC 3339, UTC. `null` means "not yet" or "none", as the field says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from policies.catalogue import Dataset, Title
from policies.licence import Identifier, Licence
from policies.loss import Loss
from sandbox.plan.ask import Ask, Privacy, Range

SQL_LIMIT = 16 * 1024
WAIT_LIMIT_S = 60


def decimal_text(value: Decimal) -> str:
    """Plain digits, no exponent, no trailing zeros.

    >>> decimal_text(Decimal("1E-8")), decimal_text(Decimal("0.500")), decimal_text(Decimal(0))
    ('0.00000001', '0.5', '0')
    """
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def example(**fields: Any) -> dict[str, Any]:
    return {"examples": [fields]}


class Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


JOB = {
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
    "privacy": {"epsilon": "0.5", "delta": "0.00000001"},
}


class JobRequest(Closed):
    """One body for `check`, `dummy` and the real run. What it does not say, the catalogue does."""

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

    def ask(self) -> Ask:
        return Ask(
            privacy=self.privacy,
            groups_per_unit=self.groups_per_unit,
            rows_per_group=self.rows_per_group,
            ranges=self.ranges,
            edges=self.edges,
            weights=self.weights,
        )


class LossView(Closed):
    """A privacy loss: zCDP rho and delta, exact; epsilon is the same loss read at `at_delta` (null when delta leaves no room)."""

    model_config = ConfigDict(json_schema_extra=example(rho="0.00702", delta="0", epsilon="0.5", at_delta="0.00000001"))

    rho: str
    delta: str
    epsilon: str | None
    at_delta: str

    @classmethod
    def of(cls, loss: Loss, at_delta: Decimal) -> LossView:
        epsilon = loss.epsilon(at_delta)
        return cls(
            rho=decimal_text(loss.rho),
            delta=decimal_text(loss.delta),
            epsilon=None if epsilon is None else decimal_text(epsilon),
            at_delta=decimal_text(at_delta),
        )


LOSS = {"rho": "0.00702", "delta": "0", "epsilon": "0.5", "at_delta": "0.00000001"}


class AccountView(Closed):
    """One account of the ledger. `left` is what a further charge may still take; lifetime, never reset."""

    model_config = ConfigDict(
        json_schema_extra=example(
            id="licence:lic-health-2026-01", kind="licence", subject="lic-health-2026-01", cap={**LOSS, "rho": "0.1"}, used=LOSS, left=LOSS
        )
    )

    id: str
    kind: Literal["population", "dataset", "licence", "operator"]
    subject: str
    cap: LossView
    used: LossView
    left: LossView


class Quote(Closed):
    """What a job would cost and how exact it would be. Nothing was read, spent or logged."""

    model_config = ConfigDict(
        json_schema_extra=example(
            price=LOSS,
            answered=False,
            slot_ms=250,
            accounts=[],
            explanation={"zh": "……", "en": "…"},
        )
    )

    price: LossView
    answered: bool = Field(description="true: the same question was released before, so the real run is free and gives the same bytes")
    slot_ms: int = Field(description="milliseconds after admission at which the answer becomes visible, chosen from public facts")
    accounts: list[AccountView] = Field(description="every account the charge names, as they are before it")
    explanation: dict[str, Any] = Field(description="bounds and where they come from, sensitivity, mechanism, expected error, emitted SQL")


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


class WordsView(Closed):
    title: str
    detail: str
    remedy: str


class ProblemView(BaseModel):
    """RFC 9457 problem document. Test on `code`; it never changes its meaning. `parts` lists every rule broken at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=example(
            type="/v1/docs#problem-request_not_found",
            title="Not found",
            status=404,
            detail="There is no job here that you may see.",
            remedy="Check the id; you see your own jobs and releases only.",
            instance="urn:yunei:request:0f8fad5bd9cb469f",
            code="request_not_found",
            fields={"what_zh": "作业", "what_en": "job"},
            zh={"title": "没有这个资源", "detail": "这里没有您可以查看的作业。", "remedy": "核对编号；只能查看本单位的作业与发布结果。"},
            en={
                "title": "Not found",
                "detail": "There is no job here that you may see.",
                "remedy": "Check the id; you see your own jobs and releases only.",
            },
        ),
    )

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str
    code: str
    fields: dict[str, str]
    zh: WordsView
    en: WordsView
    parts: list[PartView] = Field(default_factory=list)


class PartView(Closed):
    code: str
    fields: dict[str, str]
    zh: WordsView
    en: WordsView
    parts: list[PartView] = Field(default_factory=list)


JOB_VIEW = {
    "id": "job-7k2mq4ztx3bd",
    "state": "running",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
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
    state: Literal["running", "published", "cancelled", "failed", "refused"]
    licence: str
    scenario: str
    sql: str
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


class FileView(Closed):
    """`etag` is the SHA-256 of the bytes: the digest the release record names."""

    format: Literal["arrow", "parquet", "csv", "json"]
    bytes: int
    sha256: str


class SourceView(Closed):
    """What a product made of the release must name: whose data, and acquired when."""

    dataset: str
    version: int
    digest: str
    registration_no: str
    source_body: Title
    acquired_on: str


class ReleaseView(Closed):
    """A table that left the sandbox, with all that is known about it. Everything here is public to whoever may fetch it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            id="rel-7k2mq4ztx3bd",
            job="job-7k2mq4ztx3bd",
            licence="lic-health-2026-01",
            operator="op-health",
            scenario="chronic-disease",
            query="SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
            sources=[
                {
                    "dataset": "nafld1",
                    "version": 1,
                    "digest": "ab" * 32,
                    "registration_no": "DEMO-GGSJ-0001",
                    "source_body": {"zh": "罗切斯特流行病学项目", "en": "Rochester Epidemiology Project"},
                    "acquired_on": "2020-03-01",
                }
            ],
            columns=[
                {"label": "male", "kind": "key"},
                {"label": "n", "kind": "value", "mechanism": "discrete Gaussian", "scale": 8.4, "half_width_column": "n__half_width"},
                {"label": "n__half_width", "kind": "half_width"},
            ],
            rows=2,
            thresholded=False,
            bounds={"groups_per_unit": 1, "rows_per_group": 1},
            price=LOSS,
            left=[],
            files=[{"format": "csv", "bytes": 61, "sha256": "cd" * 32}],
            published_at="2026-11-22T08:30:00.240000Z",
            visible_at="2026-11-22T08:30:00.250000Z",
            log_index=41,
            table="/v1/releases/rel-7k2mq4ztx3bd/table",
            receipt="/v1/releases/rel-7k2mq4ztx3bd/receipt",
        )
    )

    id: str
    job: str
    licence: str
    operator: str
    scenario: str
    query: str
    sources: list[SourceView]
    columns: list[ColumnView]
    rows: int
    thresholded: bool = Field(description="true: keys are private; those with too few units are not shown, and how many is not said")
    bounds: dict[str, int]
    price: LossView
    left: list[AccountView] = Field(description="the accounts of the licence, now; empty for builders")
    files: list[FileView]
    published_at: str
    visible_at: str
    log_index: int
    table: str
    receipt: str


class DatasetView(Closed):
    """A dataset as registered: all of it is public, nothing in it was learnt from rows."""

    dataset: Dataset
    version: int
    digest: str


class DatasetList(Closed):
    datasets: list[DatasetView]


class LicenceView(Closed):
    licence: Licence
    state: Literal["active", "suspended", "revoked"]
    accounts: list[AccountView] = Field(default_factory=list)


class LicenceList(Closed):
    licences: list[LicenceView]


class AccountList(Closed):
    accounts: list[AccountView]


class Me(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(principal="op-health", role="operator", acts=["job_submit"], licences=["lic-health-2026-01"])
    )

    principal: str
    role: str
    acts: list[str]
    licences: list[str]


class EventView(Closed):
    index: int
    at: str
    kind: str
    event: dict[str, Any]


class EventList(Closed):
    events: list[EventView]
    next: int | None


class Health(Closed):
    model_config = ConfigDict(json_schema_extra=example(status="ok"))

    status: Literal["ok", "starting", "stopping"]


class LogKey(Closed):
    model_config = ConfigDict(json_schema_extra=example(origin="yunei.local/release", vkey="yunei.local/release+5531598f+AQOh…"))

    origin: str
    vkey: str
