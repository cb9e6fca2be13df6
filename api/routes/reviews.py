"""The human lane: pre-flight, requests, the workbench, votes; duty and conflicts; standing approvals; counts of exact releases."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from api.auth import Guarded, Visit, door
from api.problems import not_found
from api.routes.common import Serving, found, problems, roles
from api.schemas.base import WordsView
from api.schemas.exact import ExactJob, Preflight, RuleSaid
from api.schemas.programs import ReasonGiven
from api.schemas.reviews import (
    ConflictGiven,
    ConflictView,
    DutyGiven,
    DutyList,
    DutyView,
    ExactCount,
    ExactCounts,
    ReasonSaid,
    ReviewList,
    ReviewRequest,
    ReviewView,
    StandingGiven,
    StandingList,
    StandingView,
    VoteGiven,
    VoteView,
    Workbench,
)
from api.services import Services
from infra.database import reading
from jobs import reviews
from jobs.acts import duty as duties
from jobs.acts import reviews as acts
from jobs.acts import standings
from jobs.lane import sealed
from jobs.lane.case import case
from jobs.lane.examine import mends_digest
from jobs.lane.preflight import preflight
from jobs.lane.publish import approval_evidence
from jobs.lane.workbench import workbench
from jobs.order import Order
from jobs.reviews import Duty, Review, Standing, Vote
from policies.disclosure.pack import Rule, words
from policies.licence import Identifier
from policies.review import REASONS

router = APIRouter(prefix="/v1", tags=["reviews"], route_class=Guarded)


@router.post(
    "/jobs/preflight",
    summary="精确汇总预检，免费 · Pre-flight of an exact table, free",
    description="在虚构数据上核对规则中与数值无关的各条；与数值有关的规则在封存之后运行，所见只给审核员。 · "
    "Rules that look at no number, tried on invented rows. Those that do run behind the wall, and what they find is for reviewers alone.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("job_check"),
)
def fly(body: ExactJob, services: Serving, visit: Annotated[Visit, door("job_check")]) -> Preflight:
    said = preflight(services.office, Order(visit.asker, body.licence, body.scenario, body.request()))
    pack = {"name": said.pack.name, "version": str(said.pack.version), "digest": said.pack.digest}
    return Preflight(pack=pack, cells=said.plan.cells, found=[_rule(rule) for rule in said.found], later=[_rule(rule) for rule in said.later])


def _rule(rule: Rule) -> RuleSaid:
    told = words()[rule.kind]
    both = {
        language: WordsView(title=getattr(told.title, language), detail=getattr(told.detail, language), remedy=getattr(told.remedy, language))
        for language in ("zh", "en")
    }
    return RuleSaid(rule=rule.id, kind=rule.kind, severity=rule.severity, remedies=list(rule.remedies), **both)


# ── reviews ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "/reviews",
    status_code=201,
    summary="提请审核 · Ask for a review",
    description="同一协议下封存待审（held）或被退回（returned）的作业，作为一包提请。 · "
    "Jobs of one licence that are held or returned, reviewed as one bundle.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("review_request"),
)
def request(body: ReviewRequest, services: Serving, visit: Annotated[Visit, door("review_request")]) -> ReviewView:
    manifest = {"title": body.title, "purpose": body.purpose, "note": body.note}
    review = acts.request_review(services.register, body.jobs, manifest=manifest, by=visit.principal.id)
    return _one(services, review, visit)


@router.get(
    "/reviews",
    summary="审核列表，新的在前 · Reviews, newest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("review_list"),
)
def list_reviews(
    services: Serving,
    visit: Annotated[Visit, door("review_list")],
    state: Annotated[
        Literal["open", "referred", "release", "return", "reject", "withdrawn"] | None, Query(description="只看此状态 · only in this state")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="最多几条 · at most this many")] = 200,
    before: Annotated[Identifier | None, Query(description="上一页的 `next` · `next` of the page before")] = None,
) -> ReviewList:
    rows = reviews.reviews_of(services.register, visit.only, state=state, before=before, limit=limit + 1)
    page = rows[:limit]
    return ReviewList(reviews=[_view(services, row, visit) for row in page], next=page[-1].id if len(rows) > limit else None)


@router.get(
    "/reviews/overdue",
    summary="逾期未决的审核 · Reviews past their time",
    description="逾期越久 late 越大；供告警使用。 · The longer overdue the larger `late`: what alerts look at.",
    responses=problems(401, 403),
    openapi_extra=roles("review_list"),
)
def overdue(services: Serving, visit: Annotated[Visit, door("review_list")]) -> ReviewList:
    rows = [row for row in reviews.overdue(services.register) if visit.only in (None, row.operator)]
    return ReviewList(reviews=[_view(services, row, visit) for row in rows])


@router.get("/reviews/{id}", summary="一项审核 · One review", responses=problems(401, 403, 404), openapi_extra=roles("review_list"))
def show(id: str, services: Serving, visit: Annotated[Visit, door("review_list")]) -> ReviewView:
    return _one(services, id, visit)


@router.post(
    "/reviews/{id}/votes",
    summary="投票：两名值班审核员各一次，互不可见 · Vote: two on duty, once each, blind to each other",
    description="票以承诺写入日志，全部投出后一并公开；两票不同则由第三人投票。理由代码告知作者，文字只供数据主管部门查阅。 · "
    "A vote is a commitment in the log until all are in; two that differ call for a third. The author is told codes; words stay with the "
    "bureau.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("review_vote"),
)
def vote(id: str, body: VoteGiven, services: Serving, visit: Annotated[Visit, door("review_vote")]) -> ReviewView:
    state = acts.cast_vote(services.register, id, body.verdict, codes=body.codes, words=body.words, by=visit.principal.id)
    if state == "release":
        services.keeper.wake()
    made = found(reviews.review(services.register, id), "review")
    for job in made.jobs if state == "reject" else ():
        sealed.discard(services.office, job)  # nobody will ask for it again
    return _view(services, made, visit)


@router.post(
    "/reviews/{id}/withdraw",
    summary="撤回提请 · Withdraw a request of one's own",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("review_withdraw"),
)
def withdraw(id: str, services: Serving, visit: Annotated[Visit, door("review_withdraw")]) -> ReviewView:
    acts.withdraw_review(services.register, id, by=visit.principal.id)
    return _one(services, id, visit)


@router.get(
    "/workbench/{id}",
    summary="审核台：一张封存的表及其全部证据 · The workbench: a held table with all the evidence",
    description="每次查看先写入日志。 · Every look is in the log first.",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("review_look"),
)
def look(id: str, services: Serving, visit: Annotated[Visit, door("review_look")]) -> Workbench:
    return Workbench(workbench=found(workbench(services.office, id, by=visit.principal.id), "job"))


def _one(services: Services, id: str, visit: Visit) -> ReviewView:
    row = reviews.review(services.register, id)
    if row is None or visit.only not in (None, row.operator):
        raise not_found("review")
    return _view(services, row, visit)


def _view(services: Services, row: Review, visit: Visit) -> ReviewView:
    """What this caller may know of it: of an open review, no vote; of a decided one, an operator is told the reasons and no name."""
    role = visit.principal.role
    mine = (one for one in row.votes if role in ("supervisor", "auditor") or (role == "reviewer" and _known(row, one, visit)))
    votes = [VoteView.model_validate({name: getattr(one, name) for name in VoteView.model_fields}) for one in mine]
    told = [] if row.open else row.codes
    return ReviewView(
        id=row.id,
        operator=row.operator,
        licence=row.licence,
        state=row.state,
        jobs=list(row.jobs),
        manifest=row.manifest,
        requested_at=row.requested_at,
        due_at=row.due_at,
        changed_at=row.changed_at,
        late=row.late(services.settings.review_hours, services.clock()),
        voted=any(one.reviewer == visit.principal.id for one in row.votes),
        votes=votes,
        reasons=[_reason(code) for code in told],
    )


def _known(row: Review, vote: Vote, visit: Visit) -> bool:
    """Reviewers do not see each other before the review is decided."""
    return not row.open or vote.reviewer == visit.principal.id


def _reason(code: str) -> ReasonSaid:
    why = next(why for reason, why in REASONS.items() if reason == code)
    told = {"code": code, "zh": why.title.zh, "en": why.title.en, "remedy_zh": why.remedy.zh, "remedy_en": why.remedy.en}
    return ReasonSaid.model_validate(told)


# ── duty ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/duties", summary="值班名单与回避 · The duty list, and conflicts", responses=problems(401, 403), openapi_extra=roles("duty_list"))
def duty_list(services: Serving, visit: Annotated[Visit, door("duty_list")]) -> DutyList:
    conflicts = [ConflictView.model_validate(one, from_attributes=True) for one in reviews.conflicts_of(services.register)]
    return DutyList(duties=[_duty(services, one) for one in reviews.duties_of(services.register)], conflicts=conflicts)


@router.post(
    "/duties",
    status_code=201,
    summary="安排值班 · Set a duty",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("duty_set"),
)
def duty_set(body: DutyGiven, services: Serving, visit: Annotated[Visit, door("duty_set")]) -> DutyView:
    made = duties.set_duty(services.register, body.reviewer, body.since, body.until, by=visit.principal.id)
    return next(_duty(services, one) for one in reviews.duties_of(services.register) if one.id == made)


@router.post(
    "/duties/{id}/end",
    summary="提前结束值班 · End a duty early",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("duty_set"),
)
def duty_end(id: str, body: ReasonGiven, services: Serving, visit: Annotated[Visit, door("duty_set")]) -> DutyView:
    duties.end_duty(services.register, id, reason=body.reason, by=visit.principal.id)
    return next(_duty(services, one) for one in reviews.duties_of(services.register) if one.id == id)


@router.post(
    "/conflicts",
    status_code=201,
    summary="申报回避 · Declare a conflict",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("conflict_declare"),
)
def conflict(body: ConflictGiven, services: Serving, visit: Annotated[Visit, door("conflict_declare")]) -> DutyList:
    if visit.only not in (None, body.reviewer):
        raise not_found("principal")
    duties.declare_conflict(services.register, body.reviewer, body.operator, reason=body.reason, by=visit.principal.id)
    return duty_list(services, visit)


@router.post(
    "/conflicts/lift",
    summary="解除回避 · Lift a conflict",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("conflict_lift"),
)
def lift(body: ConflictGiven, services: Serving, visit: Annotated[Visit, door("conflict_lift")]) -> DutyList:
    duties.lift_conflict(services.register, body.reviewer, body.operator, reason=body.reason, by=visit.principal.id)
    return duty_list(services, visit)


def _duty(services: Services, one: Duty) -> DutyView:
    now = one.covers(services.clock())
    return DutyView(id=one.id, reviewer=one.reviewer, since=one.since, until=one.until, ended_at=one.ended_at, now=now)


# ── standing approvals ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/standings", summary="常态批准 · Standing approvals", responses=problems(401, 403), openapi_extra=roles("standing_list"))
def standing_list(services: Serving, visit: Annotated[Visit, door("standing_list")]) -> StandingList:
    own = None if visit.only is None else {record.licence.id for record in services.register.licences(visit.only)}
    rows = [one for one in reviews.standings_of(services.register) if own is None or one.licence in own]
    return StandingList(standings=[_standing(one) for one in rows])


@router.post(
    "/standings",
    status_code=201,
    summary="提出常态批准（两人办理时的第一人） · Propose a standing approval: the first of two",
    description="以一次经审核发布的结果为准：同一问题在新数据上，只要规则没有新的发现，即可不再逐次审核；到期自止。 · "
    "Rests on a table that a review let out: the same question on new data needs no review as long as the rules find nothing new, until a day.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("standing_give"),
)
def standing_propose(body: StandingGiven, services: Serving, visit: Annotated[Visit, door("standing_give")]) -> StandingView:
    of = found(case(services.office, body.job), "job")
    seen = approval_evidence(services.office, body.job) or b"{}"
    made = standings.propose_standing(services.register, body.job, body.until, mends=mends_digest(of), seen=seen, by=visit.principal.id)
    return _standing_by(services, made)


@router.post(
    "/standings/{id}/confirm",
    summary="确认常态批准（第二人） · Confirm it: the second reviewer",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("standing_give"),
)
def standing_confirm(id: str, services: Serving, visit: Annotated[Visit, door("standing_give")]) -> StandingView:
    standings.confirm_standing(services.register, id, by=visit.principal.id)
    services.keeper.wake()
    return _standing_by(services, id)


@router.post(
    "/standings/{id}/end",
    summary="终止常态批准，立即生效 · End it, at once",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("standing_end"),
)
def standing_end(id: str, body: ReasonGiven, services: Serving, visit: Annotated[Visit, door("standing_end")]) -> StandingView:
    standings.end_standing(services.register, id, reason=body.reason, by=visit.principal.id)
    return _standing_by(services, id)


def _standing_by(services: Services, id: str) -> StandingView:
    with reading(services.register.engine) as connection:
        return _standing(found(reviews.standing(connection, id), "review"))


def _standing(one: Standing) -> StandingView:
    shown = {name: getattr(one, name) for name in StandingView.model_fields}
    return StandingView.model_validate(shown)


# ── counts ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/exact-totals",
    summary="精确发布累计：按账户，终身 · Exact releases per account, lifetime",
    description="精确发布不计隐私预算，另行计数：每个人群、数据集、协议和运营单位发布过几张精确表、几行。 · "
    "Exact releases cost no privacy loss and are counted instead: tables and rows per population, dataset, licence and operator.",
    responses=problems(401, 403),
    openapi_extra=roles("account_list"),
)
def exact_totals(services: Serving, visit: Annotated[Visit, door("account_list")]) -> ExactCounts:
    from api.routes.register import accounts_under

    names = None if visit.only is None else [one.account for one in accounts_under(services, services.register.licences(visit.only))]
    rows = reviews.exact_counts(services.register, names)
    return ExactCounts(accounts=[ExactCount(account=one.account, releases=one.releases, rows=one.cells) for one in rows])
