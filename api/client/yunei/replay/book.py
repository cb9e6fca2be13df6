"""The book an auditor keeps while reading a log, and what every rule needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from yunei.problem import problem
from yunei.replay.alarms import Alerts
from yunei.replay.bill import Bill
from yunei.replay.lane import Lane

Event = Mapping[str, Any]
UNITS = ("pico_rho", "atto_delta")
LIMIT = 10**18


WINDOWS = {"day": 10, "month": 7}  # and how many characters of a date name one


@dataclass(slots=True)
class Pace:
    """At most `cap` in one day or month; `used` is of `period`."""

    cap: tuple[int, int]
    period: str
    used: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Account:
    """Amounts are pairs (pico-rho, atto-delta)."""

    cap: tuple[int, int]
    reserved: tuple[int, int] = (0, 0)
    spent: tuple[int, int] = (0, 0)
    paces: dict[str, Pace] = field(default_factory=dict)  # by window

    def take(self, window: str, day: str, cost: tuple[int, int], sign: int = 1) -> None:
        """Count a charge reserved on `day` in a window, if the window is still, or only now, about that day."""
        pace, now = self.paces[window], day[: WINDOWS[window]]
        if sign > 0 and now > pace.period:
            pace.period, pace.used = now, (0, 0)
        if now == pace.period:
            pace.used = plus(pace.used, cost, sign)


@dataclass(slots=True)
class Charge:
    job: str
    cost: tuple[int, int]
    accounts: tuple[str, ...]
    day: str  # it was reserved on, in China
    state: str = "reserved"


@dataclass(slots=True)
class Program:
    author: str
    name: str
    state: str = "submitted"
    reviewers: dict[str, int] = field(default_factory=dict)  # with the entry of their review


@dataclass(slots=True)
class Product:
    """`versions`: the releases of each that stands; `entitled`: until when (None: without a bound), by builder."""

    operator: str
    document: str
    state: str = "draft"
    columns: str | None = None
    added: int = 0
    versions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    licences: dict[int, str] = field(default_factory=dict)
    entitled: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Schedule:
    """`ran`: on what; at most `at_most`. `running`: what it totals, period by period, and how many periods are done with all it has run."""

    operator: str
    licence: str
    at_most: int
    active: bool = True
    ran: set[str] = field(default_factory=set)
    running: tuple[str, ...] | None = None
    done: int = 0


@dataclass(slots=True)
class ReportOrder:
    """`subject` None: all; `next`: the first period that was not issued."""

    kind: str
    every: str
    subject: str | None
    next: str
    open: bool = True


@dataclass(slots=True)
class Meter:
    """What one operator had under one licence. `compute_ms` is of public slots, `deliveries` of its releases to builders."""

    releases: int = 0
    deliveries: int = 0
    rows: int = 0
    bytes: int = 0
    compute_ms: int = 0
    cost: tuple[int, int] = (0, 0)


class Contradiction(Exception):
    """An entry contradicts those before it."""


def plus(left: tuple[int, int], right: tuple[int, int], sign: int = 1) -> tuple[int, int]:
    return left[0] + sign * right[0], left[1] + sign * right[1]


def period(window: str, at: str) -> str:
    """The day or month of China (UTC+8) that an entry's time lies in."""
    return (datetime.fromisoformat(at) + timedelta(hours=8)).date().isoformat()[: WINDOWS[window]]


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


Rule = Callable[["Book", Event, int], None]
RULES: dict[str, Rule] = {}  # by kind of event; filled by the package
WATCHES: dict[str, Rule] = {}  # what is noted of an entry besides, after its own rule
BEFORE: list[Callable[[Book, Event], None]] = []  # asked before each entry: does it follow the one before?
ENDS: list[Callable[[Book], None]] = []  # asked after the last one


@dataclass
class Book:
    """The state after the entries applied so far."""

    at: str = ""
    kinds: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)  # the job that was admitted last to answer each
    licences: dict[str, str] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)  # by licence
    terms: dict[str, tuple[str, str]] = field(default_factory=dict)  # by licence: from, until before
    agreements: dict[str, int] = field(default_factory=dict)  # by licence: version of its document
    seals: list[tuple[int, str, str, int, tuple[str, ...]]] = field(default_factory=list)  # of licences: entry, note, document, version, keys
    withdrawn: set[str] = field(default_factory=set)  # licences whose products are handed to nobody any more
    people: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)  # by principal
    keys: dict[str, str] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)  # principal by key
    subjects: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)  # newest version by case-folded name
    registrations: dict[str, str] = field(default_factory=dict)  # how far, by case-folded name
    withdrawals: set[tuple[str, int | None]] = field(default_factory=set)  # ever: dataset, and the version or None for good
    destroyed: set[tuple[str, int | None]] = field(default_factory=set)
    masters: list[str] = field(default_factory=list)  # master keys, once one was changed, in their order
    retired: set[str] = field(default_factory=set)  # of them
    generations: dict[str, int] = field(default_factory=dict)  # of datasets' keys, where changed
    taken_back: set[tuple[str, int | None]] = field(default_factory=set)  # withdrawn: dataset, and its newest version or None for good
    releases: dict[str, str] = field(default_factory=dict)  # release → SHA-256 of its table
    products: set[str] = field(default_factory=set)  # SHA-256 of everything published or delivered
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)  # job that is not over → operator, licence
    origins: dict[str, tuple[str, str, Charge]] = field(default_factory=dict)  # release → operator, licence, what paid for it
    freezes: dict[str, str] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)  # in force: freeze → what it stops
    policies: list[str] = field(default_factory=list)  # documents, in the order they came into force
    packs: list[tuple[str, str]] = field(default_factory=list)  # documents and rule packs, in the order they came into force
    programs: dict[str, Program] = field(default_factory=dict)
    products_made: dict[str, Product] = field(default_factory=dict)
    product_codes: set[str] = field(default_factory=set)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    meters: dict[tuple[str, str], Meter] = field(default_factory=dict)  # by operator and licence
    proposals: dict[int, Event] = field(default_factory=dict)
    log_keys: list[str] = field(default_factory=list)  # that sign now, once the log has changed its key
    bill: Bill = field(default_factory=Bill)
    lane: Lane = field(default_factory=Lane)
    alerts: Alerts = field(default_factory=Alerts)
    reports: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # issued: entry, size and root it was made from
    report_orders: dict[str, ReportOrder] = field(default_factory=dict)
    report_told: tuple[int, str, str, str | None, str | None] | None = None  # the newest report: entry, id, kind, period, subject
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
            for ask in BEFORE:
                ask(self, event)
            rule = RULES.get(kind)
            if rule is None:
                self.unknown[kind] = self.unknown.get(kind, 0) + 1
            else:
                rule(self, event, index)
            if kind in WATCHES:
                WATCHES[kind](self, event, index)
        except Contradiction as found:
            raise problem("verify_replay", index=index, what=str(found)) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise problem("verify_replay", index=index, what=f"unreadable: {type(error).__name__} {error}"[:200]) from None

    def finish(self) -> None:
        """Every account once more, by another way: the sum over its charges. Raises `verify_replay`."""
        try:
            for ask in ENDS:
                ask(self)
        except Contradiction as found:
            raise problem("verify_replay", index=sum(self.kinds.values()) - 1, what=str(found)) from None
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
            for window in account.paces if after == "released" else ():
                account.take(window, charge.day, charge.cost, -1)
        charge.state = after
        return charge

    def step(self, job: str, before: tuple[str, ...], after: str) -> None:
        require(self.jobs.get(job) in before, f"job {job} is {self.jobs.get(job, 'unknown')} and cannot become {after}")
        self.jobs[job] = after
        if after in ("published", "refused", "cancelled", "forfeited", "rejected"):
            self.asked.pop(job, None)

    def unfrozen(self, operators: tuple[str, ...], licence: str, charge: Charge) -> None:
        """Nothing of what is named is stopped at this entry, nor a protected dataset that was charged."""
        if self.frozen:
            datasets = (account for account in charge.accounts if account.startswith("dataset:"))
            named = {"everything:", f"licence:{licence}", *(f"operator:{operator}" for operator in operators), *datasets}
            for freeze, what in self.frozen.items():
                require(what not in named, f"something leaves although freeze {freeze} stops {what}")


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def second(book: Book, event: Event, proposed: Mapping[str, Any]) -> None:
    """The act names the proposal of the same thing by another person."""
    first = book.proposals.get(event["proposal"])
    same = first is not None and first["by"] != event["by"] and all(first.get(name) == value for name, value in proposed.items())
    require(same, f"entry {event['proposal']} is not another person's proposal of the same")


def acts_as(book: Book, event: Event, role: str, *, system: bool = False) -> None:
    """Who acts is registered in this role and active; with `system`, or runs the server's own command line."""
    by = event["by"]
    fits = (book.people.get(by) == "active" and book.roles.get(by) == role) or (system and by == "system")
    require(fits, f"{by} is not an active {role}")


def proposed(book: Book, event: Event, index: int) -> None:
    book.proposals[index] = event


def moves(table: str, what: str, before: tuple[str, ...], after: str) -> Rule:
    def rule(book: Book, event: Event, _index: int) -> None:
        rows: dict[str, str] = getattr(book, table)
        require(rows.get(event[what]) in before, f"{what} {event[what]} is {rows.get(event[what], 'unknown')}")
        rows[event[what]] = after

    return rule
