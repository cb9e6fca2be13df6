"""What an auditor keeps of the human lane: duty, held tables, reviews with their votes, standing approvals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Term:
    """Days of China, both included; `ended` the entry's time at which it was ended early."""

    reviewer: str
    since: str
    until: str
    ended: str = ""


@dataclass(slots=True)
class Vote:
    entry: int
    reviewer: str
    commitment: str
    verdict: str = ""


@dataclass(slots=True)
class Review:
    operator: str
    licence: str
    jobs: tuple[str, ...]
    state: str = "open"
    votes: list[Vote] = field(default_factory=list)


@dataclass(slots=True)
class Held:
    operator: str
    licence: str
    shape: str
    pack: str
    review: str = ""


@dataclass(slots=True)
class Standing:
    licence: str
    operator: str
    shape: str
    pack: str
    until: str
    by: str
    entry: int
    state: str = "proposed"


@dataclass(slots=True)
class Lane:
    duties: dict[str, Term] = field(default_factory=dict)
    conflicts: set[tuple[str, str]] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)  # jobs of that kind
    held: dict[str, Held] = field(default_factory=dict)  # by job
    reviews: dict[str, Review] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    approved: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # job → SHA-256 of the table, review, pack
    views: int = 0

    def on_duty(self, reviewer: str, at: str) -> bool:
        today = china_day(at)
        return any(
            term.reviewer == reviewer and term.since <= today <= term.until and (not term.ended or at < term.ended)
            for term in self.duties.values()
        )


def china_day(at: str) -> str:
    return (datetime.fromisoformat(at) + timedelta(hours=8)).date().isoformat()


def outcome(verdicts: list[str]) -> str:
    """Two who agree decide; two who differ are followed by a third; without a majority the request goes back."""
    if len(verdicts) == 2:
        return verdicts[0] if verdicts[0] == verdicts[1] else "referred"
    verdict, count = Counter(verdicts).most_common(1)[0]
    return verdict if count >= 2 else "return"
