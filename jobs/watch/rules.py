"""What is looked for, as data: a TOML file of rules, named, versioned and digested.

A rule is of a kind – what it looks at, one function in `questions`, `conduct` or `standing` – with its numbers, how serious what it finds
is, and where the numbers come from. The audit and cosigning cannot be taken out: who changes the rules could otherwise stop being watched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import rfc8785
from pydantic import Field, ValidationError, model_validator

from jobs.events import AlertSeverity, Code
from policies.catalogue import Model, Title
from policies.licence import Identifier
from policies.problem import declare
from policies.reasons import Fault, all_wrong, explained, parse_toml, reasons_of

TEXT_LIMIT = 65_536
ALERT_RULES_INVALID = declare(
    "alert_rules_invalid",
    zh=("监测规则有误", "共 {count} 处有误；第一处在 {path}：{reason_zh}。", "请按各条说明改正。"),
    en=("The alert rules are not valid", "{count} faults; the first at {path}: {reason_en}.", "Correct each part as described."),
)

Hours = Annotated[int, Field(ge=1, le=24 * 60)]
Many = Annotated[int, Field(ge=1, le=100)]  # what is counted in entries: an alert names at most a hundred
Percent = Annotated[int, Field(ge=0, le=100)]


class _Rule(Model):
    """What every rule has. `again_h`: how long after it was answered for something that still stands is raised once more."""

    id: Code
    severity: AlertSeverity
    again_h: int = Field(default=168, ge=1, le=24 * 365)
    source: str = Field(min_length=1, max_length=500)


class Averaging(_Rule):
    """One operator paid `questions` times within `window_h` for one measure over populations no more than `percent` of their rows apart."""

    kind: Literal["averaging"]
    questions: Annotated[int, Field(ge=3, le=100)]
    window_h: Hours
    percent: Annotated[int, Field(ge=0, le=20)]


class Sweep(_Rule):
    """One operator asked one measure of `populations` different populations within `window_h`, each expected to be of `rows` rows at most."""

    kind: Literal["sweep"]
    populations: Many
    window_h: Hours
    rows: int = Field(ge=1, le=10**9)


class Differencing(_Rule):
    """One operator asked for `pairs` pairs of populations, one within the other, with at most `rows` rows expected between them."""

    kind: Literal["differencing"]
    pairs: Annotated[int, Field(ge=1, le=50)]
    window_h: Hours
    rows: int = Field(ge=1, le=10**9)


class Collusion(_Rule):
    """`operators` operators, each with `questions` questions, about one population of at most `rows` rows, or about populations that differ by
    no more."""

    kind: Literal["collusion"]
    operators: Annotated[int, Field(ge=2, le=20)]
    questions: Annotated[int, Field(ge=1, le=20)]
    window_h: Hours
    rows: int = Field(ge=1, le=10**9)


class Probing(_Rule):
    """An operator's jobs were refused `refused` times within `window_h`, and that is at least `percent` of what it submitted."""

    kind: Literal["probing"]
    refused: Many
    window_h: Hours
    percent: Percent


class Failures(_Rule):
    """`failed` jobs of one operator failed after rows were read: each failure may tell one bit."""

    kind: Literal["failures"]
    failed: Many
    window_h: Hours


class Refusals(_Rule):
    """One caller was refused at the door `attempts` times within `window_h`."""

    kind: Literal["refusals"]
    attempts: int = Field(ge=1, le=10**6)
    window_h: Hours


class UnusualHours(_Rule):
    """`questions` questions on one day, at hours at which the operator never worked on days of that sort in `history_days`, of which at least
    `active_days` are known."""

    kind: Literal["hours"]
    questions: Many
    history_days: Annotated[int, Field(ge=7, le=60)]
    active_days: Annotated[int, Field(ge=3, le=60)]


class Volume(_Rule):
    """A builder had more than `factor` times the most of any day in `history_days` delivered on one day, and at least `deliveries`, or at least
    `megabytes`. A builder without history is measured by the least alone."""

    kind: Literal["volume"]
    factor: Annotated[int, Field(ge=2, le=1000)]
    history_days: Annotated[int, Field(ge=7, le=60)]
    deliveries: int = Field(ge=1, le=10**6)
    megabytes: int = Field(ge=1, le=10**6)


class Forecast(_Rule):
    """At its present rate an account's cap is reached within `days`, with at least `percent` used already."""

    kind: Literal["forecast"]
    days: Annotated[int, Field(ge=1, le=365)]
    percent: Percent


class Exhaustion(_Rule):
    """An account is used to `percent`."""

    kind: Literal["exhaustion"]
    percent: Annotated[int, Field(ge=1, le=100)]


class Burn(_Rule):
    """An account lost `percent` of its cap in one day, and `factor` times its average day."""

    kind: Literal["burn"]
    factor: Annotated[int, Field(ge=2, le=1000)]
    percent: Annotated[int, Field(ge=1, le=100)]


class Cosigned(_Rule):
    """The oldest entry that no witness cosigned is `lag_h` old, though there are witnesses."""

    kind: Literal["cosigned"]
    lag_h: Hours


class Audited(_Rule):
    """The server's own audit found something."""

    kind: Literal["audited"]


class Overdue(_Rule):
    """A review is `late_h` past its time."""

    kind: Literal["overdue"]
    late_h: int = Field(ge=0, le=24 * 365)


class Frozen(_Rule):
    """A freeze stands for `days`."""

    kind: Literal["frozen"]
    days: Annotated[int, Field(ge=1, le=365)]


class Degraded(_Rule):
    """Safeguards of cells do not hold, and the administrator did not accept to do without."""

    kind: Literal["degraded"]


Rule = Annotated[
    Averaging
    | Sweep
    | Differencing
    | Collusion
    | Probing
    | Failures
    | Refusals
    | UnusualHours
    | Volume
    | Forecast
    | Exhaustion
    | Burn
    | Cosigned
    | Audited
    | Overdue
    | Frozen
    | Degraded,
    Field(discriminator="kind"),
]
KEPT = ("audited", "cosigned")  # kinds that no change takes out


def kind_in(rule_id: str) -> str:
    """The kind that a rule's id names.

    >>> kind_in("averaging-important")
    'averaging'
    """
    return rule_id.partition("-")[0]


class RuleSet(Model):
    """`version` counts up with each change; a rule's id is its own within the set. What is not in the set is not looked for."""

    name: Identifier
    version: int = Field(ge=1)
    title: Title
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=100)

    @property
    def digest(self) -> str:
        """SHA-256 of its canonical JSON (RFC 8785): what alerts raised under it carry."""
        return hashlib.sha256(rfc8785.dumps(json.loads(self.model_dump_json()))).hexdigest()

    @property
    def back_days(self) -> int:
        """How far back any rule looks, in days."""
        hours = [getattr(rule, "window_h", 0) for rule in self.rules]
        days = [getattr(rule, "history_days", 0) for rule in self.rules]
        return max([1, *(hour // 24 + 1 for hour in hours), *(day + 1 for day in days)])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise all_wrong(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for number, rule in enumerate(self.rules):
            if rule.id in seen:
                yield Fault(("rules", number, "id"), "规则编号重复", "two rules have this id")
            seen.add(rule.id)
            if kind_in(rule.id) != rule.kind:
                yield Fault(
                    ("rules", number, "id"), "规则编号为其种类，或以种类加 - 开头", "a rule's id is its kind, or its kind, a hyphen and more"
                )
        for kind in KEPT:
            if not any(rule.kind == kind for rule in self.rules):
                yield Fault(("rules",), f"须有一条 {kind} 规则", f"a set has a rule {kind}")


def rules_from_toml(text: str) -> RuleSet:
    """Raises `alert_rules_invalid`, one located part for each fault."""
    document = parse_toml(text, ALERT_RULES_INVALID)
    try:
        return RuleSet.model_validate(document)
    except ValidationError as error:
        raise explained(ALERT_RULES_INVALID, reasons_of(error, document)) from None


def shipped_rules_text() -> str:
    return Path(__file__).with_name("default.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def shipped_rules() -> RuleSet:
    return rules_from_toml(shipped_rules_text())
