"""Lifetime totals, raised by two people: the part of the client that proposes and confirms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from urllib.parse import quote

from yunei.models import Account, Loss, Said
from yunei.problem import problem
from yunei.transport import Http
from yunei.words import Language

Amount = Decimal | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapProposal(Said):
    """`proposal` is the entry of the log that the second person names; `raised_by` is None until one has."""

    proposal: int
    account: str
    cap: Loss
    reason: str
    by: str
    at: datetime
    raised_by: str | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            proposal=int(data["proposal"]),
            account=str(data["account"]),
            cap=Loss.read(data["cap"]),
            reason=str(data["reason"]),
            by=str(data["by"]),
            at=datetime.fromisoformat(data["at"]),
            raised_by=data["raised_by"],
        )


class Caps:
    """What a `Client` with a supervisor's key can do about accounts."""

    _http: Http
    language: Language

    def cap_proposals(self, account: str) -> list[CapProposal]:
        """Newest first, confirmed or not."""
        page = self._http.json("GET", _at(account))
        found = page.get("proposals") if isinstance(page, dict) else None
        if not isinstance(found, list):
            raise problem("client_not_yunei", language=self.language, status=200)
        return [CapProposal.read(data, self.language) for data in found]

    def propose_cap(self, account: str, *, reason: str, delta: Amount, epsilon: Amount | None = None, rho: Amount | None = None) -> CapProposal:
        """Propose a new cap: `rho` or `epsilon`, and `delta`. It takes the place of the present one."""
        cap = {name: str(value) for name, value in (("epsilon", epsilon), ("rho", rho), ("delta", delta)) if value is not None}
        body = {"cap": cap, "reason": reason}
        return CapProposal.read(self._http.json("POST", _at(account), body=body, repeat="unsent"), self.language)

    def confirm_cap(self, account: str, proposal: int) -> Account:
        """Raise the cap that another person proposed."""
        return Account.read(self._http.json("POST", f"{_at(account)}/{proposal}/confirm", repeat="unsent"), self.language)


def _at(account: str) -> str:
    return f"/v1/accounts/{quote(account, safe='')}/proposals"
