"""The catalogue over HTTP: versions, what they were made of, and documents checked before anything is registered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from policies.catalogue import Dataset, Registration

DIGEST = "ab" * 32


class SourceFileView(Closed):
    model_config = ConfigDict(json_schema_extra=example(name="visits.csv", sha256=DIGEST, bytes=1_048_576))

    name: str
    sha256: str
    bytes: int


class ParentView(Closed):
    model_config = ConfigDict(json_schema_extra=example(dataset="visits", version=1, digest=DIGEST))

    dataset: str
    version: int
    digest: str


class LineageView(Closed):
    """What a version was made of: its source files, and the snapshots it follows or was read with."""

    model_config = ConfigDict(
        json_schema_extra=example(by="steward-1", sources=[], parents=[{"dataset": "visits", "version": 1, "digest": DIGEST}])
    )

    by: str
    sources: list[SourceFileView]
    parents: list[ParentView]


class DatasetVersionView(Closed):
    """An immutable snapshot. `lineage` is shown to stewards, supervisors and auditors; null to others, and when none was kept."""

    model_config = ConfigDict(
        json_schema_extra=example(version=2, digest=DIGEST, state="current", ingested_at="2026-01-05T08:30:00.000000Z", ingested_by="steward-1")
    )

    version: int
    digest: str
    state: Literal["current", "withdrawn"]
    ingested_at: str
    ingested_by: str
    lineage: LineageView | None = None


class DatasetVersions(Closed):
    """All versions of a dataset, oldest first, its own state, and how far its registration is."""

    model_config = ConfigDict(
        json_schema_extra=example(
            name="visits",
            state="current",
            registration="coded",
            versions=[
                {
                    "version": 1,
                    "digest": DIGEST,
                    "state": "current",
                    "ingested_at": "2026-01-05T08:30:00.000000Z",
                    "ingested_by": "steward-1",
                    "lineage": None,
                }
            ],
        )
    )

    name: str
    state: Literal["current", "withdrawn"]
    registration: Registration
    versions: list[DatasetVersionView]


class WithdrawRequest(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="来源部门更正", version=None))

    reason: Annotated[str, Field(min_length=1, max_length=2_000, description="理由，写入日志 · why; goes into the log")]
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="只撤回这一版；默认为整个数据集，不可恢复 · else the dataset, for good"
    )


class RegistrationRequest(Closed):
    model_config = ConfigDict(json_schema_extra=example(to="accepted"))

    to: Registration


class Checked(Closed):
    """The entries of a document, as the catalogue would have them. Nothing was stored."""

    datasets: list[Dataset]
