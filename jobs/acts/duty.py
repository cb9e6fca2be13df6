"""Who reviews, and when: a duty list with days, and conflicts by which a reviewer stays out of an operator's requests (人员隔离)."""

from __future__ import annotations

import base64
from datetime import date

from jobs import directory, reviews
from jobs.acts.freezes import supervisor
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.events import ConflictDeclared, ConflictLifted, DutyEnded, DutySet
from jobs.register import Act, Register
from policies.problem import declare

DUTY_INVALID = declare(
    "review_duty_invalid",
    zh=("值班日期有误", "值班自 {since} 起、至 {until} 止。", "请改正日期：止日不得早于起日，一次至多 {most} 天。"),
    en=(
        "The duty dates are not valid",
        "The duty is from {since} until {until}.",
        "Correct the dates: a duty may not end before it begins, nor last more than {most} days.",
    ),
)
DUTY_UNKNOWN = declare(
    "review_duty_unknown",
    zh=("没有这项值班", "没有编号为 {duty} 的值班，或已提前结束。", "请用 yunei duty list 查看编号。"),
    en=("No such duty", "There is no duty {duty}, or it was ended early.", "Run yunei duty list to see the ids."),
)
CONFLICT_STANDS = declare(
    "review_conflict_state",
    zh=("回避申报状态不符", "{reviewer} 对 {operator} 的回避{state_zh}。", "请用 yunei duty list 查看现有的回避申报。"),
    en=(
        "The state of the conflict does not allow this",
        "The conflict of {reviewer} with {operator} is {state_en}.",
        "Run yunei duty list to see the declared conflicts.",
    ),
)
MOST_DAYS = 366


def set_duty(register: Register, reviewer: str, since: date, until: date, *, by: str) -> str:
    """By a supervisor: days of China, both included. Returns the duty's id."""
    if until < since or (until - since).days >= MOST_DAYS:
        raise DUTY_INVALID(since=since, until=until, most=MOST_DAYS)
    duty = "duty-" + base64.b32encode(register.random(10)).decode().lower()
    with register.transaction() as act:
        supervisor(act, by)
        _reviewer(act, reviewer)
        act.append(DutySet(by=by, duty=duty, reviewer=reviewer, since=since.isoformat(), until=until.isoformat()))
    return duty


def end_duty(register: Register, duty: str, *, reason: str, by: str) -> None:
    """By a supervisor, at once. Votes cast before stand."""
    with register.transaction() as act:
        supervisor(act, by)
        if not any(one.id == duty and one.ended_at is None for one in reviews.roster(act.connection)):
            raise DUTY_UNKNOWN(duty=duty)
        act.append(DutyEnded(by=by, duty=duty, reason=reason))


def declare_conflict(register: Register, reviewer: str, operator: str, *, reason: str, by: str) -> None:
    """By the reviewer, or a supervisor about one."""
    with register.transaction() as act:
        if by != reviewer:
            supervisor(act, by)
        _reviewer(act, reviewer)
        if directory.principal(act.connection, operator) is None or reviews.in_conflict(act.connection, reviewer, operator):
            told = {"state_zh": "已申报，或无此单位", "state_en": "declared already, or there is no such operator"}
            raise CONFLICT_STANDS(reviewer=reviewer, operator=operator, **told)
        act.append(ConflictDeclared(by=by, reviewer=reviewer, operator=operator, reason=reason))


def lift_conflict(register: Register, reviewer: str, operator: str, *, reason: str, by: str) -> None:
    """By a supervisor: nobody lifts their own."""
    with register.transaction() as act:
        supervisor(act, by)
        if not reviews.in_conflict(act.connection, reviewer, operator):
            raise CONFLICT_STANDS(reviewer=reviewer, operator=operator, state_zh="未申报", state_en="not declared")
        act.append(ConflictLifted(by=by, reviewer=reviewer, operator=operator, reason=reason))


def _reviewer(act: Act, reviewer: str) -> None:
    if (who := known(act, reviewer, "active")).role != "reviewer":
        raise PRINCIPAL_ROLE(principal=reviewer, role=who.role, needed="reviewer")
