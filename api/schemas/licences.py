"""Licences over HTTP: acts in their life, and what is told of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from api.schemas.register import EventView
from policies.catalogue import Name
from policies.licence import Decision, Licence, LicenceState

Reason = Annotated[str, Field(min_length=1, max_length=2_000, description="理由，写入日志 · why; goes into the log")]
Proposal = Annotated[
    int | None,
    Field(default=None, ge=0, le=2**53, description="另一人提出同一事项的日志序号 · entry in which another person proposed the same"),
]


AGREEMENT: dict[str, object] = {
    "id": "lic-health-2026-02",
    "operator": "op-health",
    "title": {"zh": "健康服务规划", "en": "planning of health services"},
    "datasets": [{"dataset": "visits", "columns": [{"name": "city", "uses": ["key", "filter"]}, {"name": "fee", "uses": ["aggregate"]}]}],
    "scenarios": ["health-planning"],
    "per_job": {"pico_rho": 10_000_000_000, "atto_delta": 1_000_000_000},
    "total": {"pico_rho": 500_000_000_000, "atto_delta": 100_000_000_000},
    "valid_from": "2026-01-01T00:00:00+08:00",
    "valid_until": "2027-01-01T00:00:00+08:00",
    "decision_document": {"number": "晋数决〔2026〕7号", "decided_on": "2026-01-05"},
    "disposal": {"products": "withdraw", "keys": "revoke"},
    "results_owner": "operator",
}


class Because(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="年度检查"))

    reason: Reason


class ConsentRequest(Closed):
    """The steward of the source body consents; `reference` numbers its document (Government Data Regulation, 2020 draft, art. 13)."""

    model_config = ConfigDict(json_schema_extra=example(dataset="visits", reference="晋卫数函〔2026〕12号"))

    dataset: Name
    reference: str = Field(min_length=1, max_length=200)


class GrantRequest(Closed):
    """What the bureau adds to an application. `second_approvals`: by dataset, for data graded important."""

    model_config = ConfigDict(
        json_schema_extra=example(
            decision_document={"number": "晋数决〔2026〕7号", "decided_on": "2026-01-05", "digest": "ab" * 32},
            second_approvals={},
            proposal=None,
        )
    )

    decision_document: Decision
    second_approvals: dict[Name, Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=dict, max_length=1000)
    proposal: Proposal = None


class AmendRequest(Closed):
    """The whole document as it shall be from now on."""

    model_config = ConfigDict(json_schema_extra=example(licence=AGREEMENT, reason="续期一年", proposal=None))

    licence: Licence
    reason: Reason
    proposal: Proposal = None


class Proposed(Closed):
    model_config = ConfigDict(json_schema_extra=example(proposal=412))

    proposal: int


class VersionView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(version=1, document="ab" * 32, signed="cd" * 32, by="supervisor-1", at="2026-01-05T08:30:00.000000Z")
    )

    version: int
    document: str
    signed: str
    by: str
    at: str


class ConsentView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(dataset="visits", reference="晋卫数函〔2026〕12号", by="steward-1", at="2026-01-03T08:30:00.000000Z")
    )

    dataset: str
    reference: str
    by: str
    at: str


class LicenceHistory(Closed):
    """Everything that happened to a licence, oldest first; each event stands in the log at its index."""

    model_config = ConfigDict(
        json_schema_extra=example(
            id="lic-health-2026-02",
            state="active",
            versions=[{"version": 1, "document": "ab" * 32, "signed": "cd" * 32, "by": "supervisor-1", "at": "2026-01-05T08:30:00.000000Z"}],
            consents=[{"dataset": "visits", "reference": "晋卫数函〔2026〕12号", "by": "steward-1", "at": "2026-01-03T08:30:00.000000Z"}],
            events=[],
        )
    )

    id: str
    state: LicenceState
    versions: list[VersionView]
    consents: list[ConsentView]
    events: list[EventView]


class BureauKeys(Closed):
    """The keys under which licences are signed, as verifier keys of signed notes (vkey)."""

    model_config = ConfigDict(json_schema_extra=example(vkeys=["yunei.local/release/licences+5531598f+AQOh…"]))

    vkeys: list[str]


PaperFormat = Literal["note", "html", "md", "odrl", "toml", "json"]
