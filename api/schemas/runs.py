"""A run of an operator's program over HTTP: as a job, and on invented rows for its author."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Base64Bytes, ConfigDict, Field

from api.schemas.base import Closed, example
from jobs.kinds.program import ProgramRequest
from policies.licence import Identifier
from sandbox.program.ask import RunAsk
from sandbox.program.package import PACKAGE_LIMIT

RUN = {
    "kind": "program",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "program": "ab" * 32,
    "tables": [{"dataset": "nafld1", "columns": ["age", "bmi"]}],
    "parameters": {"months": 12},
    "privacy": {"rho": "0.01"},
}


class ProgramJob(Closed, RunAsk):
    """An approved program over protected tables: by blocks of units, or unit by unit, as it was declared. One body for `check`, `dummy` and the
    real run; `check` also advises on the number of blocks."""

    model_config = ConfigDict(json_schema_extra=example(**RUN))

    kind: Literal["program"]
    licence: Identifier = Field(description="id of the licence the job runs under")
    scenario: Identifier = Field(description="the scenario the answer is for; one of the licence's")

    def request(self) -> ProgramRequest:
        return ProgramRequest(RunAsk.model_validate(self.model_dump(exclude={"kind", "licence", "scenario"})))


class ProgramTest(Closed):
    """A package that need not be registered, and a run of it: tried on rows invented from the catalogue. `run` is a job's body without `kind`,
    `licence`, `scenario` and `program`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            package="UEsDBBQAAAAIAA==",
            run={name: value for name, value in RUN.items() if name not in ("kind", "licence", "scenario", "program")},
        )
    )

    package: Base64Bytes = Field(max_length=PACKAGE_LIMIT * 4 // 3 + 8)
    run: dict[str, Any]


class CallView(Closed):
    """One call on invented rows: `values` in order of the outputs, null for what was no finite number; all null: no frame came back, and public
    defaults would stand in. `text`: what it wrote to standard error, and its traceback."""

    rows: int
    values: list[float | None] | None
    text: str


class ProgramTested(Closed):
    """Nothing was registered, read or spent."""

    model_config = ConfigDict(
        json_schema_extra=example(
            digest="ab" * 32,
            outputs=["rate"],
            calls=[{"rows": 250, "values": [0.4], "text": ""}],
            explanation={"zh": ["……"], "en": ["…"]},
        )
    )

    digest: str = Field(description="what the package would be registered as")
    outputs: list[str]
    calls: list[CallView]
    explanation: dict[str, Any] = Field(description="what a run with this request would be: blocks advised, noise, price")
