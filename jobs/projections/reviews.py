"""How events change the tables: the human lane. What a review needs – duty, two people, never the author – is asked here, so that a log in
which it was not so cannot be replayed."""

from __future__ import annotations

from sqlalchemy import String, and_, bindparam, delete, exists, literal_column, or_, select, update

from infra.prepared import Prepared, Writer
from infra.tables import (
    approvals,
    conflicts,
    duties,
    holds,
    jobs,
    output_views,
    principals,
    review_jobs,
    review_votes,
    reviews,
    standings,
)
from jobs import events as ev
from jobs.projections.authority import under_pack
from jobs.projections.table import projects
from jobs.projections.work import step
from jobs.rows import DoesNotFit, add, move
from jobs.slots import parse_time
from jobs.states import State
from policies.review import CHINA, VOTES_NEEDED, outcome
from policies.roles import Role

_key, _who, _at, _day = (bindparam(name, type_=String) for name in ("key_", "who_", "at_", "day_"))
_ROLE = Prepared(select(principals.c.role).where(principals.c.id == _who, principals.c.status == literal_column("'active'")))
_ON_DUTY = Prepared(
    select(duties.c.id).where(
        duties.c.reviewer == _who, duties.c.since <= _day, duties.c.until >= _day, or_(duties.c.ended_at.is_(None), duties.c.ended_at > _at)
    )
)
_CONFLICT = Prepared(select(conflicts.c.reviewer).where(conflicts.c.reviewer == _who, conflicts.c.operator == _key))
_END_DUTY = Prepared(update(duties).where(duties.c.id == _key, duties.c.ended_at.is_(None)).values(ended_at=_at))
_LIFT = Prepared(delete(conflicts).where(conflicts.c.reviewer == _who, conflicts.c.operator == _key))
_OF_REVIEW = Prepared(select(reviews.c.operator, reviews.c.state, reviews.c.licence).where(reviews.c.id == _key))
_VOTES = Prepared(
    select(review_votes.c.reviewer, review_votes.c.entry, review_votes.c.verdict)
    .where(review_votes.c.review == _key)
    .order_by(review_votes.c.entry)
)
_OPEN_VOTE = Prepared(
    update(review_votes)
    .where(review_votes.c.review == _key, review_votes.c.entry == bindparam("entry_"), review_votes.c.opened.is_(None))
    .values(opened=_who, codes=_at)
)
_HELD = Prepared(
    select(jobs.c.operator, jobs.c.licence, jobs.c.state, holds.c.review, holds.c.shape, holds.c.pack)
    .join(holds, holds.c.job == jobs.c.id)
    .where(jobs.c.id == _key)
)
_IN_REVIEW = Prepared(
    select(review_jobs.c.job)
    .join(reviews, reviews.c.id == review_jobs.c.review)
    .where(review_jobs.c.job == _key, or_(*(reviews.c.state == literal_column(f"'{state}'") for state in ("open", "referred", "release"))))
    .where(
        or_(
            reviews.c.state != literal_column("'release'"),
            exists().where(and_(jobs.c.id == review_jobs.c.job, jobs.c.state == literal_column("'held'"))),
        )
    )
)
_PUT = Prepared(update(holds).where(holds.c.job == _key).values(review=_who))
_JOBS = Prepared(select(review_jobs.c.job).where(review_jobs.c.review == _key).order_by(review_jobs.c.job))
_APPROVED_BY = Prepared(
    select(review_jobs.c.job)
    .join(reviews, reviews.c.id == review_jobs.c.review)
    .where(review_jobs.c.job == _key, reviews.c.id == _who, reviews.c.state == literal_column("'release'"))
)
_APPROVALS = Prepared(select(approvals.c.review, approvals.c.pack).where(approvals.c.job == _key))
_STANDING = Prepared(
    select(*(standings.c[name] for name in ("licence", "shape", "pack", "until", "state", "proposed_by", "entry"))).where(
        standings.c.id == _key
    )
)
_OPERATOR = Prepared(select(jobs.c.operator).join(standings, standings.c.job == jobs.c.id).where(standings.c.id == _key))


def _misfit(table: str, key: str, holds: object) -> None:
    if not holds:
        raise DoesNotFit(table, key)


def china_day(at: str) -> str:
    """The day of China that an entry's time lies in."""
    return parse_time(at).astimezone(CHINA).date().isoformat()


def _in_role(writer: Writer, who: str, *roles: Role, system: bool = False) -> None:
    found = writer.row(_ROLE, {"who_": who})
    _misfit("principals", who, (system and who == "system") or (found is not None and found[0] in roles))


def _may_judge(writer: Writer, recorded: ev.Recorded, operator: str) -> None:
    """Who acts is a reviewer, active, on duty at this moment, not the operator and not in conflict with it."""
    who = recorded.event.by
    _in_role(writer, who, "reviewer")
    _misfit("principals", who, who != operator)
    _misfit("duties", who, writer.row(_ON_DUTY, {"who_": who, "day_": china_day(recorded.at), "at_": recorded.at}))
    _misfit("conflicts", who, writer.row(_CONFLICT, {"who_": who, "key_": operator}) is None)


# ── duty ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@projects(ev.DutySet)
def _duty_set(writer: Writer, recorded: ev.Recorded, event: ev.DutySet) -> None:
    _in_role(writer, event.by, "supervisor", system=True)
    _in_role(writer, event.reviewer, "reviewer")
    _misfit("duties", event.duty, event.since <= event.until)
    row = {"id": event.duty, "reviewer": event.reviewer, "since": event.since, "until": event.until}
    add(writer, duties, **row, set_by=event.by, set_at=recorded.at)


@projects(ev.DutyEnded)
def _duty_ended(writer: Writer, recorded: ev.Recorded, event: ev.DutyEnded) -> None:
    _in_role(writer, event.by, "supervisor", system=True)
    _misfit("duties", event.duty, writer.run(_END_DUTY, {"key_": event.duty, "at_": recorded.at}) == 1)


@projects(ev.ConflictDeclared)
def _conflict_declared(writer: Writer, recorded: ev.Recorded, event: ev.ConflictDeclared) -> None:
    if event.by != event.reviewer:
        _in_role(writer, event.by, "supervisor", system=True)
    add(writer, conflicts, reviewer=event.reviewer, operator=event.operator, declared_by=event.by, declared_at=recorded.at)


@projects(ev.ConflictLifted)
def _conflict_lifted(writer: Writer, recorded: ev.Recorded, event: ev.ConflictLifted) -> None:
    _in_role(writer, event.by, "supervisor", system=True)
    _misfit("conflicts", event.reviewer, writer.run(_LIFT, {"who_": event.reviewer, "key_": event.operator}) == 1)


# ── held, requested, voted, decided ──────────────────────────────────────────────────────────────────────────────────────────────────


@projects(ev.ReleaseHeld)
def _held(writer: Writer, recorded: ev.Recorded, event: ev.ReleaseHeld) -> None:
    under_pack(writer, event.job, event.pack)
    step(writer, event.job, State.HELD, recorded.at)
    row = {"job": event.job, "shape": event.shape, "pack": event.pack, "sealed_sha256": event.sealed_sha256}
    add(writer, holds, **row, entry=recorded.index, held_at=recorded.at)


@projects(ev.ReviewRequested)
def _requested(writer: Writer, recorded: ev.Recorded, event: ev.ReviewRequested) -> None:
    row = {"id": event.review, "operator": event.by, "licence": event.licence, "manifest": event.manifest, "due_at": event.due_at}
    add(writer, reviews, **row, state="open", entry=recorded.index, requested_at=recorded.at, changed_at=recorded.at)
    _misfit("reviews", event.review, len(set(event.jobs)) == len(event.jobs))
    for job in event.jobs:
        found = writer.row(_HELD, {"key_": job})
        _misfit("holds", job, found is not None and found[:2] == (event.by, event.licence) and found[2] in ("held", "returned"))
        _misfit("review_jobs", job, writer.row(_IN_REVIEW, {"key_": job}) is None)  # in one review at a time
        if found is not None and found[2] == "returned":
            step(writer, job, State.HELD, recorded.at)
        add(writer, review_jobs, review=event.review, job=job)
        _misfit("holds", job, writer.run(_PUT, {"key_": job, "who_": event.review}) == 1)


def _review(writer: Writer, review: str, *states: str) -> tuple[str, str]:
    """Its operator and licence."""
    found = writer.row(_OF_REVIEW, {"key_": review})
    if found is None or found[1] not in states:
        raise DoesNotFit("reviews", review)
    return str(found[0]), str(found[2])


@projects(ev.VoteCast)
def _vote(writer: Writer, recorded: ev.Recorded, event: ev.VoteCast) -> None:
    """Once a reviewer; two while it is open, one more once it was referred."""
    operator, _ = _review(writer, event.review, "open", "referred")
    _may_judge(writer, recorded, operator)
    found = writer.row(_OF_REVIEW, {"key_": event.review})
    votes = writer.rows(_VOTES, {"key_": event.review})
    _misfit("review_votes", event.review, found is not None and len(votes) < VOTES_NEEDED + (found[1] == "referred"))
    row = {"review": event.review, "reviewer": event.by, "entry": recorded.index, "verdict": event.verdict, "reasons": event.reasons}
    add(writer, review_votes, **row, cast_at=recorded.at)


@projects(ev.ReviewReferred)
def _referred(writer: Writer, recorded: ev.Recorded, event: ev.ReviewReferred) -> None:
    entries = tuple(int(vote[1]) for vote in writer.rows(_VOTES, {"key_": event.review}))
    _misfit("review_votes", event.review, entries == tuple(event.votes))
    move(writer, reviews, event.review, ["open"], "referred", recorded.at, due_at=event.due_at)


@projects(ev.ReviewDecided)
def _decided(writer: Writer, recorded: ev.Recorded, event: ev.ReviewDecided) -> None:
    """The votes that were cast, opened: each as its commitment says, and the outcome as they say."""
    cast = {int(entry): (reviewer, verdict) for reviewer, entry, verdict in writer.rows(_VOTES, {"key_": event.review})}
    told = {vote.entry: (vote.reviewer, ev.commitment(bytes.fromhex(vote.salt), ev.vote_content(event.review, vote))) for vote in event.votes}
    _misfit("review_votes", event.review, cast == told and list(told) == sorted(told))
    _misfit("reviews", event.review, outcome([vote.verdict for vote in event.votes]) == event.outcome)
    move(writer, reviews, event.review, ["open" if len(told) == VOTES_NEEDED else "referred"], event.outcome, recorded.at)
    for vote in event.votes:
        values = {"key_": event.review, "entry_": vote.entry, "who_": vote.verdict, "at_": ",".join(vote.codes)}
        _misfit("review_votes", event.review, writer.run(_OPEN_VOTE, values) == 1)
    if event.outcome != "release":
        to = State.RETURNED if event.outcome == "return" else State.REJECTED
        codes = sorted({code for vote in event.votes for code in vote.codes})
        for (job,) in writer.rows(_JOBS, {"key_": event.review}):
            step(writer, job, to, recorded.at, problem=",".join(codes) or None)


@projects(ev.ReviewWithdrawn)
def _withdrawn(writer: Writer, recorded: ev.Recorded, event: ev.ReviewWithdrawn) -> None:
    operator, _ = _review(writer, event.review, "open", "referred", "release")
    _misfit("reviews", event.review, event.by in (operator, "system"))
    states = ["open", "referred", "release"] if event.by == "system" else ["open", "referred"]
    move(writer, reviews, event.review, states, "withdrawn", recorded.at)


@projects(ev.OutputViewed)
def _viewed(writer: Writer, recorded: ev.Recorded, event: ev.OutputViewed) -> None:
    _in_role(writer, event.by, "reviewer", "supervisor")
    _misfit("holds", event.job, writer.row(_HELD, {"key_": event.job}))
    row = {"entry": recorded.index, "job": event.job, "review": event.review, "reader": event.by, "evidence": event.evidence}
    add(writer, output_views, **row, at=recorded.at)


# ── out, or back ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@projects(ev.ReleaseApproved)
def _approved(writer: Writer, recorded: ev.Recorded, event: ev.ReleaseApproved) -> None:
    found = writer.row(_HELD, {"key_": event.job})
    if found is None or (event.review is None) == (event.standing is None):
        raise DoesNotFit("holds", event.job)
    _, licence, _, review, shape, pack = found
    if event.review is not None:
        _misfit("reviews", event.review, review == event.review and writer.row(_APPROVED_BY, {"key_": event.job, "who_": event.review}))
    else:
        standing = writer.row(_STANDING, {"key_": event.standing})
        same = standing is not None and (standing[0], standing[1], standing[2]) == (licence, shape, event.pack) and pack == event.pack
        _misfit("standings", event.job, same and standing is not None and standing[4] == "in_force" and china_day(recorded.at) <= standing[3])
        _misfit("reviews", event.job, writer.row(_IN_REVIEW, {"key_": event.job}) is None)
    under_pack(writer, event.job, event.pack)
    step(writer, event.job, State.STAGED, recorded.at)
    row = {"job": event.job, "review": event.review, "standing": event.standing, "pack": event.pack, "evidence": event.evidence}
    add(writer, approvals, **row, table_sha256=event.table_sha256, entry=recorded.index, approved_at=recorded.at)


@projects(ev.ReleaseReturned)
def _returned(writer: Writer, recorded: ev.Recorded, event: ev.ReleaseReturned) -> None:
    _misfit("jobs", event.job, event.by == "system")
    step(writer, event.job, State.RETURNED, recorded.at, problem=",".join(event.codes))


# ── standing approvals ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@projects(ev.StandingProposed)
def _standing_proposed(writer: Writer, recorded: ev.Recorded, event: ev.StandingProposed) -> None:
    """Of a table that a review let out under the same rules."""
    found, approval = writer.row(_HELD, {"key_": event.job}), writer.row(_APPROVALS, {"key_": event.job})
    same = found is not None and (found[1], found[2], found[4]) == (event.licence, "published", event.shape)
    _misfit("approvals", event.job, same and approval is not None and tuple(approval) == (event.review, event.pack))
    _may_judge(writer, recorded, str(found[0]) if found else "")
    row = {name: getattr(event, name) for name in ("licence", "review", "job", "shape", "pack", "mends", "known", "until")}
    add(writer, standings, **row, id=event.standing, state="proposed", entry=recorded.index, proposed_by=event.by,
        proposed_at=recorded.at, changed_at=recorded.at)  # fmt: skip


@projects(ev.StandingConfirmed)
def _standing_confirmed(writer: Writer, recorded: ev.Recorded, event: ev.StandingConfirmed) -> None:
    found = writer.row(_STANDING, {"key_": event.standing})
    _misfit("standings", event.standing, found is not None and found[5] != event.by and found[6] == event.proposal)
    operator = writer.row(_OPERATOR, {"key_": event.standing})
    _may_judge(writer, recorded, str(operator[0]) if operator else "")
    move(writer, standings, event.standing, ["proposed"], "in_force", recorded.at, confirmed_by=event.by)


@projects(ev.StandingEnded)
def _standing_ended(writer: Writer, recorded: ev.Recorded, event: ev.StandingEnded) -> None:
    _in_role(writer, event.by, "reviewer", "supervisor", system=True)
    move(writer, standings, event.standing, ["proposed", "in_force"], "ended", recorded.at)
