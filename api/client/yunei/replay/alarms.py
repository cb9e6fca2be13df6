"""What an auditor keeps of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STATES = ("open", "acknowledged", "closed")
SEVERITIES = ("info", "warning", "serious")


@dataclass(slots=True)
class Alert:
    key: str
    severity: str
    state: str = "open"


@dataclass(slots=True)
class Alerts:
    """`standing`: by key, the alert that is not closed; `rules`: documents and digests, in the order they came into force."""

    by_id: dict[str, Alert] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)

    def counts(self) -> Mapping[str, int]:
        found = dict.fromkeys(STATES, 0)
        for alert in self.by_id.values():
            found[alert.state] += 1
        return found
