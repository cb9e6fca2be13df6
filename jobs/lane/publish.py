"""What people decided, carried out: the mended table staged in every format, approved and published in one transaction.

The rules run once more first, against everything released by then, and licence, data and freezes are asked again inside the transaction. A
crash between the decision and the publication leaves the job held and the decision in the log: the next look finds and finishes it.
"""

from __future__ import annotations

import json

import pyarrow as pa
import structlog
from sqlalchemy import Connection, select

from infra.database import reading
from infra.tables import approvals, holds, jobs
from infra.tables import standings as standing_rows
from jobs import events as ev
from jobs import hops, reviews, verdicts
from jobs.lane import sealed
from jobs.lane.case import Case, case
from jobs.lane.examine import Examined, examined, new_findings
from jobs.lane.index import newest
from jobs.lane.packs import digest_in_force
from jobs.office import SYSTEM, Office
from jobs.projections.reviews import china_day
from jobs.register import Act
from jobs.slots import parse_time
from jobs.staging import Staged
from policies.problem import Problem
from policies.review import CHINA
from sandbox.exact import approved_table
from sandbox.finish.finish import Released

log = structlog.get_logger("yunei.review")


def carry_out(office: Office) -> list[str]:
    """Everything that is decided or covered and has not left: published, or sent back. Returns the jobs whose state changed."""
    with reading(office.register.engine) as connection:
        due = reviews.decided(connection)
    done = [job for review, job in due if _let_out(office, job, review=review)]
    with reading(office.register.engine) as connection:
        covered = _covered(office, connection)
    return done + [job for standing, job in covered if _under_standing(office, standing, job)]


def _let_out(office: Office, name: str, *, review: str | None = None, standing: str | None = None, seen: Examined | None = None) -> bool:
    """One table. False when nothing changed: somebody else was quicker, or the rules could not run now."""
    try:
        found = case(office, name)
        if found is None:
            return False
        seen = seen or examined(office, found)
    except Problem as problem:
        _back(office, name, (problem.code,))
        return True
    if seen.refused:
        _back(office, name, seen.refused)
        return True
    answer = approved_table(found.plan, seen.released)
    beside = {
        "review": review,
        "standing": standing,
        "pack": {"name": seen.pack.name, "version": seen.pack.version, "digest": seen.pack.digest},
        "notes": [{"zh": zh, "en": en} for zh, en in seen.released.notes],
        "suppressed": seen.released.suppressed,
    }
    staged = hops.stage(office, found.admitted, answer, beside)
    refused: tuple[str, ...] = ()
    with office.register.transaction() as act:
        state = act.connection.execute(select(jobs.c.state).where(jobs.c.id == name)).scalar_one()
        if state != "held":
            return False  # somebody was quicker
        changed = digest_in_force(act.connection, office.settings) != seen.pack.digest
        if changed or newest(act.connection, found.plan.space) != seen.earlier.newest or not _is_of(staged, answer):
            # Rules or releases are others than when this was made, now or before a crash: the rules run again at the next look, and what was
            # fixed by the old ones must not be what leaves then (the first stage of a job wins).
            office.staging.discard(name)
            return False
        decision = verdicts.decided(act.connection, office, found.order, found.plan, found.admitted.catalogue)
        if decision.allowed:
            evidence = act.seal(seen.locked(office, name))
            table = staged.digests["table.arrow"]
            approved = {"pack": seen.pack.digest, "evidence": evidence, "table_sha256": table}
            act.append(ev.ReleaseApproved(by=SYSTEM, job=name, review=review, standing=standing, **approved))
            hops.released(act, found.admitted, staged, decision.policy_digest, max(parse_time(act.at), office.clock()))
        else:
            refused = tuple(rule.id for rule in decision.rules)
            _return(act, name, refused)
    if refused:
        office.staging.discard(name)
    office.done(name)
    return True


def _is_of(staged: Staged, answer: Released) -> bool:
    """Whether what is fixed is this table, and not one that an earlier look fixed and did not let out."""
    return bool(pa.ipc.open_stream(staged.read("table.arrow")).read_all().equals(answer.table))


def _back(office: Office, name: str, codes: tuple[str, ...]) -> None:
    """Approved, and not to leave after all."""
    with office.register.transaction() as act:
        if act.connection.execute(select(jobs.c.state).where(jobs.c.id == name)).scalar_one() != "held":
            return  # somebody was quicker: what is fixed may be published by now
        _return(act, name, codes)
    office.staging.discard(name)
    office.done(name)


def _return(act: Act, name: str, codes: tuple[str, ...]) -> None:
    act.append(ev.ReleaseReturned(by=SYSTEM, job=name, codes=tuple(dict.fromkeys(codes))[:64]))


# ── standing approvals ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _covered(office: Office, connection: Connection) -> list[tuple[str, str]]:
    """(standing approval, job) of tables held, in no review yet, whose shape a standing approval covers today, and not looked at before."""
    today = office.clock().astimezone(CHINA).date().isoformat()
    query = (
        select(standing_rows.c.id, holds.c.job)
        .join(holds, holds.c.shape == standing_rows.c.shape)
        .join(jobs, jobs.c.id == holds.c.job)
        .where(standing_rows.c.state == "in_force", standing_rows.c.until >= today, standing_rows.c.pack == holds.c.pack)
        .where(standing_rows.c.licence == jobs.c.licence, jobs.c.state == "held", holds.c.review.is_(None))
        .order_by(holds.c.entry, standing_rows.c.entry)
    )
    return [(row.id, row.job) for row in connection.execute(query)]


def _under_standing(office: Office, standing: str, name: str) -> bool:
    """Publish when the rules find nothing that they had not found when two people let this shape out. Otherwise it waits for a review."""
    found = case(office, name)
    if found is None or found.row.state != "held":
        return False
    seen = examined(office, found)
    if seen.refused or news(office, standing, seen) or seen.pack.digest != found.row.pack:
        return False
    return _let_out(office, name, standing=standing, seen=seen)


def news(office: Office, standing: str, seen: Examined) -> list[list[object]]:
    """Findings that the standing approval's own table did not have."""
    with reading(office.register.engine) as connection:
        held = reviews.standing(connection, standing)
        if held is None:
            return [["standing", "refuse", "", []]]
        _, content = reviews.opening(connection, held.known)
    return new_findings(seen.known, json.loads(sealed.unlock(office, held.job, content))["known"])


def standing_for(office: Office, found: Case) -> reviews.Standing | None:
    """The standing approval that covers the table's shape today, if any."""
    today = china_day(ev.rfc3339(office.clock()))
    covering = [one for one in reviews.standings_of(office.register, found.row.licence) if one.state == "in_force" and one.until >= today]
    return next((one for one in covering if one.shape == found.row.shape and one.pack == found.row.pack), None)


def approval_evidence(office: Office, job: str) -> bytes | None:
    """What was found of a table when it was let out, as it was sealed then, still locked."""
    with reading(office.register.engine) as connection:
        row = connection.execute(select(approvals.c.evidence).where(approvals.c.job == job)).one_or_none()
        return None if row is None else reviews.opening(connection, row.evidence)[1]
