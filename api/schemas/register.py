"""Datasets, licences, accounts, people and the log over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import LOSS, Closed, LossView, example
from policies.catalogue import BlockPeriod, Dataset, Title
from policies.licence import Licence, LicenceState


class PaceView(Closed):
    """What an account may take at most in one day or month of China, beside its lifetime cap. `used` is of `period`."""

    model_config = ConfigDict(json_schema_extra=example(window="day", period="2026-11-22", cap={**LOSS, "rho": "0.01"}, used=LOSS))

    window: Literal["day", "month"]
    period: str
    cap: LossView
    used: LossView


class AccountView(Closed):
    """One account of the ledger. `left` is what a further charge may still take; lifetime, never reset. `pace`: windows that bound it too."""

    model_config = ConfigDict(
        json_schema_extra=example(
            id="licence:lic-health-2026-01", kind="licence", subject="lic-health-2026-01", cap={**LOSS, "rho": "0.1"}, used=LOSS, left=LOSS
        )
    )

    id: str
    kind: Literal["population", "dataset", "licence", "operator"]
    subject: str
    cap: LossView
    used: LossView
    left: LossView
    pace: list[PaceView] = Field(default_factory=list)


class PeriodsView(Closed):
    """Periods with budgets of their own, the first and the last as accounts name them."""

    column: str
    period: BlockPeriod
    first: str
    last: str
    count: int


class DatasetView(Closed):
    """A dataset as registered: all of it is public, nothing in it was learnt from rows."""

    dataset: Dataset
    version: int
    digest: str
    unit_space: str | None = Field(
        default=None, description="space of the privacy unit; with budgets by period of unit and period: person/month"
    )
    unit_title: Title | None = Field(default=None, description="whom a promise about it protects; with budgets by period a unit and a period")
    periods: PeriodsView | None = Field(default=None, description="of budgets by period: those of its declared range")


class DatasetList(Closed):
    datasets: list[DatasetView]


class LicenceView(Closed):
    """A licence as it stands now. `version` 0: an application, whose document the bureau completes when it grants; `document` is SHA-256 of
    the canonical document; `access` says whether what was made under it may still be fetched."""

    licence: Licence
    state: LicenceState
    version: int
    document: str
    granted_at: str | None
    changed_at: str
    access: Literal["open", "withdrawn"]
    accounts: list[AccountView] = Field(default_factory=list)


class LicenceList(Closed):
    licences: list[LicenceView]


class AccountList(Closed):
    accounts: list[AccountView]


class Me(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(principal="op-health", role="operator", acts=["job_submit"], licences=["lic-health-2026-01"])
    )

    principal: str
    role: str
    acts: list[str]
    licences: list[str]


class EventView(Closed):
    index: int
    at: str
    kind: str
    event: dict[str, Any]


class EventEntry(Closed):
    """An entry of the log as it was hashed. `receipt` is a c2sp.org/tlog-proof: with the log's public key it verifies offline that the entry,
    whose leaf hash is SHA-256 of a zero byte and its bytes, is in the log."""

    event: EventView
    entry: str = Field(description="the entry's bytes, base64")
    leaf_hash: str
    receipt: str


class EventList(Closed):
    events: list[EventView]
    next: int | None


class Health(Closed):
    model_config = ConfigDict(json_schema_extra=example(status="ok"))

    status: Literal["ok", "degraded", "starting", "stopping"]


class LogKey(Closed):
    model_config = ConfigDict(json_schema_extra=example(origin="yunei.local/release", vkey="yunei.local/release+5531598f+AQOh…"))

    origin: str
    vkey: str
