"""What the policy says of an order, by the register and the clock as they are at that moment: licence, freezes, rules in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection

from infra.database import reading
from jobs import directory, freezes, rulebook
from jobs import events as ev
from jobs.kinds import Work
from jobs.office import SYSTEM, Office
from jobs.order import Asker, Order
from jobs.register import Act
from policies.catalogue import Catalogue
from policies.decide import Decision, PlanFacts, RequestFacts, decide_plan, decide_request
from policies.problem import Problem


@contextmanager
def refusals_logged(office: Office, order: Order) -> Iterator[None]:
    """A problem raised inside is one event in the log, with codes and rules and nothing of the query."""
    try:
        yield
    except Problem as problem:
        log_refusal(office, order.by, problem)
        raise


def log_refusal(office: Office, by: Asker, problem: Problem) -> None:
    with office.register.transaction() as act:
        act.append(ev.JobRefused(by=by.id, operator=by.id, **_told(problem)))


def refuse_admitted(act: Act, job: str, charge: str | None, problem: Problem) -> None:
    """A job that waited and may not go on: its reservation is given back."""
    act.append(ev.JobRefused(by=SYSTEM, job=job, charge=charge, **_told(problem)))


def withhold(act: Act, job: str, charge: str, decision: Decision) -> None:
    """A job that was computed and may not be published: its charge stays."""
    rules = tuple(rule.id for rule in decision.rules)
    act.append(ev.JobForfeited(by=SYSTEM, job=job, charge=charge, code="job_withheld", rules=_few(rules), policy_digest=decision.policy_digest))


def _told(problem: Problem) -> dict[str, object]:
    """Codes, the rules among them, and the policy that spoke."""
    parts = [part.code for part in problem.parts]
    rules = [code for code in parts if code.startswith("licence_")]
    return {"codes": _few((problem.code, *parts)), "rules": _few(rules), "policy_digest": problem.fields.get("policy")}


def _few(codes: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))[:64]


def may_ask(office: Office, order: Order) -> None:
    """Raise the refusal of the request as such."""
    with reading(office.register.engine) as connection:
        now = office.clock()
        require(decide_request(_facts(connection, order, now), now, rulebook.in_force(connection)))


def may_compute(office: Office, order: Order, plan: Work, catalogue: Catalogue) -> str:
    """Raise the refusal of what the plan would read, do and spend; else the digest of the policy that allowed it."""
    with reading(office.register.engine) as connection:
        decision = decided(connection, office, order, plan, catalogue)
    require(decision)
    return decision.policy_digest


def require(decision: Decision) -> None:
    if not decision.allowed:
        raise decision.problem()


def decided(connection: Connection, office: Office, order: Order, plan: Work, catalogue: Catalogue) -> Decision:
    """On everything, at this moment of the transaction."""
    now = office.clock()
    named = {scan.dataset for scan in plan.scans} | {used.dataset for used in plan.uses}
    standing = directory.standing_in(connection, catalogue, sorted(named))
    facts = PlanFacts(_facts(connection, order, now), standing, reads=plan.scans, uses=plan.uses, price=plan.loss)
    return decide_plan(facts, now, rulebook.in_force(connection))


def _facts(connection: Connection, order: Order, now: datetime) -> RequestFacts:
    """Requester and licence as they are now, by the register and by the clock."""
    held = directory.licence(connection, order.licence)
    return RequestFacts(
        principal=directory.principal(connection, order.by.id) or order.by,
        licence=held.licence if held else None,
        licence_state=held.state_at(now) if held else None,
        scenario=order.scenario,
        job_kind=order.request.kind,
        licence_id=order.licence,
        frozen=freezes.frozen(connection),
    )
