"""Standing approvals: a shape that people let out once may go out again on new data, until a day, as long as nothing new is found. Two
reviewers give one; one ends it."""

from __future__ import annotations

import base64
from datetime import date

from sqlalchemy import select

from infra.tables import approvals
from jobs import reviews
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.reviews import may_judge
from jobs.events import StandingConfirmed, StandingEnded, StandingProposed
from jobs.register import Act, Register
from jobs.reviews import Standing
from jobs.slots import parse_time
from policies.problem import declare
from policies.review import CHINA

MOST_DAYS = 366
STANDING_UNFIT = declare(
    "review_standing_unfit",
    zh=("不能据此设立常态批准", "作业 {job} 不是经审核发布的精确汇总。", "请改用经两名审核员审核发布的精确汇总作业。"),
    en=(
        "This job cannot be the basis of a standing approval",
        "Job {job} is not an exact table released after review.",
        "Choose an exact-table job that was released after review by two reviewers.",
    ),
)
STANDING_UNTIL = declare(
    "review_standing_until",
    zh=("截止日有误", "截止日 {until} 须在今日之后、{most} 天之内。", "请另选截止日；到期可再次设立。"),
    en=(
        "The end date is not valid",
        "The end date {until} must be after today and within {most} days.",
        "Choose another date; a standing approval can be given again when it ends.",
    ),
)
STANDING_UNKNOWN = declare(
    "review_standing_unknown",
    zh=("没有这项常态批准", "没有编号为 {standing} 的常态批准，或其状态不允许此操作。", "请用 yunei standing list 查看编号和状态。"),
    en=(
        "No such standing approval",
        "There is no standing approval {standing}, or its state does not allow this.",
        "Run yunei standing list to see ids and states.",
    ),
)
STANDING_SECOND = declare(
    "review_standing_second",
    zh=("常态批准须两名审核员", "{reviewer} 已提出常态批准 {standing}。", "请另一名值班审核员确认。"),
    en=(
        "A standing approval takes two reviewers",
        "{reviewer} proposed standing approval {standing}.",
        "Ask another reviewer on duty to confirm it.",
    ),
)


def propose_standing(register: Register, job: str, until: date, *, mends: str, seen: bytes, by: str) -> str:
    """The first reviewer. `mends`: digest of how the table was mended; `seen`: what was found of it when it was let out. Returns the id."""
    standing = "std-" + base64.b32encode(register.random(10)).decode().lower()
    with register.transaction() as act:
        today = parse_time(act.at).astimezone(CHINA).date()
        if not 0 < (until - today).days <= MOST_DAYS:
            raise STANDING_UNTIL(until=until, most=MOST_DAYS)
        row = reviews.held(act.connection, job)
        approval = act.connection.execute(select(approvals).where(approvals.c.job == job)).one_or_none()
        if row is None or approval is None or approval.review is None or row.state != "published":
            raise STANDING_UNFIT(job=job)
        may_judge(act, by, row.operator)
        act.append(
            StandingProposed(
                by=by,
                standing=standing,
                licence=row.licence,
                review=approval.review,
                job=job,
                shape=row.shape,
                pack=approval.pack,
                mends=mends,
                known=act.seal(seen),
                until=until.isoformat(),
            )
        )
    return standing


def confirm_standing(register: Register, standing: str, *, by: str) -> None:
    """The second reviewer: in force from here on."""
    with register.transaction() as act:
        found = _found(act, standing, "proposed")
        if found.proposed_by == by:
            raise STANDING_SECOND(reviewer=by, standing=standing)
        row = reviews.held(act.connection, found.job)
        assert row is not None  # proposed of a table that was held
        may_judge(act, by, row.operator)
        act.append(StandingConfirmed(by=by, standing=standing, proposal=found.entry))


def end_standing(register: Register, standing: str, *, reason: str, by: str) -> None:
    """At once, by any reviewer or a supervisor."""
    with register.transaction() as act:
        if (who := known(act, by, "active")).role not in ("reviewer", "supervisor"):
            raise PRINCIPAL_ROLE(principal=by, role=who.role, needed="reviewer")
        _found(act, standing, "proposed", "in_force")
        act.append(StandingEnded(by=by, standing=standing, reason=reason))


def _found(act: Act, standing: str, *states: str) -> Standing:
    found = reviews.standing(act.connection, standing)
    if found is None or found.state not in states:
        raise STANDING_UNKNOWN(standing=standing)
    return found
