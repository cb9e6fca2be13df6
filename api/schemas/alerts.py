"""Alerts and the rules they are raised by, over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from jobs.watch.rules import TEXT_LIMIT

_TEXT = 'name = "own"\nversion = 2\n…'
_ALERT: dict[str, Any] = {
    "id": "alt-rgnysmdx35d5oq6j",
    "entry": 43,
    "rule": "averaging",
    "title_zh": "反复提问",
    "title_en": "The same question, paid for again and again",
    "sees_zh": "同一单位短期内多次付费提出几乎相同的问题。",
    "sees_en": "One operator paid for nearly one question many times.",
    "then_zh": "核对用途。",
    "then_en": "Ask what for.",
    "severity": "warning",
    "state": "open",
    "things": [{"kind": "principal", "id": "op-1"}, {"kind": "job", "id": "job-1"}],
    "entries": [27, 30, 33],
    "facts": [{"name": "questions", "value": "6", "zh": "问题数", "en": "questions"}],
    "rules": "ab" * 32,
    "raised_at": "2026-11-22T08:00:00.000000Z",
    "acknowledged_by": None,
    "acknowledged_at": None,
    "words": None,
    "closed_by": None,
    "closed_at": None,
    "outcome": None,
    "outcome_words": None,
}
_RULE: dict[str, Any] = {
    "id": "averaging",
    "kind": "averaging",
    "severity": "warning",
    "title_zh": "反复提问",
    "title_en": "The same question, paid for again and again",
    "sees_zh": "同一单位短期内多次付费提出几乎相同的问题。",
    "sees_en": "One operator paid for nearly one question many times.",
    "numbers": {"questions": 6, "window_h": 168, "percent": 1},
    "source": "Dwork and Roth 2014, section 3.3",
    "simulated_a_month": 0,
    "raised": 2,
    "open": 1,
    "handled": 0,
    "false_alarms": 1,
    "passed": 0,
}
_SET: dict[str, Any] = {"rules": "ab" * 32, "name": "default", "version": 1, "title_zh": "通用", "title_en": "General", "document": None}
_VERSION: dict[str, Any] = {
    "entry": 118,
    "rules": "ab" * 32,
    "name": "own",
    "version": 2,
    "before": None,
    "document": "cd" * 32,
    "text": _TEXT,
    "reason": "夜间处理已商定",
    "proposed_by": "li",
    "proposed_at": "2026-11-22T08:00:00.000000Z",
    "changed_by": None,
    "since": None,
    "changed_at": None,
}
Severity = Literal["info", "warning", "serious"]
State = Literal["open", "acknowledged", "closed"]


class AlertThing(Closed):
    """What an alert is about."""

    kind: Literal["principal", "job", "account", "licence", "review", "freeze", "product", "space"]
    id: str


class AlertFactView(Closed):
    """A number that can be counted in the register."""

    name: str
    value: str
    zh: str
    en: str


class AlertView(Closed):
    """`entries`: of the log, that it was found from; `entry`: its own; `rules`: the digest of the rules it was raised by. `sees` says what its
    rule looks for, `then` what may be done."""

    model_config = ConfigDict(json_schema_extra=example(**_ALERT))

    id: str
    entry: int
    rule: str
    title_zh: str
    title_en: str
    sees_zh: str
    sees_en: str
    then_zh: str
    then_en: str
    severity: Severity
    state: State
    things: list[AlertThing]
    entries: list[int]
    facts: list[AlertFactView]
    rules: str
    raised_at: str
    acknowledged_by: str | None
    acknowledged_at: str | None
    words: str | None
    closed_by: str | None
    closed_at: str | None
    outcome: Literal["handled", "false_alarm", "passed"] | None
    outcome_words: str | None


class AlertList(Closed):
    """Newest first. `open`: how many nobody has acknowledged, by severity, whatever was asked for. `next`: what `before` takes for the page
    that follows, null on the last."""

    model_config = ConfigDict(json_schema_extra=example(alerts=[_ALERT], open={"serious": 0, "warning": 1, "info": 0}, next=None))

    alerts: list[AlertView]
    open: dict[str, int]
    next: int | None


class AlertWords(Closed):
    model_config = ConfigDict(json_schema_extra=example(words="已联系运营单位核实"))

    words: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class AlertOutcomeGiven(AlertWords):
    model_config = ConfigDict(json_schema_extra=example(outcome="false_alarm", words="年度普查，事先报备"))

    outcome: Literal["handled", "false_alarm"]


class AlertRuleView(Closed):
    """A rule in force with its numbers; `simulated_a_month`: false alarms it raised over the simulated month of honest work, null where the
    rules are not those shipped; then what became of its alerts here."""

    model_config = ConfigDict(json_schema_extra=example(**_RULE))

    id: str
    kind: str
    severity: Severity
    title_zh: str
    title_en: str
    sees_zh: str
    sees_en: str
    numbers: dict[str, int]
    source: str
    simulated_a_month: int | None
    raised: int
    open: int
    handled: int
    false_alarms: int
    passed: int


class AlertRulesView(Closed):
    """`rules` is the digest that alerts carry; `document` names its text in the register, null for the set the program comes with."""

    model_config = ConfigDict(json_schema_extra=example(**_SET, text=_TEXT, each=[_RULE]))

    rules: str
    name: str
    version: int
    title_zh: str
    title_en: str
    document: str | None
    text: str
    each: list[AlertRuleView]


class AlertRulesVersion(Closed):
    """A set that was proposed. `since`: the entry that brought it into force, null while it is only proposed."""

    model_config = ConfigDict(json_schema_extra=example(**_VERSION))

    entry: int
    rules: str
    name: str
    version: int
    before: str | None
    document: str
    text: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None


class AlertRulesList(Closed):
    """The set in force, and every one proposed, newest first; `shipped`: the text that the program comes with, to begin a change from."""

    model_config = ConfigDict(json_schema_extra=example(in_force={**_SET, "text": _TEXT, "each": [_RULE]}, shipped=_TEXT, versions=[_VERSION]))

    in_force: AlertRulesView
    shipped: str
    versions: list[AlertRulesVersion]


class AlertRulesText(Closed):
    """As a TOML file states it; docs/alerts.md lists the kinds of rule."""

    model_config = ConfigDict(json_schema_extra=example(text=_TEXT))

    text: str = Field(max_length=TEXT_LIMIT)


class AlertRulesProposal(AlertRulesText):
    model_config = ConfigDict(json_schema_extra=example(text=_TEXT, reason=_VERSION["reason"]))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class AlertRulesChecked(Closed):
    """What alerts would name the set by."""

    model_config = ConfigDict(json_schema_extra=example(rules="ab" * 32, name="own", version=2, count=17))

    rules: str
    name: str
    version: int
    count: int
