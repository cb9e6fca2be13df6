"""Result review (结果审核): asked for by the author, voted on by two who do not see each other's vote, decided by their votes alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from infra.tables import jobs, review_votes
from jobs import events as ev
from jobs import reviews
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.register import Act, Register
from jobs.reviews import Review
from jobs.slots import parse_time
from policies.problem import declare, vocabulary
from policies.review import Reason, Verdict, outcome

REVIEW_JOBS = declare(
    "review_jobs_unfit",
    zh=(
        "这些作业不能一并提请审核",
        "作业 {job} 不是您在协议 {licence} 下封存待审或被退回的精确作业，或已在审核之中。",
        "请用 yunei job list 查看状态为 held 或 returned 的作业；一次提请的作业须属同一协议。",
    ),
    en=(
        "These jobs cannot be submitted for review together",
        "Job {job} is not an exact job of yours under licence {licence} that is held or returned, or it is in a review already.",
        "Run yunei job list to see jobs in state held or returned; all jobs of one request must be under one licence.",
    ),
)
REVIEW_UNKNOWN = declare(
    "review_unknown",
    zh=("没有这项审核", "没有编号为 {review} 的审核。", "请用 yunei review list 查看编号。"),
    en=("No such review", "There is no review {review}.", "Run yunei review list to see the ids."),
)
vocabulary(
    "review_state",
    {
        "open": ("审核中", "under review"),
        "referred": ("第三人审核", "with a third reviewer"),
        "release": ("同意发布", "approved for release"),
        "return": ("已退回", "returned"),
        "reject": ("不予发布", "rejected"),
        "withdrawn": ("已撤回", "withdrawn"),
    },
)
REVIEW_OVER = declare(
    "review_state_conflict",
    zh=("审核状态不允许此操作", "审核 {review} 的状态为{state:review_state}。", "请核对编号和状态：只有尚未作出决定的审核可以投票或撤回。"),
    en=(
        "The state of the review does not allow this",
        "Review {review} is {state:review_state}.",
        "Check the id and the state: only an undecided review can be voted on or withdrawn.",
    ),
)
REVIEW_DUTY = declare(
    "review_not_on_duty",
    zh=("不在值班名单上", "{reviewer} 今日不在审核值班名单上。", "请监管员安排值班（yunei duty set），或由值班审核员办理。"),
    en=(
        "Not on duty",
        "{reviewer} is not on today's duty list of reviewers.",
        "Ask a supervisor to set the duty (yunei duty set), or leave it to a reviewer on duty.",
    ),
)
REVIEW_CONFLICT = declare(
    "review_conflict",
    zh=("应当回避", "{reviewer} 对运营单位 {operator} 已申报回避。", "请由其他值班审核员办理。"),
    en=(
        "A conflict was declared",
        "{reviewer} has a declared conflict of interest with operator {operator}.",
        "Ask another reviewer on duty to do it.",
    ),
)
REVIEW_VOTED = declare(
    "review_voted",
    zh=("每人只投一次", "{reviewer} 已就审核 {review} 投票，或该审核已有足够的票。", "无需再次投票：投出的票不能更改，待全部投出后一并公开。"),
    en=(
        "Each reviewer votes once",
        "{reviewer} has already voted on review {review}, or the review already has enough votes.",
        "No further vote is needed: votes cannot be changed, and all are opened together once they are in.",
    ),
)
REVIEW_REASON = declare(
    "review_reason_missing",
    zh=("须说明理由", "退回或不予发布须至少选择一项理由。", "请选择理由；另写的文字只供数据主管部门查阅，不告知作者。"),
    en=(
        "A reason is needed",
        "Returning or rejecting needs at least one reason.",
        "Choose a reason code. Free text stays with the bureau; the author is told only the codes.",
    ),
)


def request_review(register: Register, names: Sequence[str], *, manifest: Mapping[str, Any], by: str) -> str:
    """Ask for the review of held tables of one licence, as one. `manifest` is what the author says of them; sealed. Returns the review's id."""
    review = "rev-" + base64.b32encode(register.random(10)).decode().lower()
    with register.transaction() as act:
        licence = _fit(act, names, by)
        sealed = act.seal(json.dumps({**manifest, "jobs": list(names)}, sort_keys=True, ensure_ascii=False).encode())
        event = ev.ReviewRequested(by=by, review=review, licence=licence, jobs=tuple(names), manifest=sealed, due_at=_due(register, act))
        act.append(event)
    return review


def _due(register: Register, act: Act) -> str:
    return ev.rfc3339(parse_time(act.at) + timedelta(hours=register.settings.review_hours))


def _fit(act: Act, names: Sequence[str], by: str) -> str:
    """The licence of all of them."""
    licence = ""
    for name in names:
        row = reviews.held(act.connection, name)
        licence = licence or (row.licence if row is not None else "")
        busy = row is not None and row.review is not None and in_review(act, name)
        if row is None or row.operator != by or row.licence != licence or row.state not in ("held", "returned") or busy:
            raise REVIEW_JOBS(job=name, licence=licence or "—")
    return licence


def in_review(act: Act, job: str) -> bool:
    """Whether a review it is in is undecided, or decided for it and not yet carried out."""
    row = reviews.held(act.connection, job)
    if row is None or row.review is None:
        return False
    found = reviews.one(act.connection, row.review)
    return found is not None and (found.open or (found.state == "release" and row.state == "held"))


def withdraw_review(register: Register, review: str, *, by: str) -> None:
    """The author takes the request back; the tables stay held."""
    with register.transaction() as act:
        found = _open(act, review)
        if found.operator != by:
            raise REVIEW_UNKNOWN(review=review)
        act.append(ev.ReviewWithdrawn(by=by, review=review))


def cast_vote(register: Register, review: str, verdict: Verdict, *, codes: Sequence[Reason], words: str, by: str) -> str:
    """One reviewer's vote, sealed. With the last one that is needed all are opened and the review is decided. Returns the review's state."""
    if verdict != "release" and not codes:
        raise REVIEW_REASON()
    with register.transaction() as act:
        found = _open(act, review)
        may_judge(act, by, found.operator)
        needed = 2 if found.state == "open" else 3
        if by in {vote.reviewer for vote in found.votes} or len(found.votes) >= needed:
            raise REVIEW_VOTED(reviewer=by, review=review)
        opened = ev.OpenedVote(entry=act.size, reviewer=by, verdict=verdict, codes=tuple(dict.fromkeys(codes)), salt="0" * 64)
        told = act.seal(ev.vote_content(review, opened))
        act.append(ev.VoteCast(by=by, review=review, verdict=told, reasons=act.seal(_reasons(review, by, words))))
        if len(found.votes) + 1 < needed:
            return found.state
        return _decide(register, act, review)


def _reasons(review: str, by: str, words: str) -> bytes:
    return json.dumps({"review": review, "reviewer": by, "words": words}, sort_keys=True, ensure_ascii=False).encode()


def _decide(register: Register, act: Act, review: str) -> str:
    """All votes are in: open them, or call for a third."""
    rows = act.connection.execute(select(review_votes).where(review_votes.c.review == review).order_by(review_votes.c.entry)).all()
    opened = []
    for row in rows:
        salt, content = reviews.opening(act.connection, row.verdict)
        told = json.loads(content)
        codes, verdict = tuple(told["codes"]), told["verdict"]
        opened.append(ev.OpenedVote(entry=row.entry, reviewer=row.reviewer, verdict=verdict, codes=codes, salt=salt.hex()))
    came_to = outcome([vote.verdict for vote in opened])
    assert came_to is not None  # two votes, at least
    if came_to == "referred":
        act.append(ev.ReviewReferred(by="system", review=review, votes=(rows[0].entry, rows[1].entry), due_at=_due(register, act)))
    else:
        act.append(ev.ReviewDecided(by="system", review=review, outcome=came_to, votes=tuple(opened)))
    return came_to


def may_judge(act: Act, by: str, operator: str) -> None:
    """A reviewer, active, on duty now, without a conflict with the operator."""
    if (who := known(act, by, "active")).role != "reviewer":
        raise PRINCIPAL_ROLE(principal=by, role=who.role, needed="reviewer")
    now = parse_time(act.at)
    if not any(duty.reviewer == by and duty.covers(now) for duty in reviews.roster(act.connection)):
        raise REVIEW_DUTY(reviewer=by)
    if by == operator or reviews.in_conflict(act.connection, by, operator):
        raise REVIEW_CONFLICT(reviewer=by, operator=operator)


def _open(act: Act, review: str) -> Review:
    found = reviews.one(act.connection, review)
    if found is None:
        raise REVIEW_UNKNOWN(review=review)
    if not found.open:
        raise REVIEW_OVER(review=review, state=found.state)
    return found


def cancel_held(register: Register, job: str, *, by: str) -> None:
    """A held or returned table that nobody wants any more: its request, if it is in one, is withdrawn with it."""
    with register.transaction() as act:
        row = act.connection.execute(select(jobs.c.state, jobs.c.charge).where(jobs.c.id == job)).one()
        if row.state not in ("held", "returned"):
            return
        held = reviews.held(act.connection, job)
        if held is not None and held.review is not None and in_review(act, job):
            act.append(ev.ReviewWithdrawn(by="system", review=held.review))
        act.append(ev.JobCancelled(by=by, job=job, charge=row.charge))
