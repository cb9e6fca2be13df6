"""A rule pack changed by two, on both databases: versions kept, in force in every process at once, never below the floor; what is held or let
out under another pack fits neither the tables nor the carried audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.database import reading
from jobs import acts, events
from jobs.acts import packs as changes
from jobs.lane import packs
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.disclosure.pack import shipped_pack, shipped_pack_text
from policies.problem import Problem
from tests.small_register import Ticking, a_register, furnish, settings_in, title
from tests.unit.jobs.lane.test_log import held
from tests.unit.jobs.test_policy import LATER, refused, replayed, sound
from yunei.problem import YuneiProblem

GENERAL = shipped_pack("general")
OWN = shipped_pack_text("general").replace('name = "general"', 'name = "health"').replace("threshold = 10", "threshold = 20")
NEXT = OWN.replace("version = 1", "version = 2").replace("threshold = 20", "threshold = 30")


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        furnish(register)
        for name, role in (("chen", "supervisor"), ("zhou", "supervisor"), ("li", "reviewer")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # a role, from the table above
        yield register


def in_force(register: Register) -> str:
    with reading(register.engine) as connection:
        pack = packs.pack_in_force(connection, register.settings)
        assert packs.digest_in_force(connection, register.settings) == pack.digest
    return pack.digest


def propose(register: Register, text: str = OWN, by: str = "chen") -> int:
    return acts.propose_pack(register, text, reason="x", by=by)


def change(register: Register, text: str = OWN) -> None:
    acts.change_pack(register, proposal=propose(register, text), by="zhou")


def test_two_change_the_pack_and_every_process_sees_it_at_once(register: Register) -> None:
    assert in_force(register) == GENERAL.digest
    other = Register.open(settings_in(register.settings.home, database_url=register.settings.database_url), clock=Ticking())
    try:
        proposal = propose(register)
        assert in_force(other) == GENERAL.digest
        for by, code in (("chen", "auth_second_person"), ("li", "auth_principal_role"), ("system", "auth_second_person")):
            assert refused(lambda by=by: acts.change_pack(register, proposal=proposal, by=by), register) == code
        acts.change_pack(register, proposal=proposal, by="zhou")
        assert in_force(other) == in_force(register) == acts.check_pack(OWN).digest != GENERAL.digest
    finally:
        other.close()
    (version,) = packs.versions(register)
    assert (version.entry, version.name, version.version, version.text) == (proposal, "health", 1, OWN)
    assert (version.pack, version.proposed_by, version.changed_by) == (in_force(register), "chen", "zhou")
    assert sound(register).packs == [(version.document, version.pack)]


def test_what_may_not_be_proposed(register: Register) -> None:
    for by, code in (("op-1", "auth_principal_role"), ("li", "auth_principal_role"), ("nobody", "auth_principal_unknown")):
        assert refused(lambda by=by: propose(register, by=by), register) == code
    weak = OWN.replace("threshold = 20", "threshold = 2")
    for text, code in (
        (weak, "data_rule_pack_floor"),
        ("name = 1", "data_rule_pack_invalid"),
        (shipped_pack_text("general"), "data_rule_pack_unchanged"),
        ("# the same\n" + shipped_pack_text("general"), "data_rule_pack_unchanged"),
        (OWN.replace('name = "health"', 'name = "general"'), "data_rule_pack_version"),
    ):
        assert refused(lambda text=text: propose(register, text), register) == code
    assert refused(lambda: acts.change_pack(register, proposal=0, by="zhou"), register) == "data_rule_pack_unknown"


def test_a_floor_that_rose_since_the_proposal_refuses_it(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = propose(register)
    monkeypatch.setattr("policies.disclosure.floor.LEAST_UNITS", 21)  # the next release's
    assert refused(lambda: acts.change_pack(register, proposal=proposal, by="zhou"), register) == "data_rule_pack_floor"


def test_a_proposal_does_not_outlive_a_change_and_a_version_says_one_thing(register: Register) -> None:
    stale, twin = propose(register, NEXT), propose(register, OWN.replace("threshold = 20", "threshold = 25"))
    change(register)
    for old in (stale, twin):
        assert refused(lambda old=old: acts.change_pack(register, proposal=old, by="zhou"), register) == "data_rule_pack_outdated"
    assert refused(lambda: propose(register, OWN), register) == "data_rule_pack_unchanged"
    other = OWN.replace("threshold = 20", "threshold = 25")
    assert refused(lambda: propose(register, other), register) == "data_rule_pack_version"
    again = propose(register, NEXT)
    acts.change_pack(register, proposal=again, by="zhou")
    assert refused(lambda: acts.change_pack(register, proposal=again, by="zhou"), register) == "data_rule_pack_outdated"
    change(register)  # back to an earlier pack: a change like any other
    change(register, shipped_pack_text("general"))
    assert in_force(register) == GENERAL.digest
    assert len(sound(register).packs) == 4


def test_the_tables_and_the_auditor_refuse_a_change_by_one_or_of_something_else(register: Register) -> None:
    proposal = propose(register)
    (version,) = packs.versions(register)
    right = {"pack": version.pack, "before": None, "document": version.document, "proposal": proposal}
    zeros = "0" * 64
    for wrong in (
        {"by": "chen"},
        {"by": "zhou", "document": zeros},
        {"by": "zhou", "before": zeros},
        {"by": "zhou", "pack": zeros},
        {"by": "zhou", "proposal": 0},
    ):
        forged = events.PackChanged.model_validate({**right, **wrong})
        with pytest.raises(DoesNotFit), register.transaction() as act:
            act.append(forged)
        with pytest.raises(YuneiProblem):
            replayed(register).apply(register.size, events.canonical(forged, LATER))
    by_reviewer = events.PackChanged.model_validate({**right, "by": "li"})
    with pytest.raises(YuneiProblem, match="supervisor"):
        replayed(register).apply(register.size, events.canonical(by_reviewer, LATER))
    acts.change_pack(register, proposal=proposal, by="zhou")


def test_once_changed_nothing_is_held_or_let_out_under_another_pack(register: Register) -> None:
    held(register, "before")  # under the pack that was adopted
    change(register)
    with pytest.raises(DoesNotFit, match="rule_packs"):
        held(register, "after")
    book = replayed(register)
    book.jobs["after"] = "staged"
    forged = {"by": "system", "job": "after", "shape": "d" * 64, "sealed_sha256": "e" * 64}
    with pytest.raises(YuneiProblem, match="not the one in force"):
        book.apply(register.size, events.canonical(events.ReleaseHeld.model_validate({**forged, "pack": "c" * 64}), LATER))
    book = replayed(register)
    book.jobs["after"] = "staged"
    right = events.ReleaseHeld.model_validate({**forged, "pack": in_force(register)})
    book.apply(register.size, events.canonical(right, LATER))
    assert book.lane.held["after"].pack == in_force(register)


def test_the_first_hold_writes_down_the_pack_of_the_settings_and_no_setting_changes_it_after(register: Register) -> None:
    with register.transaction() as act:
        assert packs.adopted(act, register.settings) == GENERAL.digest
        assert packs.adopted(act, register.settings) == GENERAL.digest
    (version,) = packs.versions(register)
    assert (version.pack, version.text, version.since) == (GENERAL.digest, shipped_pack_text("general"), version.entry)
    other = register.settings.model_copy(update={"rule_pack": "rounded"})
    assert packs.of_settings(other).digest != GENERAL.digest
    with register.transaction() as act:
        assert packs.adopted(act, other) == GENERAL.digest
    assert len(sound(register).packs) == 1
    change(register)
    assert [found for _, found in sound(register).packs] == [GENERAL.digest, in_force(register)]


def test_nothing_is_held_before_a_pack_is_in_the_log_and_none_is_adopted_twice_or_by_people(register: Register) -> None:
    forged = events.ReleaseHeld(by="system", job="job-1", shape="d" * 64, pack=GENERAL.digest, sealed_sha256="e" * 64)
    book = replayed(register)
    book.jobs["job-1"] = "staged"
    with pytest.raises(YuneiProblem, match="not the one in force"):
        book.apply(register.size, events.canonical(forged, LATER))
    right = events.PackAdopted(by="system", pack=GENERAL.digest, name="general", version=1, document="f" * 64)
    for wrong in (right.model_copy(update={"by": "chen"}), None):
        if wrong is None:  # a second time
            with register.transaction() as act:
                packs.adopted(act, register.settings)
            wrong = right
        with pytest.raises(DoesNotFit, match="rule_packs"), register.transaction() as act:
            act.append(wrong)
        with pytest.raises(YuneiProblem, match="adopted"):
            replayed(register).apply(register.size, events.canonical(wrong, LATER))


def test_a_pack_that_this_program_reads_otherwise_lets_nothing_out(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    change(register)
    digest = in_force(register)
    for read in (lambda _text: GENERAL, lambda _text: (_ for _ in ()).throw(ValueError)):
        monkeypatch.setattr(packs, "pack_from_toml", read)
        with reading(register.engine) as connection:
            assert packs.digest_in_force(connection, register.settings) == digest, "what was counted is still held, under its digest"
            with pytest.raises(Problem, match=r"^server_rule_pack_unusable"):
                packs.pack_in_force(connection, register.settings)
    assert changes.propose_pack(register, NEXT, reason="x", by="chen") > 0
