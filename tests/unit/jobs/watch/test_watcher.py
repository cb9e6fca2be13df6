"""The watcher over the log: each entry once, nothing twice whatever crashes, answers that hold, rules that two change; on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, select

from infra.database import reading
from infra.tables import watch_cursor, watch_notes
from jobs import acts
from jobs import events as ev
from jobs.projections import DoesNotFit
from jobs.watch import alerts, auditing, inforce, questions, raising
from jobs.watch.facts import Finding, Question
from jobs.watch.notes import Note, Notes
from jobs.watch.rules import Averaging, rules_from_toml, shipped_rules, shipped_rules_text
from jobs.watch.watcher import Watcher
from jobs.webhooks.topics import TOPICS
from policies.problem import Problem
from tests.unit.jobs.test_policy import LATER, refused, replayed, sound
from tests.unit.jobs.watch.test_rules import COUNT, the_same_again
from tests.watching import Town, a_town
from yunei.problem import YuneiProblem

OWN = shipped_rules_text().replace('name = "default"', 'name = "own"').replace("questions = 6", "questions = 4")


@pytest.fixture
def town(tmp_path: Path, database_url: str) -> Iterator[Town]:
    with a_town(tmp_path / "home", database_url=database_url) as town:
        yield town


def cursor(town: Town) -> int:
    with reading(town.register.engine) as connection:
        return int(connection.execute(select(watch_cursor.c.position)).scalar_one())


def closed(town: Town, alert: str, outcome: str = "handled") -> None:
    acts.acknowledge_alert(town.register, alert, words="seen", by="li")
    acts.close_alert(town.register, alert, outcome=outcome, words="done", by="li")  # type: ignore[arg-type]  # one of two


def test_an_entry_is_looked_at_once_and_an_alert_raised_once_whoever_watches(town: Town) -> None:
    the_same_again(town)
    assert town.look() == ["averaging"]
    assert cursor(town) == town.register.size - 1, "the alert itself is behind it"
    assert town.look() == []
    other = Watcher(town.register, interval_s=1)  # another process, or this one started anew
    assert other.once() == []
    town.ask("op-1", f"{COUNT} WHERE age > 30", rho="0.00001")
    assert other.once() == [], "it stands already"
    assert town.standing() == {"serious": 0, "warning": 1, "info": 0}
    assert sound(town.register).alerts.counts() == {"open": 1, "acknowledged": 0, "closed": 0}


def test_a_crash_between_notes_and_alert_loses_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    the_same_again(town)

    def dies(*_given: object) -> list[str]:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.watch.watcher.raised", dies)
        with pytest.raises(RuntimeError):
            town.watcher.once()
    assert cursor(town) == -1
    with reading(town.register.engine) as connection:
        assert len(connection.execute(select(watch_notes)).all()) == 6
    assert town.look() == ["averaging"]


def test_who_stops_a_server_does_not_wait_for_a_long_look_and_the_next_process_looks_at_all_of_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_same_again(town)
    looked: list[str] = []

    def asks(notes: Notes, connection: Connection, note: Note) -> Question:
        looked.append(note["subject"])
        town.watcher.stop()
        return question(notes, connection, note)

    question = Notes.question
    with monkeypatch.context() as patch:
        patch.setattr(Notes, "question", asks)
        assert town.watcher.once() == []
    assert (looked[0], set(looked)) == ("job-1", {"job-1"}), "none after the one that was being looked at"
    assert cursor(town) == -1
    town.watcher = Watcher(town.register, interval_s=1)
    assert town.look() == ["averaging"]


def test_what_stands_is_not_sought_again_until_it_is_closed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    the_same_again(town)
    assert town.look() == ["averaging"]
    sought: list[str] = []

    def seeks(rule: Averaging, new: Question, before: Sequence[Question]) -> list[Finding]:
        sought.append(new.who)
        return averaging(rule, new, before)

    averaging = questions.averaging
    monkeypatch.setattr(questions, "averaging", seeks)
    for who in ("op-1", "op-2"):
        town.ask(who, f"{COUNT} WHERE age > 31")
    assert town.look() == []
    assert sought == ["op-2"], "of the other one nothing stands"
    closed(town, town.newest().id)
    town.ask("op-1", f"{COUNT} WHERE age > 31", rho="0.00001")
    assert town.look() == []
    assert sought == ["op-2", "op-1"]


def test_jobs_go_first_between_any_two_entries(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of a quarter: three times as long as an entry took nothing is computed."""
    the_same_again(town)
    rests: list[float] = []
    clock = count()
    town.watcher = Watcher(town.register, interval_s=1, share=0.25)
    monkeypatch.setattr(town.watcher, "pause", rests.append)
    monkeypatch.setattr("jobs.watch.watcher.time", SimpleNamespace(monotonic=lambda: float(next(clock))))  # each takes a second
    assert town.look() == ["averaging"]
    kinds = [event.event.kind for event in town.register.events(0, town.register.size)]
    assert rests == [3.0] * (kinds.count("job_admitted") * 2 + kinds.count("charge_reserved")), "made into a note, and looked at"


def test_a_log_from_before_anybody_watched_is_read_from_where_rules_look_back_to(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        town.ask("op-1", f"{COUNT} WHERE age > 30")
    town.wait(days=90)
    town.ask("op-1", f"{COUNT} WHERE age > 30")
    assert town.look() == []
    with reading(town.register.engine) as connection:
        assert [row.subject for row in connection.execute(select(watch_notes))] == ["job-6"]


def test_what_was_answered_for_is_raised_again_by_new_evidence_alone(town: Town) -> None:
    the_same_again(town)
    town.look()
    closed(town, town.newest().id, "false_alarm")
    for number in range(5):
        town.ask("op-1", f"{COUNT} WHERE age > 30", rho=f"0.0000{number + 2}")
        assert town.look() == [], "five are not six"
    town.ask("op-1", f"{COUNT} WHERE age > 30", rho="0.00009")
    assert town.look() == ["averaging"]
    with reading(town.register.engine) as connection:
        record = alerts.records(connection)["averaging"]
    assert (record.raised, record.open, record.false_alarms) == (2, 1, 1)


def test_what_stands_ends_by_itself_and_is_raised_again_after_a_while(town: Town) -> None:
    auditing.noted(town.register, 3, ["log_tile"])
    assert town.look() == ["audited"]
    auditing.noted(town.register, 9, [])
    assert town.look() == []
    alert = town.newest()
    assert (alert.state, alert.outcome, alert.closed_by) == ("closed", "passed", "system")
    auditing.noted(town.register, 12, ["log_tile"])
    assert town.look() == ["audited"], "what passed and came back is new"
    closed(town, town.newest().id)
    town.wait(hours=23)
    assert town.look() == []
    town.wait(hours=1)
    assert town.look() == ["audited"], "nobody mended it"
    sound(town.register)


def test_who_may_answer_and_in_which_order(town: Town) -> None:
    auditing.noted(town.register, 3, ["log_tile"])
    town.look()
    alert = town.newest().id

    def close(by: str = "li") -> None:
        acts.close_alert(town.register, alert, outcome="handled", words="x", by=by)

    def acknowledge(by: str = "li", which: str = alert) -> None:
        acts.acknowledge_alert(town.register, which, words="x", by=by)

    assert refused(close, town.register) == "alert_state"
    assert refused(lambda: acknowledge("op-1"), town.register) == "auth_principal_role"
    assert refused(lambda: acknowledge(which="alt-none"), town.register) == "alert_unknown"
    acknowledge()
    assert refused(acknowledge, town.register) == "alert_state"
    close("zhao")
    assert refused(close, town.register) == "alert_state"
    found = town.newest()
    assert (found.acknowledged_by, found.closed_by, found.outcome) == ("li", "zhao", "handled")


def test_tables_and_auditor_refuse_alerts_by_people_twins_and_answers_by_others(town: Town) -> None:
    auditing.noted(town.register, 3, ["log_tile"])
    town.look()
    standing = town.newest()
    right = {"rule": "audited", "rules": shipped_rules().digest, "severity": "serious", "entries": (), "by": "system"}
    size = town.register.size
    for forged in (
        ev.AlertRaised.model_validate({**right, "alert": "alt-2", "key": "audited/log"}),  # while another of its key stands
        ev.AlertRaised.model_validate({**right, "alert": "alt-2", "key": "x/y", "by": "li"}),
        ev.AlertRaised.model_validate({**right, "alert": "alt-2", "key": "x/y", "entries": (size,)}),  # its own future
        ev.AlertAcknowledged(by="op-1", alert=standing.id, words="x"),
        ev.AlertAcknowledged(by="li", alert="alt-none", words="x"),
        ev.AlertClosed(by="li", alert=standing.id, outcome="handled"),  # nobody acknowledged it
        ev.AlertClosed(by="li", alert=standing.id, outcome="passed"),
        ev.AlertClosed(by="system", alert=standing.id, outcome="handled"),
    ):
        with pytest.raises(DoesNotFit), town.register.transaction() as act:
            act.append(forged)
        with pytest.raises(YuneiProblem):
            replayed(town.register).apply(size, ev.canonical(forged, LATER))


def test_two_change_the_rules_and_the_next_look_is_by_them(town: Town) -> None:
    for text, code in (
        (shipped_rules_text(), "alert_rules_unchanged"),
        ("name = 1", "alert_rules_invalid"),
        (OWN.replace('kind = "audited"', 'kind = "degraded"').replace('id = "audited"', 'id = "degraded-2"'), "alert_rules_invalid"),
        (OWN.replace('id = "burn"', 'id = "fire"'), "alert_rules_invalid"),
        (OWN.replace('name = "own"', 'name = "default"'), "alert_rules_version"),
    ):
        assert refused(lambda text=text: acts.propose_alert_rules(town.register, text, reason="x", by="li"), town.register) == code
    for number in range(4):
        town.ask("op-1", f"{COUNT} WHERE age > 30", rho=f"0.00000{number + 1}")
    assert town.look() == []
    stale = acts.propose_alert_rules(town.register, OWN.replace("questions = 4", "questions = 5"), reason="x", by="zhao")
    proposal = acts.propose_alert_rules(town.register, OWN, reason="important data", by="li")
    for by, code in (("li", "auth_second_person"), ("op-1", "auth_principal_role")):
        assert refused(lambda by=by: acts.change_alert_rules(town.register, proposal=proposal, by=by), town.register) == code
    acts.change_alert_rules(town.register, proposal=proposal, by="zhao")
    assert refused(lambda: acts.change_alert_rules(town.register, proposal=stale, by="li"), town.register) == "alert_rules_outdated"
    assert refused(lambda: acts.change_alert_rules(town.register, proposal=0, by="li"), town.register) == "alert_rules_unknown"
    with reading(town.register.engine) as connection:
        digest, rules = inforce.rules_in_force(connection)
    assert digest == rules.digest == rules_from_toml(OWN).digest != shipped_rules().digest
    town.ask("op-1", f"{COUNT} WHERE age > 30", rho="0.00009")
    assert town.look() == ["averaging"]
    assert town.newest().raised.rules == digest
    assert sound(town.register).alerts.rules[-1][1] == digest
    wrong = ev.AlertRaised(by="system", alert="alt-9", rule="burn", rules=shipped_rules().digest, severity="info", key="burn/x")
    with pytest.raises(DoesNotFit), town.register.transaction() as act:
        act.append(wrong)
    with pytest.raises(YuneiProblem, match="not in force"):
        replayed(town.register).apply(town.register.size, ev.canonical(wrong, LATER))


def test_a_set_that_this_program_cannot_read_is_not_a_blind_eye(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    acts.change_alert_rules(town.register, proposal=acts.propose_alert_rules(town.register, OWN, reason="x", by="li"), by="zhao")
    monkeypatch.setattr(inforce, "rules_from_toml", lambda _text: (_ for _ in ()).throw(ValueError))
    the_same_again(town)
    assert town.look() == ["averaging"]


def test_the_childs_audit_finds_a_table_that_was_changed(tmp_path: Path) -> None:
    """The whole way: a child process, told through its input; what it finds is an alert, once the day is over."""
    from infra.database import writing
    from infra.tables import accounts

    with a_town(tmp_path / "home") as town:
        town.ask("op-1", COUNT)
        town.register.publish()
        assert not auditing.due(town.register, town.clock.now, 24)
        town.wait(hours=24)
        assert auditing.due(town.register, town.clock.now, 24)
        assert not auditing.due(town.register, town.clock.now, 0)
        with writing(town.register.engine) as connection:
            connection.execute(accounts.update().where(accounts.c.id == "dataset:visits").values(spent_pico_rho=1))
        found = auditing.audited(town.register, niceness=0)
        assert found is not None
        assert found.codes
        assert not auditing.due(town.register, town.clock.now, 24)
        assert town.look() == ["audited"]


def test_old_notes_are_forgotten_and_the_newest_audit_is_not(town: Town) -> None:
    auditing.noted(town.register, 3, [])
    town.ask("op-1", COUNT)
    town.look()
    town.wait(days=60)
    town.look()
    with reading(town.register.engine) as connection:
        assert [row.topic for row in connection.execute(select(watch_notes))] == ["audit"]


def test_whoever_answers_for_alerts_is_told_by_webhook_and_nobody_else(town: Town) -> None:
    auditing.noted(town.register, 3, ["log_tile"])
    town.look()
    topic, recorded = TOPICS["alert.raised"], town.register.event(town.newest().entry)
    assert topic.kind == recorded.kind
    assert topic.data(recorded) == {"alert": town.newest().id, "rule": "audited", "severity": "serious"}
    with reading(town.register.engine) as connection:
        may = {role: topic.known(connection, SimpleNamespace(role=role), "") for role in ("supervisor", "auditor", "operator", "builder")}  # type: ignore[arg-type]  # a role is all it asks for
    assert may == {"supervisor": True, "auditor": True, "operator": False, "builder": False}


def test_rules_that_end_by_themselves_are_those_about_how_things_stand() -> None:
    assert set(raising.STANDING) < {rule.kind for rule in shipped_rules().rules}


def test_a_broken_set_says_where(town: Town) -> None:
    with pytest.raises(Problem) as caught:
        rules_from_toml(OWN.replace("window_h = 168", "window_h = 0"))
    assert caught.value.parts
