"""Many queries priced together: each one's share of one loss, and its quote. Amounts are exact decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from yunei.models import Loss, Quote, Said
from yunei.problem import YuneiProblem, from_response
from yunei.transport import Http
from yunei.words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry(Said):
    """One query. `share`: the arguments to submit it with, e.g. {"rho": "0.01", "delta": "0.00000001"}; None, with a `problem`, when it
    cannot be asked."""

    share: Mapping[str, str] | None
    quote: Quote | None
    problem: YuneiProblem | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        given, quoted, refused = (data[name] for name in ("privacy", "quote", "problem"))
        return cls(
            data=data,
            share=None if given is None else {name: str(value) for name, value in given.items() if value is not None},
            quote=None if quoted is None else Quote.read(quoted, language),
            problem=None if refused is None else from_response(int(refused["status"]), refused, language),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuote(Said):
    """`price`: all queries that can be asked, together. Nothing was read, spent or reserved: submit each at its share."""

    price: Loss
    queries: tuple[BatchEntry, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(data=data, price=Loss.read(data["price"]), queries=tuple(BatchEntry.read(item, language) for item in data["queries"]))


class Batches:
    """The part of the client that prices queries together."""

    _http: Http
    language: Language

    def check_batch(self, queries: Iterable[str | Mapping[str, Any]], *, licence: str, scenario: str, **privacy: Any) -> BatchQuote:
        """Divide one loss (`epsilon`, `rho` or `accuracy`, and `delta`) over up to 100 queries so that their summed squared relative errors are
        least. A query is SQL, or an object with `sql` and a job's bounds as they travel: {"sql": …, "groups_per_unit": 2}."""
        named = {name: str(value) for name, value in privacy.items() if value is not None}
        body = {
            "licence": licence,
            "scenario": scenario,
            "privacy": named,
            "queries": [{"sql": query} if isinstance(query, str) else dict(query) for query in queries],
        }
        return BatchQuote.read(self._http.json("POST", "/v1/jobs/check-batch", body=body), self.language)
