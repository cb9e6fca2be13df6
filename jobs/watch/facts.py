"""What rules see, and what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from jobs.events import AlertFact, AlertSeverity, Thing, ThingKind
from jobs.watch.sizes import Sizes
from policies.disclosure.predicate import Population

MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Question:
    """One measure of an admitted job. `form`: what is measured by which keys, constants, order and labels aside; `snapshots`: what it reads;
    `where`: whom it is about; `sizes`: how much of each column a set of values may take; `rows`: how many that may be, or None, in about: an
    exact number takes a hundred times as long to compare. `scheduled`: the server submitted it, on new data."""

    entry: int
    at: datetime
    who: str
    job: str
    space: str
    form: str
    snapshots: str
    where: Population
    sizes: Sizes
    rows: float | None
    scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Setback:
    """A job that was refused, or failed after rows were read."""

    entry: int
    at: datetime
    who: str
    job: str | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Attempts refused at the door, counted. `who`: the principal, or else an address or key that stands for it; `known`: it is a principal."""

    entry: int
    at: datetime
    who: str
    known: bool
    count: int


@dataclass(frozen=True, slots=True)
class Delivery:
    entry: int
    at: datetime
    who: str
    subject: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Budget:
    """An account now: shares of its cap, as fractions; `ends` as `jobs.outlook` forecasts it; `daily`: the share a day used so far on average,
    before today; `days`: over how many; `entry`: of its newest charge."""

    account: str
    entry: int | None
    used: Fraction
    today: Fraction
    daily: Fraction
    days: int
    ends: date | None


@dataclass(frozen=True, slots=True)
class Due:
    """Something that stands since a moment and should not have for so long: a review past its time, a freeze."""

    kind: ThingKind
    id: str
    entry: int | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Cosigning:
    """`first`: when the oldest entry was made that no witness has cosigned; None: all are."""

    witnesses: int
    size: int
    cosigned: int
    first: datetime | None


@dataclass(frozen=True, slots=True)
class Cells:
    """The newest probe: safeguards that did not hold and that nobody accepted."""

    entry: int
    at: datetime
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The newest audit of the server's own. `codes`: of what it found."""

    at: datetime
    size: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to raise, unless it stands already. `subject` names it within its rule; `least`: how many entries there must be that are newer
    than the last answer, for it to be raised again (0: it stands by itself, and is raised again after a while)."""

    rule: str
    severity: AlertSeverity
    subject: str
    things: tuple[Thing, ...]
    entries: tuple[int, ...]
    facts: tuple[AlertFact, ...]
    least: int = 0

    @property
    def key(self) -> str:
        return key_of(self.rule, self.subject)


def key_of(rule: str, subject: str) -> str:
    """Of one key there is one alert at a time."""
    return f"{rule}/{subject}"[:300]


def numbers(**given: object) -> tuple[AlertFact, ...]:
    return tuple(AlertFact(name=name, value=str(value)[:64]) for name, value in given.items() if value is not None)


def things(kind: ThingKind, ids: Iterable[str | None], most: int = 40) -> tuple[Thing, ...]:
    return tuple(Thing(kind=kind, id=each) for each in list(dict.fromkeys(each for each in ids if each))[:most])


def newest(entries: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(sorted({entry for entry in entries if entry is not None})[-MOST_ENTRIES:])
