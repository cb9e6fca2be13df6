"""A synthetic table as a job over HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from jobs.kinds.synthetic import SyntheticRequest
from policies.licence import Identifier
from sandbox.plan.synthetic import Recipe

SYNTHETIC = {
    "kind": "synthetic",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "dataset": "nafld1",
    "columns": ["age", "male", "bmi"],
    "privacy": {"epsilon": "1", "delta": "0.00000001"},
    "bins": {"bmi": 16},
}


class SyntheticJob(Closed, Recipe):
    """A table of rows that nobody is behind: what to synthesise, at what price. One body for `check`, `dummy` and the real run."""

    model_config = ConfigDict(json_schema_extra=example(**SYNTHETIC))

    kind: Literal["synthetic"]
    licence: Identifier = Field(description="id of the licence the job runs under")
    scenario: Identifier = Field(description="the scenario the answer is for; one of the licence's")

    def request(self) -> SyntheticRequest:
        return SyntheticRequest(Recipe.model_validate(self.model_dump(exclude={"kind", "licence", "scenario"}, exclude_defaults=True)))
