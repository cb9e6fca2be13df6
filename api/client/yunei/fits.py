"""Models: linear, logistic and Poisson regression, k-means, fitted beside the data with noise."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from yunei.answer import Answer
from yunei.models import Dummy, Job, Quote, Release
from yunei.problem import problem
from yunei.transport import Http
from yunei.words import Language

CARD = "model.json"
PRIVACY = ("epsilon", "rho", "accuracy", "delta")


def fit_body(model: Mapping[str, Any], *, licence: str, scenario: str, **privacy: Any) -> dict[str, Any]:
    """The one body that `check_model`, `dummy_model` and `submit_model` share. `model` is the request without licence and scenario: `model`,
    `source`, `target`, `features` and so on; `epsilon`, `rho` or `accuracy`, and `delta`, replace its own `privacy`."""
    given = {name: str(privacy[name]) for name in PRIVACY if privacy.get(name) is not None}
    unknown = sorted(set(privacy) - set(PRIVACY))
    if unknown:
        raise TypeError(f"no such argument: {unknown[0]}")
    if given.keys() - {"delta"}:
        given = {"delta": model.get("privacy", {}).get("delta"), **given}
        given = {name: value for name, value in given.items() if value is not None}
    elif given:
        given = {**model.get("privacy", {}), **given}
    body = {**model, "kind": "model", "licence": licence, "scenario": scenario, **({"privacy": given} if given else {})}
    return {name: _plain(value) for name, value in body.items()}


def _plain(value: Any) -> Any:
    """As JSON has it: amounts as text, so that 0.1 means a tenth."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


class Fits:
    """The part of the client that fits models."""

    _http: Http
    language: Language
    wait: Callable[..., Job]
    answer: Callable[[Job | Release | str], Answer]

    def check_model(self, model: Mapping[str, Any], **job: Any) -> Quote:
        """Price, model card and every refusal, for free: nothing is read, spent or logged."""
        return Quote.read(self._http.json("POST", "/v1/jobs/check", body=fit_body(model, **job)), self.language)

    def dummy_model(self, model: Mapping[str, Any], **job: Any) -> Dummy:
        """The model on invented rows: right columns and types, meaningless values, no cost."""
        return Dummy.read(self._http.json("POST", "/v1/jobs/dummy", body=fit_body(model, **job)), self.language)

    def submit_model(self, model: Mapping[str, Any], *, idempotency_key: str | None = None, **job: Any) -> Job:
        """Submit for real. A repeated submission with one `idempotency_key` (made up when not given) is one job and one charge."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return Job.read(self._http.json("POST", "/v1/jobs", body=fit_body(model, **job), headers=headers), self.language)

    def fit(
        self, model: Mapping[str, Any], *, timeout_s: float | None = None, progress: Callable[[Job], None] | None = None, **job: Any
    ) -> Answer:
        """Submit, wait and fetch: coefficients with their errors and intervals, or centres and sizes. Raises the job's own problem when it
        published nothing."""
        submitted = self.submit_model(model, **job)
        if progress is not None:
            progress(submitted)
        return self.answer(submitted if submitted.done else self.wait(submitted, timeout_s, progress))

    def model_card(self, release: Release | str) -> Mapping[str, Any]:
        """What a released model did to whose rows: mechanism, bounds, steps, price."""
        id_ = release if isinstance(release, str) else release.id
        card = json.loads(self._http.content(f"/v1/releases/{id_}/papers/{CARD}"))
        if not isinstance(card, dict):
            raise problem("client_not_yunei", language=self.language, status=200)
        return card
