"""Releases over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import LOSS, Closed, LossView, example
from api.schemas.jobs import ColumnView
from api.schemas.register import AccountView
from policies.catalogue import Title
from policies.licence import JobKind


class FileView(Closed):
    """`etag` is the SHA-256 of the bytes: the digest the release record names."""

    format: Literal["arrow", "parquet", "csv", "json"]
    bytes: int
    sha256: str


class PaperView(Closed):
    """What was released beside the table, e.g. how good a synthetic one is; `etag` is the SHA-256 of the bytes."""

    name: str
    bytes: int
    sha256: str
    path: str


class UnitView(Closed):
    """Whom the promise is about where budgets are by period: a unit and a period, never the person."""

    space: str
    zh: str
    en: str


class SourceView(Closed):
    """What a product made of the release must name: whose data, and acquired when."""

    dataset: str
    version: int
    digest: str
    registration_no: str
    source_body: Title
    acquired_on: str
    unit: UnitView | None = Field(default=None, description="the privacy unit, where budgets are by period: a unit and a period")


class ReleaseView(Closed):
    """A table that left the sandbox, with all that is known about it. Everything here is public to whoever may fetch it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            id="rel-7k2mq4ztx3bd",
            job="job-7k2mq4ztx3bd",
            licence="lic-health-2026-01",
            operator="op-health",
            scenario="chronic-disease",
            kind="sql",
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
            papers=[],
            published_at="2026-11-22T08:30:00.240000Z",
            visible_at="2026-11-22T08:30:00.250000Z",
            log_index=41,
            fee="120.00",
            table="/v1/releases/rel-7k2mq4ztx3bd/table",
            receipt="/v1/releases/rel-7k2mq4ztx3bd/receipt",
        )
    )

    id: str
    job: str
    licence: str
    operator: str
    scenario: str
    kind: JobKind = Field(default="sql", description="of the job that made it")
    query: str
    sources: list[SourceView]
    columns: list[ColumnView]
    rows: int
    thresholded: bool = Field(description="true: keys are private; those with too few units are not shown, and how many is not said")
    bounds: dict[str, int]
    price: LossView
    left: list[AccountView] = Field(description="the accounts of the licence, now; for its operator alone")
    files: list[FileView]
    papers: list[PaperView] = Field(default_factory=list, description="what was released beside the table, such as a quality report")
    published_at: str
    visible_at: str
    log_index: int
    fee: str | None = Field(default=None, description="yuan charged for it; null: the licence has no tariff, or it is not yours to see")
    table: str
    receipt: str


_SHOWN: Any = ReleaseView.model_config["json_schema_extra"]


class ReleaseList(Closed):
    model_config = ConfigDict(json_schema_extra=example(releases=_SHOWN["examples"], next=None))

    releases: list[ReleaseView]
    next: int | None = Field(description="pass as ?before= for older ones; null: there are none")
