"""What stands at the end of a period, or at the newest entry of a source: people, datasets, licences, products, accounts. Followed through
the entries, a few kinds each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from jobs.documents import read_licence, read_snapshot
from jobs.events import rfc3339
from jobs.reports.source import Entry, Source
from jobs.slots import parse_time
from policies.catalogue import Snapshot, Title
from policies.licence import Licence, LicenceState
from policies.life import LIFE, standing
from policies.period import Period
from policies.product import Description

LICENCE_KINDS = tuple(step.kind for step in LIFE)
_AFTER = {step.kind: step.after for step in LIFE}


@dataclass(frozen=True, slots=True)
class Version:
    """A document a licence had in force from `at` on."""

    number: int
    at: str
    document: str
    licence: Licence
    by: str
    index: int


@dataclass(slots=True)
class LicenceSeen:
    """`asked`: the application's document, if there was one; `acts`: everything that happened to it."""

    id: str
    operator: str
    state: LicenceState = "applied"
    asked: Licence | None = None
    versions: list[Version] = field(default_factory=list)
    acts: list[Entry] = field(default_factory=list)

    @property
    def present(self) -> Licence:
        found = self.versions[-1].licence if self.versions else self.asked
        assert found is not None  # a licence is granted or applied for, with a document
        return found

    def state_at(self, moment: datetime) -> LicenceState:
        return standing(self.state, self.present.valid_from, self.present.valid_until, moment)

    def in_force(self, before: datetime) -> Version | None:
        """The version that held just before a moment."""
        return next((version for version in reversed(self.versions) if parse_time(version.at) < before), None)


@dataclass(slots=True)
class DatasetSeen:
    name: str
    snapshot: Snapshot | None
    registration: str
    withdrawn: bool = False


@dataclass(slots=True)
class ProductSeen:
    id: str
    operator: str
    description: Description | None
    state: str = "draft"
    code: str | None = None
    registered_at: str | None = None
    versions: int = 0
    reason: str | None = None


@dataclass(slots=True)
class AccountSeen:
    id: str
    kind: str
    subject: str
    cap: int
    used: int = 0  # pico-rho charged and not given back


class World:
    """As it was before the entry `end`, at `moment`: of a period that is over, at its end. Each part is read when it is first asked for."""

    def __init__(self, source: Source, period: Period | None) -> None:
        self.source = source
        over = period is not None and source.moment >= period.end
        self.end = source.first_at(rfc3339(period.end)) if period is not None and over else source.size
        self.moment = period.end - timedelta(microseconds=1) if period is not None and over else source.moment

    def entries(self, *kinds: str) -> Iterator[Entry]:
        return self.source.entries(kinds, 0, self.end)

    @cached_property
    def people(self) -> dict[str, tuple[str, Title]]:
        """Role and name of every principal."""
        return {entry["principal"]: (entry["role"], Title.model_validate(entry["title"])) for entry in self.entries("principal_registered")}

    def name_of(self, principal: str) -> Title:
        found = self.people.get(principal)
        return found[1] if found else Title(zh=principal, en=principal)

    @cached_property
    def licences(self) -> dict[str, LicenceSeen]:
        found: dict[str, LicenceSeen] = {}
        for entry in self.entries(*LICENCE_KINDS):
            seen = found.get(entry["licence"])
            if seen is None:
                seen = found[entry["licence"]] = LicenceSeen(entry["licence"], entry["operator"])
            seen.acts.append(entry)
            after = _AFTER[entry.kind]
            if after and (entry.kind != "licence_consented" or entry["complete"]):
                seen.state = after
            if entry.kind == "licence_applied":
                seen.asked = self._licence(entry["document"])
            if entry.kind in ("licence_granted", "licence_amended"):
                number = int(entry.get("version") or 1)
                seen.versions.append(Version(number, entry.at, entry["document"], self._licence(entry["document"]), entry["by"], entry.index))
        return dict(sorted(found.items()))

    def _licence(self, digest: str) -> Licence:
        body = self.source.document(digest)
        assert body is not None  # the register keeps what its entries name
        return read_licence(body)

    @cached_property
    def datasets(self) -> dict[str, DatasetSeen]:
        """By case-folded name, with the newest version's description."""
        found: dict[str, DatasetSeen] = {}
        for entry in self.entries("dataset_registered", "registration_moved", "version_ingested", "dataset_withdrawn"):
            name = entry["dataset"].casefold()
            match entry.kind:
                case "dataset_registered":
                    found[name] = DatasetSeen(entry["dataset"], None, entry["registration"])
                case "registration_moved":
                    found[name].registration = entry["to"]
                case "version_ingested":
                    body = self.source.document(entry["document"])
                    found[name].snapshot = None if body is None else read_snapshot(body)
                case _:
                    found[name].withdrawn |= entry["version"] is None
        return dict(sorted(found.items()))

    @cached_property
    def products(self) -> dict[str, ProductSeen]:
        found: dict[str, ProductSeen] = {}
        kinds = ("drafted", "described", "version_added", "registered", "published", "deprecated", "recalled")
        for entry in self.entries(*(f"product_{kind}" for kind in kinds)):
            if entry.kind == "product_drafted":
                body = self.source.document(entry["document"])
                said = None if body is None else Description.model_validate(json.loads(body))
                found[entry["product"]] = ProductSeen(entry["product"], entry["operator"], said)
                continue
            seen = found[entry["product"]]
            match entry.kind:
                case "product_described":
                    body = self.source.document(entry["document"])
                    seen.description = None if body is None else Description.model_validate(json.loads(body))
                case "product_version_added":
                    seen.versions = entry["version"]
                case "product_registered":
                    seen.state, seen.code, seen.registered_at = "registered", entry["code"], entry.at
                case "product_published":
                    seen.state = "published"
                case "product_deprecated":
                    seen.state, seen.reason = "deprecated", entry["reason"]
                case _ if entry["version"] is None:
                    seen.state, seen.reason = "recalled", entry["reason"]
        return dict(sorted(found.items()))

    @cached_property
    def accounts(self) -> dict[str, AccountSeen]:
        """Every account with what was charged to it: reserved, being read or spent, and not given back."""
        found: dict[str, AccountSeen] = {}
        charges: dict[str, tuple[tuple[str, ...], int]] = {}
        reading: set[str] = set()
        kinds = ("account_opened", "cap_raised", "charge_reserved", "charge_released", "job_reading", "job_refused", "job_cancelled")
        for entry in self.entries(*kinds):
            if entry.kind == "account_opened":
                found[entry["account"]] = AccountSeen(entry["account"], entry["account_kind"], entry["subject"], int(entry["cap"]["pico_rho"]))
            elif entry.kind == "cap_raised":
                found[entry["account"]].cap = int(entry["cap"]["pico_rho"])
            elif entry.kind == "charge_reserved":
                cost = int(entry["cost"]["pico_rho"])
                charges[entry["charge"]] = tuple(set(entry["accounts"])), cost
                for account in set(entry["accounts"]):
                    found[account].used += cost
            elif entry.kind == "job_reading":
                reading.add(entry["charge"])
            elif (charge := entry.get("charge")) and charge in charges and charge not in reading:  # no row was read: given back
                accounts, cost = charges.pop(charge)
                for account in accounts:
                    found[account].used -= cost
        return dict(sorted(found.items()))
