"""Each rule: what it is there to see raises an alert, what comes close to it and is honest does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra.database import reading, writing
from infra.tables import alerts as table
from jobs import acts
from jobs import events as ev
from jobs.watch import auditing, gather, standing
from jobs.watch.facts import Cosigning
from jobs.watch.rules import shipped_rules
from tests.watching import CITIES, Town, a_town

COUNT = "SELECT COUNT(*) AS n FROM visits"
Story = Callable[[Town], None]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with a_town(tmp_path / "home") as town:
        yield town


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def the_same_again(town: Town) -> None:
    for number in range(6):
        town.wait(hours=7)
        town.ask("op-1", f"{COUNT} WHERE age > 30", rho=f"0.00000{number + 1}")


def hardly_another(town: Town) -> None:
    """Another label, another column beside it, a condition that is none, a bound moved by nothing."""
    for number, more in enumerate(("", " AND 1 = 1", " AND age > 30", " AND fee >= 0", " AND NOT fee > 5000", " AND fee > 1")):
        town.wait(hours=1)
        town.ask("op-1", f"SELECT COUNT(*) AS n{number}, SUM(fee) AS f{number} FROM visits WHERE age > 30{more} LIMIT {number + 5}")


def a_few_prices(town: Town) -> None:
    for number in range(5):
        town.wait(hours=7)
        town.ask("op-1", f"{COUNT} WHERE age > 30", rho=f"0.00000{number + 1}")
    town.wait(days=8)
    town.ask("op-1", f"{COUNT} WHERE age > 30", rho="0.000009")


def new_data_each_time(town: Town) -> None:
    """A standing question over each month's version is another question."""
    from jobs.acts.data import register_dataset
    from tests.watching import visits

    for version in range(2, 10):
        register_dataset(town.register, visits(version))
        town.version = version
        town.ask("op-1", f"{COUNT} WHERE age > 30")


def a_table_by_ages(town: Town) -> None:
    for age in range(20, 70, 5):
        town.wait(minutes=20)
        town.ask("op-1", f"{COUNT} WHERE age BETWEEN {age} AND {age + 4}")


def one_person_after_another(town: Town) -> None:
    for number in range(60):
        town.wait(minutes=5)
        town.ask("op-1", f"{COUNT} WHERE person_id = {number}")


def one_city_after_another(town: Town) -> None:
    for age in range(0, 100, 10):
        for city in CITIES:
            town.wait(minutes=1)
            town.ask("op-1", f"{COUNT} WHERE city = '{city}' AND age BETWEEN {age} AND {age + 9}")


def all_but_one(town: Town) -> None:
    """Trackers: with and without one person, in a group each."""
    for number in range(3):
        town.wait(hours=5)
        town.ask("op-1", f"{COUNT} WHERE city = 'city-{number}'")
        town.wait(days=1)
        town.ask("op-1", f"SELECT COUNT(*) AS m FROM visits v WHERE v.city = 'city-{number}' AND person_id <> {number}")


def all_but_a_city(town: Town) -> None:
    town.ask("op-1", COUNT)
    for city in CITIES:
        town.wait(hours=5)
        town.ask("op-1", f"{COUNT} WHERE city <> '{city}'")


def circling(town: Town) -> None:
    """Two operators share what they ask about the same few."""
    few = "city = 'city-1' AND age = 93 AND fee > 4990"
    for number, who in enumerate(("op-1", "op-2", "op-1", "op-2")):
        town.wait(days=1)
        town.ask(who, f"SELECT {('COUNT(*)', 'SUM(fee)', 'AVG(fee)', 'SUM(age)')[number]} AS n FROM visits WHERE {few}")


def with_and_without(town: Town) -> None:
    """One asks for the whole, the other for the whole but one."""
    for number in range(2):
        town.ask("op-1", f"{COUNT} WHERE city = 'city-{number}'")
        town.wait(days=1)
        town.ask("op-2", f"{COUNT} WHERE city = 'city-{number}' AND person_id <> 7")


def the_same_interest(town: Town) -> None:
    for who in ("op-1", "op-2", "op-3"):
        for city in CITIES:
            town.wait(minutes=30)
            town.ask(who, f"{COUNT} WHERE city = '{city}' AND age > 60")


# ── conduct ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def trying_the_doors_of_the_parser(town: Town) -> None:
    for _ in range(20):
        town.wait(minutes=2)
        town.refuse("op-1")


def learning_the_language(town: Town) -> None:
    for number in range(24):
        town.wait(minutes=3)
        town.refuse("op-1")
        town.ask("op-1", f"{COUNT} WHERE age > {number}")


def failing_on_purpose(town: Town) -> None:
    for number in range(4):
        town.wait(hours=10)
        town.fail("op-1", f"{COUNT} WHERE age > {number}")


def a_bad_day(town: Town) -> None:
    for number in range(3):
        town.wait(hours=1)
        town.fail("op-1", f"{COUNT} WHERE age > {number}")
    town.wait(days=4)
    town.fail("op-1", f"{COUNT} WHERE age > 50")


def guessing_keys(town: Town) -> None:
    for _ in range(5):
        town.wait(minutes=5)
        town.shut_out(25, source="a" * 64)


def an_old_key(town: Town) -> None:
    for _ in range(180):
        town.wait(minutes=1)
        town.shut_out(1, principal="op-1")


def month_of_days(town: Town, who: str = "op-1", days: int = 15, schedule: bool = False) -> None:
    """Two questions a working day, at ten and at three in China; with a schedule, a third at two in the morning that nobody asks."""
    for _ in range(days):
        if schedule:
            town.clock.now = town.clock.now.replace(hour=18) - timedelta(days=1)
            town.ask(who, f"{COUNT} WHERE age > {town.jobs % 100} AND fee > {town.jobs}", scheduled=True)
            town.wait(days=1)
        for hour in (2, 7):
            town.clock.now = town.clock.now.replace(hour=hour)
            town.ask(who, f"{COUNT} WHERE age > {town.jobs % 100} AND fee > {town.jobs}")
        town.wait(days=3 if town.clock.now.weekday() == 4 else 1)


def by_night(town: Town) -> None:
    month_of_days(town)
    town.clock.now = town.clock.now.replace(hour=18)  # two in the morning
    for number in range(5):
        town.wait(minutes=5)
        town.ask("op-1", f"{COUNT} WHERE age > {number} AND fee > 100")


def by_night_as_if_it_were_the_schedule(town: Town) -> None:
    month_of_days(town, schedule=True)
    town.clock.now = town.clock.now.replace(hour=18) - timedelta(days=1)
    for number in range(5):
        town.wait(minutes=5)
        town.ask("op-1", f"{COUNT} WHERE age > {number} AND fee > 100")


def a_schedule_by_night(town: Town) -> None:
    month_of_days(town)
    town.clock.now = town.clock.now.replace(hour=18)
    for number in range(8):
        town.wait(minutes=5)
        town.ask("op-1", f"{COUNT} WHERE age > {number} AND fee > 100", scheduled=number > 3)


def a_long_evening(town: Town) -> None:
    month_of_days(town)
    town.clock.now = town.clock.now.replace(hour=8)
    for number in range(4):
        town.wait(minutes=50)
        town.ask("op-1", f"{COUNT} WHERE age > {number} AND fee > 100")


def fetching(town: Town, last: int) -> None:
    town.ask("op-1", COUNT, publish=True)
    for _ in range(10):
        town.wait(days=1)
        town.deliver("builder-1", "r-job-1", times=8)
        town.look()
    town.wait(days=1)
    town.deliver("builder-1", "r-job-1", times=last)


def taking_everything(town: Town) -> None:
    fetching(town, 45)


def a_busy_day(town: Town) -> None:
    fetching(town, 39)


# ── how things stand ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def spending(town: Town, days: int, rho: str, last: str) -> None:
    for day in range(days):
        town.wait(days=1)
        town.ask("op-1", f"{COUNT} WHERE age > {day}", rho=rho)
    town.wait(days=1)
    town.ask("op-1", f"{COUNT} WHERE fee > 5", rho=last)


def on_the_way_to_nothing(town: Town) -> None:
    spending(town, 12, "0.4", "0.4")


def in_good_time(town: Town) -> None:
    spending(town, 12, "0.3", "0.3")


def nearly_all(town: Town) -> None:
    town.ask("op-1", COUNT, rho="9.1")


def much(town: Town) -> None:
    town.ask("op-1", COUNT, rho="8.9")


def a_script_gone_wild(town: Town) -> None:
    spending(town, 10, "0.01", "1.1")


def the_usual(town: Town) -> None:
    spending(town, 10, "0.25", "1.1")


def a_review_forgotten(town: Town) -> None:
    _review(town, timedelta(hours=49))


def a_review_in_time(town: Town) -> None:
    _review(town, timedelta(hours=47))


def _review(town: Town, wait: timedelta) -> None:
    from infra.tables import reviews

    due = ev.rfc3339(town.clock.now + timedelta(hours=48))
    at = ev.rfc3339(town.clock.now)
    row = {"id": "rev-1", "operator": "op-1", "licence": "L-op-1", "state": "open", "manifest": "a" * 64, "entry": 3}
    with writing(town.register.engine) as connection:  # how a review comes to be is another test's
        connection.execute(reviews.insert().values(**row, requested_at=at, due_at=due, changed_at=at))
    town.clock.now += wait


def frozen_for_long(town: Town) -> None:
    acts.set_freeze(town.register, "operator", "op-1", reason="x", by="li")
    town.wait(days=14)


def frozen_for_a_while(town: Town) -> None:
    acts.set_freeze(town.register, "operator", "op-1", reason="x", by="li")
    town.wait(days=13)


def cells_without_a_wall(town: Town) -> None:
    _probe(town, missing=("seccomp", "clocks"), accepted=("clocks",))


def cells_as_accepted(town: Town) -> None:
    _probe(town, missing=("seccomp", "clocks"), accepted=())
    _probe(town, missing=("clocks",), accepted=("clocks",))


def _probe(town: Town, *, missing: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    with town.register.transaction() as act:
        act.append(ev.CellsProbed(by="system", backend="bwrap", missing=missing, accepted=accepted, libraries="d" * 64))


def an_audit_that_finds(town: Town) -> None:
    auditing.noted(town.register, 12, ["audit_table_differs"])


def an_audit_that_finds_nothing(town: Town) -> None:
    auditing.noted(town.register, 12, ["audit_table_differs"])
    auditing.noted(town.register, 12, [])


STORIES: list[tuple[str, Story, Story]] = [
    ("averaging", the_same_again, a_few_prices),
    ("averaging", hardly_another, new_data_each_time),
    ("averaging", the_same_again, a_table_by_ages),
    ("sweep", one_person_after_another, one_city_after_another),
    ("differencing", all_but_one, all_but_a_city),
    ("collusion", circling, the_same_interest),
    ("collusion", with_and_without, all_but_a_city),
    ("probing", trying_the_doors_of_the_parser, learning_the_language),
    ("failures", failing_on_purpose, a_bad_day),
    ("refusals", guessing_keys, an_old_key),
    ("hours", by_night, a_long_evening),
    ("hours", by_night_as_if_it_were_the_schedule, a_schedule_by_night),
    ("volume", taking_everything, a_busy_day),
    ("forecast", on_the_way_to_nothing, in_good_time),
    ("exhaustion", nearly_all, much),
    ("burn", a_script_gone_wild, the_usual),
    ("audited", an_audit_that_finds, an_audit_that_finds_nothing),
    ("overdue", a_review_forgotten, a_review_in_time),
    ("frozen", frozen_for_long, frozen_for_a_while),
    ("degraded", cells_without_a_wall, cells_as_accepted),
]


@pytest.mark.parametrize(("rule", "attack", "honest"), STORIES, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_the_attack_raises_its_alert_and_the_near_miss_does_not(town: Town, tmp_path: Path, rule: str, attack: Story, honest: Story) -> None:
    attack(town)
    town.look()
    assert town.said[rule] == 1, town.said
    with a_town(tmp_path / "other") as other:
        honest(other)
        other.look()
        assert other.said[rule] == 0, other.said


def test_every_kind_of_rule_is_shipped_and_has_its_story() -> None:
    told = {rule for rule, _, _ in STORIES} | {"cosigned"}
    assert {rule.kind for rule in shipped_rules().rules} == told


def test_entries_without_a_cosignature_are_told_of_only_where_there_are_witnesses(town: Town) -> None:
    (rule,) = [rule for rule in shipped_rules().rules if rule.kind == "cosigned"]
    now = town.clock.now
    for lag, witnesses, found in ((3, 1, 1), (1, 1, 0), (3, 0, 0)):
        state = Cosigning(witnesses, 10, 4, now - timedelta(hours=lag))
        assert len(standing.cosigned(rule, state, now)) == found
    assert standing.cosigned(rule, Cosigning(1, 10, 10, None), now) == []
    assert gather.cosigning(town.register).first is None


def test_witnesses_that_never_answered_lag_since_the_first_entry(tmp_path: Path) -> None:
    vkey = "witness.example/audit+ecf07fad+BHm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk"
    with a_town(tmp_path / "home", witnesses=(f"http://127.0.0.1:9 {vkey}",)) as town:
        town.wait(hours=1)
        assert town.look() == []
        town.wait(hours=2)
        assert town.look() == ["cosigned"]
        assert dict((fact.name, fact.value) for fact in town.newest().raised.facts)["lag_h"] == "3"


def test_an_alert_names_its_evidence_and_nothing_of_the_question(town: Town) -> None:
    all_but_one(town)
    town.look()
    alert = next(each for each in (town.newest(),) if each.rule == "differencing")
    entries = [town.register.event(entry) for entry in alert.raised.entries]
    assert [entry.kind for entry in entries] == ["job_admitted"] * 6
    jobs = [thing.id for thing in alert.raised.things if thing.kind == "job"]
    assert [entry.event.job for entry in entries] == jobs  # type: ignore[attr-defined]  # admitted, as just seen
    body = town.register.entry(alert.entry).decode()
    assert json.loads(body)["severity"] == "serious"
    for secret in ("city", "person_id", "SELECT", "visits"):
        assert secret not in body
    with reading(town.register.engine) as connection:
        assert connection.execute(table.select()).one().key == alert.key
