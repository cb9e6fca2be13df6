"""Events by which the server says that something wants a look, people say what came of it, and two supervisors change what is looked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.events.parts import Code, Digest, Event, Text
from policies.catalogue import Model
from policies.licence import Identifier

AlertSeverity = Literal["info", "warning", "serious"]
AlertOutcome = Literal["handled", "false_alarm", "passed"]
ThingKind = Literal["principal", "job", "account", "licence", "review", "freeze", "product", "space"]
AlertKey = Annotated[str, StringConstraints(pattern=r"^[^\s\x00]{1,300}$")]


class Thing(Model):
    """What an alert is about, by its id."""

    kind: ThingKind
    id: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class AlertFact(Model):
    """A number that supervisors could count in the register themselves, or a moment, or a code: never a value of the data."""

    name: Code
    value: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class AlertRaised(Event):
    """By the server. `rules` is the digest of the rules in force, `rule` the one that found it; of one `key` there is one alert at a time that
    is not closed. `entries` are those of the log that it is found from."""

    kind = "alert_raised"
    alert: Identifier
    rule: Code
    rules: Digest
    severity: AlertSeverity
    key: AlertKey
    things: tuple[Thing, ...] = Field(default=(), max_length=100)
    entries: tuple[Annotated[int, Field(ge=0, le=2**53)], ...] = Field(default=(), max_length=100)
    facts: tuple[AlertFact, ...] = Field(default=(), max_length=20)


class AlertAcknowledged(Event):
    """By a supervisor: seen, and taken on."""

    kind = "alert_acknowledged"
    alert: Identifier
    words: Text


class AlertClosed(Event):
    """By a supervisor, of an alert that was acknowledged: `handled`, or a `false_alarm`. By the server when what it was about is over:
    `passed`."""

    kind = "alert_closed"
    alert: Identifier
    outcome: AlertOutcome
    words: Text | None = None


class AlertRulesProposed(Event):
    """`document` holds the text of a set of rules; `rules` is the digest that alerts under it will carry, `name` and `version` what it calls
    itself; `before` the document in force (None: the rules that the program comes with)."""

    kind = "alert_rules_proposed"
    rules: Digest
    name: Identifier
    version: int = Field(ge=1)
    before: Digest | None
    document: Digest
    reason: Text


class AlertRulesChanged(Event):
    """In force from this entry on, in every server process."""

    kind = "alert_rules_changed"
    rules: Digest
    before: Digest | None
    document: Digest
    proposal: int = Field(ge=0)
