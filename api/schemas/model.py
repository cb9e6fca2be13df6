"""A model as a job over HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from jobs.kinds.model import ModelRequest
from policies.licence import Identifier
from sandbox.plan.fit.ask import FitAsk

MODEL = {
    "kind": "model",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "model": "logistic",
    "source": "nafld1",
    "target": {"name": "status"},
    "features": [{"name": "age"}, {"name": "bmi", "low": 15, "high": 50, "missing": 28}, {"name": "male", "categories": [0, 1]}],
    "privacy": {"epsilon": "1", "delta": "0.00000001"},
}


class ModelJob(Closed, FitAsk):
    """A regression or k-means by noisy steps: source, features with public ranges, price. One body for `check`, `dummy` and the real run."""

    model_config = ConfigDict(json_schema_extra=example(**MODEL))

    kind: Literal["model"]
    licence: Identifier = Field(description="id of the licence the job runs under")
    scenario: Identifier = Field(description="the scenario the answer is for; one of the licence's")

    def request(self) -> ModelRequest:
        return ModelRequest(FitAsk.model_validate(self.model_dump(exclude={"kind", "licence", "scenario"}, exclude_unset=True)))
