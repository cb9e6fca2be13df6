"""A log's events played again, from their JSON alone: every account, charge, release and meter reading recomputed.

Written for an auditor, apart from the server and sharing none of its code: what the log says must make sense by the rules below, whoever
wrote it. The first entry that does not raises `verify_replay`, with its index and what is wrong. Only the standard library is needed.

Rules. Time does not run backwards; an entry has one spelling (RFC 8785). An account is opened once, its cap only rises, and by two people.
A charge fits every account it names, all or none, and spent + reserved never exceeds a cap. Before the first row is read a charge may be
given back; afterwards it is spent or forfeited. Nothing is published that was not spent: one charge, one release, one meter reading, of the
same loss. What is delivered was published. Licences, people and keys are in a state for what is done under them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yunei.problem import problem

Event = Mapping[str, Any]
UNITS = ("pico_rho", "atto_delta")
LIMIT = 10**18


@dataclass(slots=True)
class Account:
    """Amounts are pairs (pico-rho, atto-delta)."""

    cap: tuple[int, int]
    reserved: tuple[int, int] = (0, 0)
    spent: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Charge:
    job: str
    cost: tuple[int, int]
    accounts: tuple[str, ...]
    state: str = "reserved"


@dataclass(slots=True)
class Meter:
    """What one operator had under one licence."""

    releases: int = 0
    rows: int = 0
    bytes: int = 0
    cost: tuple[int, int] = (0, 0)


class Contradiction(Exception):
    """An entry contradicts those before it."""


def plus(left: tuple[int, int], right: tuple[int, int], sign: int = 1) -> tuple[int, int]:
    return left[0] + sign * right[0], left[1] + sign * right[1]


def require(holds: object, what: str) -> None:
    if not holds:
        raise Contradiction(what)


def amount(value: Any) -> tuple[int, int]:
    require(isinstance(value, dict) and set(value) == set(UNITS), "an amount has two parts")
    for part in value.values():
        require(isinstance(part, str) and part.isascii() and part.isdigit() and part == str(int(part)), "an amount is a whole decimal string")
    pair = int(value["pico_rho"]), int(value["atto_delta"])
    require(max(pair) <= LIMIT, "an amount is beyond every cap")
    return pair


@dataclass
class Book:
    """The state after the entries applied so far."""

    at: str = ""
    kinds: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)  # newest version by case-folded name
    releases: dict[str, str] = field(default_factory=dict)  # release → SHA-256 of its table
    products: set[str] = field(default_factory=set)  # SHA-256 of everything published or delivered
    meters: dict[tuple[str, str], Meter] = field(default_factory=dict)  # by operator and licence
    proposals: dict[int, Event] = field(default_factory=dict)
    log_keys: list[str] = field(default_factory=list)  # that sign now, once the log has changed its key
    unknown: dict[str, int] = field(default_factory=dict)  # kinds these rules say nothing about

    def apply(self, index: int, entry: bytes) -> None:
        """Take one entry, in order. Raises `verify_replay`."""
        try:
            event = json.loads(entry)
            require(isinstance(event, dict) and canonical(event) == entry, "not in canonical form")
            kind, at = event["kind"], event["at"]
            require(isinstance(at, str) and at >= self.at, "time runs backwards")
            self.at = at
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            rule = RULES.get(kind)
            if rule is None:
                self.unknown[kind] = self.unknown.get(kind, 0) + 1
            else:
                rule(self, event, index)
        except Contradiction as found:
            raise problem("verify_replay", index=index, what=str(found)) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise problem("verify_replay", index=index, what=f"unreadable: {type(error).__name__} {error}"[:200]) from None

    def finish(self) -> None:
        """Every account once more, by another way: the sum over its charges. Raises `verify_replay`."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for charge in self.charges.values():
            column = {"reserved": "reserved", "reading": "reserved", "spent": "spent", "forfeited": "spent"}.get(charge.state)
            for name in charge.accounts if column else ():
                sums[name, str(column)] = plus(sums.get((name, str(column)), (0, 0)), charge.cost)
        for name, account in self.accounts.items():
            told = sums.get((name, "reserved"), (0, 0)), sums.get((name, "spent"), (0, 0))
            if told != (account.reserved, account.spent):
                raise problem("verify_replay", index=sum(self.kinds.values()) - 1, what=f"account {name} is not the sum of its charges")

    def move(self, charge_id: str, before: tuple[str, ...], after: str, job: str | None = None) -> Charge:
        charge = self.charges.get(charge_id)
        if charge is None or charge.state not in before or (job is not None and charge.job != job):
            raise Contradiction(f"charge {charge_id} is {'unknown' if charge is None else charge.state} and cannot become {after}")
        was_open, is_open = charge.state in ("reserved", "reading"), after in ("reserved", "reading")
        for name in charge.accounts if was_open and not is_open else ():
            account = self.accounts[name]
            account.reserved = plus(account.reserved, charge.cost, -1)
            if after in ("spent", "forfeited"):
                account.spent = plus(account.spent, charge.cost)
        charge.state = after
        return charge

    def step(self, job: str, before: tuple[str, ...], after: str) -> None:
        require(self.jobs.get(job) in before, f"job {job} is {self.jobs.get(job, 'unknown')} and cannot become {after}")
        self.jobs[job] = after


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _second(book: Book, event: Event, proposed: Mapping[str, Any]) -> None:
    """The act names the proposal of the same thing by another person."""
    first = book.proposals.get(event["proposal"])
    same = first is not None and first["by"] != event["by"] and all(first.get(name) == value for name, value in proposed.items())
    require(same, f"entry {event['proposal']} is not another person's proposal of the same")


def _opened(book: Book, event: Event, _index: int) -> None:
    name = event["account"]
    require(name not in book.accounts, f"account {name} is opened twice")
    require(name.partition(":")[0] == event["account_kind"], f"account {name} is of another kind")
    book.accounts[name] = Account(amount(event["cap"]))


def _cap(book: Book, event: Event, _index: int) -> None:
    _second(book, event, {"kind": "cap_raise_proposed", "account": event["account"], "cap": event["cap"]})
    account, cap = book.accounts.get(event["account"]), amount(event["cap"])
    if account is None or cap == account.cap or cap[0] < account.cap[0] or cap[1] < account.cap[1]:
        raise Contradiction(f"the cap of {event['account']} is not raised")
    account.cap = cap


def _reserved(book: Book, event: Event, _index: int) -> None:
    charge = Charge(event["job"], amount(event["cost"]), tuple(event["accounts"]))
    require(event["charge"] not in book.charges, f"charge {event['charge']} is made twice")
    require(charge.accounts and len(set(charge.accounts)) == len(charge.accounts), "a charge names each account once")
    for name in charge.accounts:
        account = book.accounts.get(name)
        if account is None:
            raise Contradiction(f"account {name} was never opened")
        account.reserved = plus(account.reserved, charge.cost)
        total = plus(account.spent, account.reserved)
        require(total[0] <= account.cap[0] and total[1] <= account.cap[1], f"account {name} is over its cap")
    book.charges[event["charge"]] = charge


def _submitted(book: Book, event: Event, _index: int) -> None:
    require(event["job"] not in book.jobs, f"job {event['job']} is submitted twice")
    book.jobs[event["job"]] = "submitted"


def _refused(book: Book, event: Event, _index: int) -> None:
    if event["job"] is not None:
        book.step(event["job"], ("submitted", "admitted"), "refused")
        if event["charge"] is not None:
            book.move(event["charge"], ("reserved",), "released", event["job"])


def _cancelled(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("admitted", "reading", "spent", "staged"), "cancelled")
    if event["charge"] is not None:
        free = event["charge"] in book.charges and book.charges[event["charge"]].state == "reserved"
        book.move(event["charge"], ("reserved", "reading", "spent"), "released" if free else "forfeited", event["job"])


def _reading(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("admitted",), "reading")
    book.move(event["charge"], ("reserved",), "reading", event["job"])


def _spent(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("reading",), "spent")
    book.move(event["charge"], ("reading",), "spent", event["job"])


def _forfeited(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("reading", "spent", "staged"), "forfeited")
    book.move(event["charge"], ("reading", "spent"), "forfeited", event["job"])


def _published(book: Book, event: Event, _index: int) -> None:
    charge, cost = book.charges.get(event["charge"]), amount(event["cost"])
    if charge is None or charge.state != "spent" or charge.job != event["job"] or charge.cost != cost:
        raise Contradiction(f"release {event['release']} was not paid for with charge {event['charge']}")
    book.step(event["job"], ("staged",), "published")
    require(event["release"] not in book.releases, f"release {event['release']} is published twice")
    require(book.licences.get(event["licence"]) == "active", f"licence {event['licence']} is not in force")
    book.releases[event["release"]] = event["table_sha256"]
    book.products.add(event["table_sha256"])
    meter = book.meters.setdefault((event["operator"], event["licence"]), Meter())
    meter.releases, meter.rows, meter.bytes = meter.releases + 1, meter.rows + event["rows"], meter.bytes + event["bytes"]
    meter.cost = plus(meter.cost, cost)


def _reused(book: Book, event: Event, _index: int) -> None:
    require(event["release"] in book.releases, f"release {event['release']} was never published")
    book.step(event["job"], ("submitted",), "published")


def _delivered(book: Book, event: Event, _index: int) -> None:
    require(event["release"] in book.releases, f"release {event['release']} was never published")
    require(event["format"] != "arrow" or event["sha256"] == book.releases[event["release"]], "the table delivered is not the one published")
    book.products.add(event["sha256"])


def _granted(book: Book, event: Event, _index: int) -> None:
    require(event["licence"] not in book.licences, f"licence {event['licence']} is granted twice")
    if event["proposal"] is not None:
        _second(book, event, {"kind": "licence_proposed", "licence": event["licence"], "document": event["document"]})
    book.licences[event["licence"]] = "active"


def _registered(book: Book, event: Event, _index: int) -> None:
    require(event["principal"] not in book.people, f"{event['principal']} is registered twice")
    book.people[event["principal"]] = "active"


def _dataset(book: Book, event: Event, _index: int) -> None:
    require(event["dataset"].casefold() not in book.datasets, f"dataset {event['dataset']} is registered twice")
    book.datasets[event["dataset"].casefold()] = 0


def _version(book: Book, event: Event, _index: int) -> None:
    now = book.datasets.get(event["dataset"].casefold())
    require(now is not None and event["version"] > now, f"version {event['version']} of {event['dataset']} does not follow {now}")
    book.datasets[event["dataset"].casefold()] = event["version"]


def _issued(book: Book, event: Event, _index: int) -> None:
    require(book.people.get(event["principal"]) == "active", f"{event['principal']} is not registered and active")
    require(event["prefix"] not in book.keys, f"key {event['prefix']} is issued twice")
    book.keys[event["prefix"]] = "active"


def _proposed(book: Book, event: Event, index: int) -> None:
    book.proposals[index] = event


def _announced(book: Book, event: Event, _index: int) -> None:
    require(book.log_keys in ([], [event["under"]]), "a key is announced under one that does not sign alone")
    book.log_keys = [event["under"], event["vkey"]]


def _retired(book: Book, event: Event, _index: int) -> None:
    require(len(book.log_keys) == 2 and book.log_keys[0] == event["vkey"], "a key retires that has no successor")
    del book.log_keys[0]


def _moves(table: str, what: str, before: tuple[str, ...], after: str) -> Callable[[Book, Event, int], None]:
    def rule(book: Book, event: Event, _index: int) -> None:
        rows: dict[str, str] = getattr(book, table)
        require(rows.get(event[what]) in before, f"{what} {event[what]} is {rows.get(event[what], 'unknown')}")
        rows[event[what]] = after

    return rule


RULES: dict[str, Callable[[Book, Event, int], None]] = {
    "account_opened": _opened,
    "cap_raise_proposed": _proposed,
    "cap_raised": _cap,
    "charge_released": lambda book, event, _: (book.move(event["charge"], ("reserved",), "released"), None)[1],
    "charge_reserved": _reserved,
    "dataset_registered": _dataset,
    "job_admitted": _moves("jobs", "job", ("submitted",), "admitted"),
    "job_cancelled": _cancelled,
    "job_forfeited": _forfeited,
    "job_reading": _reading,
    "job_refused": _refused,
    "job_spent": _spent,
    "job_staged": _moves("jobs", "job", ("spent",), "staged"),
    "job_submitted": _submitted,
    "key_issued": _issued,
    "key_revoked": _moves("keys", "prefix", ("active",), "revoked"),
    "licence_granted": _granted,
    "licence_proposed": _proposed,
    "licence_resumed": _moves("licences", "licence", ("suspended",), "active"),
    "licence_revoked": _moves("licences", "licence", ("active", "suspended"), "revoked"),
    "licence_suspended": _moves("licences", "licence", ("active",), "suspended"),
    "log_key_announced": _announced,
    "log_key_retired": _retired,
    "principal_registered": _registered,
    "principal_resumed": _moves("people", "principal", ("suspended",), "active"),
    "principal_suspended": _moves("people", "principal", ("active",), "suspended"),
    "product_delivered": _delivered,
    "release_published": _published,
    "release_reused": _reused,
    "version_ingested": _version,
}
