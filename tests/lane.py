"""The human lane in a bureau of tests: a licence for exact jobs, three reviewers on duty, and the steps of a review."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from jobs import acts, lookup
from jobs.acts import duty, reviews
from jobs.kinds.exact import ExactRequest
from jobs.lookup import JobSeen
from jobs.order import Asker, Order
from policies.disclosure.mend import MENDS
from policies.review import CHINA
from tests.bureau import SCENARIO, Bureau, licence

LICENCE = "L-exact"
REVIEWERS = ("reviewer", "reviewer-2", "reviewer-3")
FACTS = {"title": "各市就诊人次", "population": "全部就诊记录", "purpose": "卫生资源规划", "use": "年度报告附表"}
SQL = "SELECT city, COUNT(*) AS n, SUM(days) AS days FROM visits GROUP BY city"
RISKY = "SELECT city, urgent, COUNT(*) AS n FROM visits WHERE days = 7 GROUP BY city, urgent"  # a handful of rows


def prepare(bureau: Bureau) -> None:
    """Once per home: the licence, two more reviewers, all three on duty for a week."""
    register = bureau.services.register
    acts.grant_licence(register, licence(LICENCE, job_kinds=("sql", "exact")))
    for reviewer in REVIEWERS[1:]:
        bureau.keys[reviewer] = acts.issue_key(register, reviewer, "reviewer")
    today = bureau.services.clock().astimezone(CHINA).date()
    for reviewer in REVIEWERS:
        duty.set_duty(register, reviewer, today, today + timedelta(days=7), by="system")


def day(bureau: Bureau, ahead: int) -> date:
    return bureau.services.clock().astimezone(CHINA).date() + timedelta(days=ahead)


def exact_order(
    sql: str = SQL, by: str = "operator-1", mends: list[dict[str, Any]] | None = None, facts: dict[str, str] | None = None
) -> Order:
    request = ExactRequest(sql, LICENCE, FACTS if facts is None else facts, MENDS.validate_python(mends or []))
    return Order(Asker(by, "operator", "active"), LICENCE, SCENARIO, request)


def requested(bureau: Bureau, *jobs: str, by: str = "operator-1") -> str:
    return reviews.request_review(bureau.services.register, jobs, manifest={"title": "年报附表", "purpose": "公开发布"}, by=by)


def vote(bureau: Bureau, review: str, by: str, verdict: str = "release", codes: tuple[str, ...] = (), words: str = "") -> str:
    codes = codes or (() if verdict == "release" else ("small_counts",))
    return reviews.cast_vote(bureau.services.register, review, verdict, codes=codes, words=words, by=by)  # type: ignore[arg-type]  # spelt by tests


def seen(bureau: Bureau, job: str) -> JobSeen:
    found = lookup.job(bureau.services.register, job, bureau.services.clock())
    assert found is not None
    return found
