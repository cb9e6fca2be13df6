"""Alerts and the rules they are raised by: the part of the client that lists, answers, proposes and confirms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from yunei.said import Said
from yunei.transport import Http
from yunei.words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Said):
    """`title`, `sees` and `then` in the client's language; `things` are what it is about, `entries` those of the log that it was found from."""

    id: str
    entry: int
    rule: str
    title: str
    sees: str
    then: str
    severity: str
    state: str
    things: tuple[Mapping[str, str], ...]
    entries: tuple[int, ...]
    facts: tuple[Mapping[str, str], ...]
    raised_at: str
    acknowledged_by: str | None
    words: str | None
    closed_by: str | None
    outcome: str | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        said = {name: str(data[name]) for name in ("id", "rule", "severity", "state", "raised_at")}
        told = {name: str(data[f"{name}_{language}"]) for name in ("title", "sees", "then")}
        rest = {name: data[name] for name in ("acknowledged_by", "words", "closed_by", "outcome")}
        things, facts = tuple(data["things"]), tuple(data["facts"])
        entries = tuple(int(entry) for entry in data["entries"])
        return cls(data=data, entry=int(data["entry"]), entries=entries, things=things, facts=facts, **said, **told, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRulesVersion(Said):
    """A set of rules that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    rules: str
    name: str
    version: int
    text: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        said = {name: str(data[name]) for name in ("rules", "name", "text", "reason", "proposed_by", "proposed_at")}
        return cls(
            data=data, entry=int(data["entry"]), version=int(data["version"]), changed_by=data["changed_by"], since=data["since"], **said
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules(Said):
    """The rules in force as data, with their text; every set proposed, newest first; the text that the program comes with."""

    in_force: Mapping[str, Any]
    shipped: str
    versions: tuple[AlertRulesVersion, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        versions = tuple(AlertRulesVersion.read(each, language) for each in data["versions"])
        return cls(data=data, in_force=dict(data["in_force"]), shipped=str(data["shipped"]), versions=versions)


class Alerts:
    """What a `Client` can do about alerts."""

    _http: Http
    language: Language

    def alerts(
        self, *, states: Sequence[str] = (), severity: str | None = None, rule: str | None = None, about: str | None = None, most: int = 50
    ) -> Iterator[Alert]:
        """Newest first, at most so many, page by page."""
        before: int | None = None
        while most > 0:
            params = {"state": list(states) or None, "severity": severity, "rule": rule, "about": about, "before": before}
            given = {name: value for name, value in {**params, "limit": min(most, 500)}.items() if value is not None}
            page = self._http.json("GET", "/v1/alerts", params=given)
            for each in page["alerts"]:
                yield Alert.read(each, self.language)
            most -= len(page["alerts"])
            before = page["next"]
            if before is None:
                return

    def open_alerts(self) -> Mapping[str, int]:
        """How many nobody has acknowledged, by severity."""
        return dict(self._http.json("GET", "/v1/alerts", params={"limit": 1})["open"])

    def alert(self, id: str) -> Alert:
        return Alert.read(self._http.json("GET", f"/v1/alerts/{id}"), self.language)

    def acknowledge_alert(self, id: str, *, words: str) -> Alert:
        """Seen, and taken on."""
        return Alert.read(self._http.json("POST", f"/v1/alerts/{id}/acknowledge", body={"words": words}, repeat="unsent"), self.language)

    def close_alert(self, id: str, *, outcome: Literal["handled", "false_alarm"], words: str) -> Alert:
        body = {"outcome": outcome, "words": words}
        return Alert.read(self._http.json("POST", f"/v1/alerts/{id}/close", body=body, repeat="unsent"), self.language)

    def alert_rules(self) -> AlertRules:
        return AlertRules.read(self._http.json("GET", "/v1/alert-rules"), self.language)

    def check_alert_rules(self, text: str) -> Mapping[str, Any]:
        """Digest, name, version and count. Raises `alert_rules_invalid`, each fault located; nothing changes."""
        return dict(self._http.json("POST", "/v1/alert-rules/check", body={"text": text}))

    def propose_alert_rules(self, text: str, *, reason: str) -> AlertRulesVersion:
        """The first of two supervisors."""
        body = {"text": text, "reason": reason}
        return AlertRulesVersion.read(self._http.json("POST", "/v1/alert-rules/proposals", body=body, repeat="unsent"), self.language)

    def confirm_alert_rules(self, proposal: int) -> AlertRulesVersion:
        """The second one: the next look is by them."""
        return AlertRulesVersion.read(self._http.json("POST", f"/v1/alert-rules/proposals/{proposal}/confirm", repeat="unsent"), self.language)
