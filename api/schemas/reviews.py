"""The human lane over HTTP: requests, votes, duty, standing approvals."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Closed, example
from policies.licence import Identifier
from policies.review import Reason, Verdict

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Note = Annotated[str, StringConstraints(max_length=4_000)]


class ReviewRequest(Closed):
    """Held tables of one licence, to be reviewed as one, with what their author says of them together."""

    model_config = ConfigDict(json_schema_extra=example(jobs=["job-7k2mq4ztx3bd"], title="年报附表 1–3", purpose="随年度统计公报公开", note=""))

    jobs: list[Identifier] = Field(min_length=1, max_length=20)
    title: Text
    purpose: Text
    note: Note = ""


class VoteGiven(Closed):
    """`codes` are what the author is told; `words` stay with the bureau, sealed. A vote is not changed."""

    model_config = ConfigDict(json_schema_extra=example(verdict="return", codes=["context_missing"], words="未说明口径"))

    verdict: Verdict
    codes: tuple[Reason, ...] = Field(default=(), max_length=12)
    words: Note = ""


class ReasonSaid(Closed):
    code: Reason
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


class VoteView(Closed):
    """Of an undecided review a reviewer sees their own vote's time alone; who else has voted, supervisors; what any vote was, nobody."""

    reviewer: str
    entry: int
    cast_at: str
    verdict: Verdict | None
    codes: tuple[Reason, ...]


REVIEW = {
    "id": "rev-7k2mq4ztx3bdaaaa",
    "operator": "op-health",
    "licence": "lic-health-2026-01",
    "state": "open",
    "jobs": ["job-7k2mq4ztx3bd"],
    "manifest": {"title": "年报附表 1–3", "purpose": "随年度统计公报公开", "note": "", "jobs": ["job-7k2mq4ztx3bd"]},
    "requested_at": "2026-11-22T08:30:00.000000Z",
    "due_at": "2026-11-24T08:30:00.000000Z",
    "changed_at": "2026-11-22T08:30:00.000000Z",
    "late": 0,
    "voted": False,
    "votes": [],
    "reasons": [],
}


class ReviewView(Closed):
    """`late`: 0 in time, 1 past due, 2 past twice the time allowed. `voted`: whether the caller has. `reasons`: what the author is told."""

    model_config = ConfigDict(json_schema_extra=example(**REVIEW))

    id: str
    operator: str
    licence: str
    state: Literal["open", "referred", "release", "return", "reject", "withdrawn"]
    jobs: list[str]
    manifest: dict[str, Any]
    requested_at: str
    due_at: str
    changed_at: str
    late: int
    voted: bool
    votes: list[VoteView]
    reasons: list[ReasonSaid]


class ReviewList(Closed):
    model_config = ConfigDict(json_schema_extra=example(reviews=[REVIEW]))

    reviews: list[ReviewView]
    next: str | None = Field(default=None, description="交给下一页的 `before` · give it to the next page as `before`")


class Workbench(Closed):
    """All that a reviewer looks at (docs/how-to/review.md says what is what). Exact numbers are text. That it was asked for is in the log."""

    model_config = ConfigDict(json_schema_extra=example(workbench={"job": "job-7k2mq4ztx3bd", "verdict": "pass", "viewed": 140}))

    workbench: dict[str, Any]


class DutyGiven(Closed):
    model_config = ConfigDict(json_schema_extra=example(reviewer="shen-he-1", since="2026-11-23", until="2026-11-29"))

    reviewer: Identifier
    since: date = Field(description="first day, of China")
    until: date = Field(description="last day, included")


class DutyView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(
            id="duty-7k2mq4ztx3bdaaaa", reviewer="shen-he-1", since="2026-11-23", until="2026-11-29", ended_at=None, now=True
        )
    )

    id: str
    reviewer: str
    since: date
    until: date
    ended_at: str | None
    now: bool = Field(description="whether it covers this moment")


class ConflictGiven(Closed):
    model_config = ConfigDict(json_schema_extra=example(reviewer="shen-he-1", operator="op-health", reason="曾在该单位任职"))

    reviewer: Identifier
    operator: Identifier
    reason: Text


class ConflictView(Closed):
    reviewer: str
    operator: str
    declared_by: str
    declared_at: str


class DutyList(Closed):
    model_config = ConfigDict(json_schema_extra=example(duties=[], conflicts=[]))

    duties: list[DutyView]
    conflicts: list[ConflictView]


class StandingGiven(Closed):
    """`job`: a table that a review let out; its question may go out on new data until the end of `until`, as long as nothing new is found."""

    model_config = ConfigDict(json_schema_extra=example(job="job-7k2mq4ztx3bd", until="2027-06-30"))

    job: Identifier
    until: date


STANDING = {
    "id": "std-7k2mq4ztx3bdaaaa",
    "licence": "lic-health-2026-01",
    "review": "rev-7k2mq4ztx3bdaaaa",
    "job": "job-7k2mq4ztx3bd",
    "shape": "ab" * 32,
    "pack": "cd" * 32,
    "until": "2027-06-30",
    "state": "proposed",
    "entry": 140,
    "proposed_by": "shen-he-1",
    "confirmed_by": None,
    "proposed_at": "2026-11-22T08:30:00.000000Z",
    "changed_at": "2026-11-22T08:30:00.000000Z",
}


class StandingView(Closed):
    model_config = ConfigDict(json_schema_extra=example(**STANDING))

    id: str
    licence: str
    review: str
    job: str
    shape: str
    pack: str
    until: str
    state: Literal["proposed", "in_force", "ended"]
    entry: int
    proposed_by: str
    confirmed_by: str | None
    proposed_at: str
    changed_at: str


class StandingList(Closed):
    model_config = ConfigDict(json_schema_extra=example(standings=[STANDING]))

    standings: list[StandingView]


class ExactCount(Closed):
    """How many exact tables left that were counted over the account's data, and how many rows they had, ever. It never goes down."""

    account: str
    releases: int
    rows: int


class ExactCounts(Closed):
    model_config = ConfigDict(json_schema_extra=example(accounts=[{"account": "population:person", "releases": 3, "rows": 41}]))

    accounts: list[ExactCount]
