"""A policy changed by two, on both databases: versions kept, in force in every process at once, and never weaker than the floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.database import reading
from jobs import acts, events, freezes, rulebook
from jobs.audit import audit
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.authority import shipped
from policies.decide import AUTHORITY, decide_plan
from policies.loss import Loss
from policies.problem import Problem
from tests.small_register import Ticking, a_register, furnish, run, settings_in, stage, title
from tests.unit.policies.test_cases import ALONE, OWN_CASES, rule
from tests.unit.policies.worlds import NOW, SPOIL, World
from yunei.problem import YuneiProblem
from yunei.replay import Book

LATER = "2999-01-01T00:00:00.000000Z"
RULES, CASES = shipped("authority.cedar") + rule(), shipped("authority.toml") + OWN_CASES + ALONE


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        furnish(register)
        for name, role in (("chen", "supervisor"), ("zhou", "supervisor"), ("li", "reviewer")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # a role, from the table above
        yield register


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def in_force(register: Register) -> str:
    with reading(register.engine) as connection:
        return rulebook.in_force(connection).digest


def change(register: Register, rules: str, cases: str) -> int:
    proposal = acts.propose_policy(register, rules, cases, reason="x", by="chen")
    acts.change_policy(register, proposal=proposal, by="zhou")
    return proposal


def replayed(register: Register) -> Book:
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    return book


def sound(register: Register) -> Book:
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []
    return replayed(register)


def test_two_change_the_policy_and_every_process_sees_it_at_once(register: Register) -> None:
    assert in_force(register) == AUTHORITY.digest
    other = Register.open(settings_in(register.settings.home, database_url=register.settings.database_url), clock=Ticking())
    try:
        proposal = acts.propose_policy(register, RULES, CASES, reason="tighter", by="chen")
        assert in_force(other) == AUTHORITY.digest
        assert refused(lambda: acts.change_policy(register, proposal=proposal, by="chen"), register) == "auth_second_person"
        assert refused(lambda: acts.change_policy(register, proposal=proposal, by="li"), register) == "auth_principal_role"
        assert refused(lambda: acts.change_policy(register, proposal=proposal, by="system"), register) == "auth_second_person"
        acts.change_policy(register, proposal=proposal, by="zhou")
        assert in_force(other) == in_force(register) != AUTHORITY.digest
    finally:
        other.close()
    (version,) = rulebook.versions(register)
    assert (version.entry, version.policy, version.changed_by) == (proposal, in_force(register), "zhou")
    assert rulebook.texts(register, version.document) == (RULES, CASES)
    assert sound(register).policies == [version.document]


def test_a_proposal_does_not_outlive_a_change(register: Register) -> None:
    stale = acts.propose_policy(register, RULES + "\n// one", CASES, reason="x", by="chen")
    change(register, RULES, CASES)
    assert refused(lambda: acts.change_policy(register, proposal=stale, by="zhou"), register) == "policy_outdated"
    again = acts.propose_policy(register, RULES + "\n// one", CASES, reason="x", by="chen")
    acts.change_policy(register, proposal=again, by="zhou")
    assert refused(lambda: acts.change_policy(register, proposal=again, by="zhou"), register) == "policy_outdated"
    change(register, RULES, CASES)  # back to an earlier text: a change like any other
    assert len(sound(register).policies) == 3


def test_who_may_propose_and_what(register: Register) -> None:
    for by, code in (("op-1", "auth_principal_role"), ("li", "auth_principal_role"), ("nobody", "auth_principal_unknown")):
        assert refused(lambda by=by: acts.propose_policy(register, RULES, CASES, reason="x", by=by), register) == code
    for rules, cases in ((RULES, ""), ("permit (principal, action, resource);", CASES), (RULES.replace("scenario", "scenery"), CASES)):
        assert refused(lambda rules=rules, cases=cases: acts.propose_policy(register, rules, cases, reason="x", by="chen"), register) == (
            "policy_invalid"
        )
    assert refused(lambda: acts.change_policy(register, proposal=0, by="zhou"), register) == "policy_unknown"
    acts.suspend_principal(register, "chen", reason="left")
    assert refused(lambda: acts.propose_policy(register, RULES, CASES, reason="x", by="chen"), register) == "auth_principal_unknown"


def test_a_policy_that_does_not_fit_the_program_any_more_refuses_everything(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    change(register, RULES, CASES)
    monkeypatch.setattr("policies.change.shipped", lambda name: shipped(name).replace("scenario: String,", ""))  # the next release's schema
    monkeypatch.setattr(rulebook, "_KNOWN", {})
    with reading(register.engine) as connection:
        authority = rulebook.in_force(connection)
    decision = decide_plan(World().plan(), NOW, authority)
    assert not decision.allowed
    assert [broken.id for broken in decision.rules] == ["licence_undecided"]


@pytest.mark.parametrize("name", sorted(AUTHORITY.rules))
def test_whatever_the_bureau_leaves_out_the_floor_stays(name: str) -> None:
    """The weakest policy that can be adopted: no rule of its own."""
    from policies.change import in_force as read

    world = World()
    SPOIL[name](world)
    assert decide_plan(world.plan(), NOW, read("")).allowed == (not AUTHORITY.rules[name].floor)


def test_the_tables_and_the_auditor_refuse_a_change_by_one_or_of_something_else(register: Register) -> None:
    proposal = acts.propose_policy(register, RULES, CASES, reason="x", by="chen")
    (version,) = rulebook.versions(register)
    right = {"policy": version.policy, "before": None, "document": version.document, "proposal": proposal}
    for wrong in ({"by": "chen"}, {"by": "zhou", "document": "0" * 64}, {"by": "zhou", "before": "0" * 64}, {"by": "zhou", "proposal": 0}):
        forged = events.PolicyChanged.model_validate({**right, **wrong})
        with pytest.raises(DoesNotFit), register.transaction() as act:
            act.append(forged)
        with pytest.raises(YuneiProblem):
            replayed(register).apply(register.size, events.canonical(forged, LATER))
    acts.change_policy(register, proposal=proposal, by="zhou")


def test_what_is_frozen_is_not_published_on_either_database(register: Register) -> None:
    """The guard of the projections themselves."""
    frozen = acts.set_freeze(register, "dataset", "VISITS", reason="x", by="chen")
    with pytest.raises(DoesNotFit):
        run(register, "a", Loss(1000))
    stage(register, "b", Loss(1000))
    proposal = acts.propose_thaw(register, frozen, reason="x", by="chen")
    acts.thaw(register, frozen, proposal=proposal, by="zhou")
    run(register, "c", Loss(1000))
    assert [each.state for each in freezes.all_freezes(register)] == ["thawed"]
    sound(register)
