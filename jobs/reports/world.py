"""What stands at the end of a period, or at the newest entry of a source: people, datasets, licences, products, accounts. Followed through
the entries, a few kinds each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

from sqlalchemy import func, select

from infra.tables import account_days, charge_accounts, charges
from jobs.directory import licence_in
from jobs.documents import read_snapshot
from jobs.events import rfc3339
from jobs.reports.source import CHUNK, Entry, Source
from jobs.slots import parse_time
from policies.catalogue import Snapshot, Title
from policies.licence import Licence, LicenceState
from policies.life import LIFE, standing
from policies.period import Period
from policies.product import Description
from policies.quota import begin, period
from policies.tariff import Body, Item

LICENCE_KINDS = tuple(step.kind for step in LIFE)
_AFTER = {step.kind: step.after for step in LIFE}
_WITH_DOCUMENT = ("licence_applied", "licence_granted", "licence_amended")
_GIVING_BACK = ("charge_released", "job_refused", "job_cancelled")


@lru_cache(maxsize=4096)
def _description(document: str, body: bytes) -> Description:
    return Description.model_validate_json(body)


@dataclass(frozen=True, slots=True)
class Version:
    """A document a licence had in force from `at` on."""

    number: int
    at: str
    document: str
    licence: Licence
    by: str
    index: int


@dataclass
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

    @cached_property
    def bodies(self) -> dict[str, Body]:
        """Of all its tariffs, the newest last; asked for when every version is known."""
        return {body.id: body for version in self.versions if version.licence.tariff for body in version.licence.tariff.bodies}

    @cached_property
    def items(self) -> dict[str, Item]:
        return {item.name: item for version in self.versions if version.licence.tariff for item in version.licence.tariff.items}

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

    def __init__(self, source: Source, of: Period | None) -> None:
        self.source = source
        over = of is not None and source.moment >= of.end
        self.end = source.first_at(rfc3339(of.end)) if of is not None and over else source.size
        self.moment = of.end - timedelta(microseconds=1) if of is not None and over else source.moment

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
        entries = list(self.entries(*LICENCE_KINDS))
        held = self.source.documents(entry["document"] for entry in entries if entry.kind in _WITH_DOCUMENT)
        for entry in entries:
            seen = found.get(entry["licence"])
            if seen is None:
                seen = found[entry["licence"]] = LicenceSeen(entry["licence"], entry["operator"])
            seen.acts.append(entry)
            after = _AFTER[entry.kind]
            if after and (entry.kind != "licence_consented" or entry["complete"]):
                seen.state = after
            if entry.kind not in _WITH_DOCUMENT:
                continue
            said = licence_in(entry["document"], held[entry["document"]])  # the register keeps what its entries name
            if entry.kind == "licence_applied":
                seen.asked = said
            else:
                seen.versions.append(Version(int(entry.get("version") or 1), entry.at, entry["document"], said, entry["by"], entry.index))
        return dict(sorted(found.items()))

    @cached_property
    def makers(self) -> dict[str, str]:
        """Whose each licence is, those applied for after a period's end included: their releases are told by their own time."""
        return {entry["licence"]: entry["operator"] for entry in self.source.entries(("licence_applied", "licence_granted"))}

    @cached_property
    def datasets(self) -> dict[str, DatasetSeen]:
        """By case-folded name, with the newest version's description."""
        found: dict[str, DatasetSeen] = {}
        entries = list(self.entries("dataset_registered", "registration_moved", "version_ingested", "dataset_withdrawn"))
        held = self.source.documents(entry["document"] for entry in entries if entry.kind == "version_ingested")
        for entry in entries:
            name = entry["dataset"].casefold()
            match entry.kind:
                case "dataset_registered":
                    found[name] = DatasetSeen(entry["dataset"], None, entry["registration"])
                case "registration_moved":
                    found[name].registration = entry["to"]
                case "version_ingested":
                    body = held.get(entry["document"])
                    found[name].snapshot = None if body is None else read_snapshot(body)
                case _:
                    found[name].withdrawn |= entry["version"] is None
        return dict(sorted(found.items()))

    @cached_property
    def products(self) -> dict[str, ProductSeen]:
        found: dict[str, ProductSeen] = {}
        kinds = ("drafted", "described", "version_added", "registered", "published", "deprecated", "recalled")
        entries = list(self.entries(*(f"product_{kind}" for kind in kinds)))
        newest = {entry["product"]: entry["document"] for entry in entries if entry.kind in ("product_drafted", "product_described")}
        held = self.source.documents(newest.values())
        for entry in entries:
            if entry.kind == "product_drafted":
                body = held.get(newest[entry["product"]])
                said = None if body is None else _description(newest[entry["product"]], body)
                found[entry["product"]] = ProductSeen(entry["product"], entry["operator"], said)
                continue
            seen = found[entry["product"]]
            match entry.kind:
                case "product_described":
                    continue  # the newest is held
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
        for entry in self.entries("account_opened", "cap_raised"):
            if entry.kind == "account_opened":
                found[entry["account"]] = AccountSeen(entry["account"], entry["account_kind"], entry["subject"], int(entry["cap"]["pico_rho"]))
            else:
                found[entry["account"]].cap = int(entry["cap"]["pico_rho"])
        if found:
            self._days_before(found)
            self._last_day(found)
            self._given_back_since(found)
        return dict(sorted(found.items()))

    @cached_property
    def _day(self) -> str:
        """The day of China of the newest entry."""
        return period("day", self.source.at_of(self.end - 1))

    def _days_before(self, found: dict[str, AccountSeen]) -> None:
        """What was reserved on earlier days, less what was ever given back."""
        query = select(account_days.c.account, func.sum(account_days.c.pico_rho)).where(account_days.c.day < self._day)
        for account, used in self.source.connection.execute(query.group_by(account_days.c.account)):
            found[account].used += int(used)

    def _last_day(self, found: dict[str, AccountSeen]) -> None:
        """The charges of the newest day, entry by entry: it may go on after the source."""
        charges: dict[str, tuple[frozenset[str], int]] = {}
        reading: set[str] = set()
        start = self.source.first_at(rfc3339(begin("day", self.source.at_of(self.end - 1))))
        for entry in self.source.entries(("charge_reserved", "job_reading", *_GIVING_BACK), start, self.end):
            if entry.kind == "charge_reserved":
                charges[entry["charge"]] = frozenset(entry["accounts"]), int(entry["cost"]["pico_rho"])
            elif entry.kind == "job_reading":
                reading.add(entry["charge"])
            elif (charge := entry.get("charge")) and charge not in reading:  # no row was read
                charges.pop(charge, None)
        for accounts, cost in charges.values():
            for account in accounts:
                found[account].used += cost

    def _given_back_since(self, found: dict[str, AccountSeen]) -> None:
        """What was still charged then, though it was given back later."""
        since = [entry.get("charge") for entry in self.source.since(self.end, *_GIVING_BACK)]
        names = [charge for charge in since if charge]
        query = (
            select(charge_accounts.c.account, charges.c.pico_rho)
            .join(charges, charges.c.id == charge_accounts.c.charge)
            .where(charges.c.state == "released", charges.c.day < self._day)
        )
        for start in range(0, len(names), CHUNK):
            for account, cost in self.source.connection.execute(query.where(charges.c.id.in_(names[start : start + CHUNK]))):
                found[account].used += cost
