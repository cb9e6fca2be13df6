"""The human lane: pre-flight, requests, votes, the workbench; duty and standing approvals. Answers are the server's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from yunei.problem import problem
from yunei.transport import Http

Data = Mapping[str, Any]


def _part(text: str) -> str:
    return quote(text, safe="") if text not in (".", "..") else "%2E" * len(text)


class Reviews:
    """Had as `client.reviews`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def preflight(self, request: Data) -> Data:
        """What the rules say of an exact job whatever the data: free, nothing is read. `request`: a job of kind exact."""
        return self._one("POST", "/v1/jobs/preflight", request, repeat=True)

    # --- for authors ----------------------------------------------------------------------------------------------------------------

    def request(self, jobs: Sequence[str], *, title: str, purpose: str, note: str = "") -> Data:
        """Ask for the review of held or returned jobs of one licence, as one bundle."""
        return self._one("POST", "/v1/reviews", {"jobs": list(jobs), "title": title, "purpose": purpose, "note": note})

    def withdraw(self, id_: str) -> Data:
        return self._one("POST", f"/v1/reviews/{_part(id_)}/withdraw")

    # --- for both -------------------------------------------------------------------------------------------------------------------

    def find(self, *, state: str | None = None) -> list[Data]:
        return self._list("/v1/reviews" + (f"?state={_part(state)}" if state else ""), "reviews")

    def overdue(self) -> list[Data]:
        """Past their time and undecided, the longest first; `late` says how far."""
        return self._list("/v1/reviews/overdue", "reviews")

    def show(self, id_: str) -> Data:
        return self._one("GET", f"/v1/reviews/{_part(id_)}")

    # --- for reviewers --------------------------------------------------------------------------------------------------------------

    def workbench(self, job: str) -> Data:
        """A held table with all the evidence. Every look is in the log."""
        found: Data = self._one("GET", f"/v1/workbench/{_part(job)}")["workbench"]
        return found

    def vote(self, id_: str, verdict: str, *, codes: Sequence[str] = (), words: str = "") -> Data:
        """`verdict`: release, return or reject. The author is told `codes`; `words` stay with the bureau. A vote is not changed."""
        return self._one("POST", f"/v1/reviews/{_part(id_)}/votes", {"verdict": verdict, "codes": list(codes), "words": words})

    # --- duty -----------------------------------------------------------------------------------------------------------------------

    def duties(self) -> Data:
        """`duties` and `conflicts`."""
        return self._one("GET", "/v1/duties")

    def set_duty(self, reviewer: str, since: str, until: str) -> Data:
        return self._one("POST", "/v1/duties", {"reviewer": reviewer, "since": since, "until": until})

    def end_duty(self, id_: str, reason: str) -> Data:
        return self._one("POST", f"/v1/duties/{_part(id_)}/end", {"reason": reason})

    def declare_conflict(self, reviewer: str, operator: str, reason: str) -> Data:
        return self._one("POST", "/v1/conflicts", {"reviewer": reviewer, "operator": operator, "reason": reason})

    def lift_conflict(self, reviewer: str, operator: str, reason: str) -> Data:
        return self._one("POST", "/v1/conflicts/lift", {"reviewer": reviewer, "operator": operator, "reason": reason})

    # --- standing approvals ---------------------------------------------------------------------------------------------------------

    def standings(self) -> list[Data]:
        return self._list("/v1/standings", "standings")

    def propose_standing(self, job: str, until: str) -> Data:
        """The first of two reviewers; `job` is one that a review let out."""
        return self._one("POST", "/v1/standings", {"job": job, "until": until})

    def confirm_standing(self, id_: str) -> Data:
        return self._one("POST", f"/v1/standings/{_part(id_)}/confirm")

    def end_standing(self, id_: str, reason: str) -> Data:
        return self._one("POST", f"/v1/standings/{_part(id_)}/end", {"reason": reason})

    def exact_totals(self) -> list[Data]:
        """How many exact tables, and rows of them, left of each account's data, ever."""
        return self._list("/v1/exact-totals", "accounts")

    def _one(self, method: str, path: str, body: object = None, *, repeat: bool = False) -> Data:
        found = self._http.json(method, path, body=body, repeat="safe" if method == "GET" or repeat else "unsent")
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self._http.language, status=200)
        return found

    def _list(self, path: str, name: str) -> list[Data]:
        found = self._http.json("GET", path)
        rows = found.get(name) if isinstance(found, dict) else None
        if not isinstance(rows, list):
            raise problem("client_not_yunei", language=self._http.language, status=200)
        return rows
