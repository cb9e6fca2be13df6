"""The algorithm registry over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Base64Bytes, ConfigDict, Field

from api.schemas.base import Closed, example
from jobs.programs import ProgramState
from sandbox.program.manifest import Manifest
from sandbox.program.package import PACKAGE_LIMIT


class ProgramPackage(Closed):
    """A zip file with `program.toml` and Python sources, or one Python source with its manifest in a comment (`# /// program`), in base64."""

    model_config = ConfigDict(json_schema_extra=example(package="UEsDBBQAAAAIAA=="))

    package: Base64Bytes = Field(max_length=PACKAGE_LIMIT * 4 // 3 + 8)


class ProgramVerdict(Closed):
    model_config = ConfigDict(json_schema_extra=example(verdict="approve", reason="只用 numpy；输出有界"))

    verdict: Literal["approve", "reject"]
    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class ReasonGiven(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="发现错误"))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class ReviewView(Closed):
    reviewer: str
    verdict: Literal["approve", "reject"]
    entry: int
    reviewed_at: str


class ProgramView(Closed):
    """A registered program. `digest` names its content, however it was packed."""

    model_config = ConfigDict(
        json_schema_extra=example(
            digest="ab" * 32, name="churn", version="1.0", author="op-health", state="submitted", entry=140,
            submitted_at="2026-11-22T08:00:00.000000Z", changed_at="2026-11-22T08:00:00.000000Z", reviews=[],
        )
    )  # fmt: skip

    digest: str
    name: str
    version: str
    author: str
    state: ProgramState
    entry: int
    submitted_at: str
    changed_at: str
    reviews: list[ReviewView]


class ProgramList(Closed):
    programs: list[ProgramView]


class FileReportView(Closed):
    """One source. `marked`: names that reach around the language's own walls and the lines they stand on: where to look first."""

    path: str
    lines: int
    nodes: int
    imports: list[str]
    calls: dict[str, int]
    functions: list[str]
    marked: list[tuple[str, int]]


class ReportView(Closed):
    """What the sources hold, found without running them."""

    imports: list[str]
    lines: int
    bytes: int
    files: list[FileReportView]


class LibraryView(Closed):
    name: str
    version: str


class LibrariesView(Closed):
    """The locked library set that programs find here, and its digest: with an approval, the one that reviewers were shown."""

    digest: str
    libraries: list[LibraryView]


class ProgramDetail(Closed):
    """A program with all that its reviewers read. `parameters_schema` is JSON Schema: what a job's parameters must be."""

    program: ProgramView
    manifest: Manifest
    parameters_schema: dict[str, Any]
    libraries: LibrariesView
    manifest_text: str
    files: dict[str, str]
    report: ReportView
