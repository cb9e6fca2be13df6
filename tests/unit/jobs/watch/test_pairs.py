"""Pairs of populations that differ by few: how they are sought, against looking at every pair."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from infra.database import reading
from infra.tables import watch_notes
from jobs.watch import questions
from jobs.watch.notes import MOST, Notes
from jobs.watch.sizes import MOST_PAIRS
from tests.watching import Town, a_town

COUNT = "SELECT COUNT(*) AS n FROM visits"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with a_town(tmp_path / "home") as town:
        yield town


def test_pairs_are_sought_among_near_sizes_and_none_is_missed(town: Town) -> None:
    """And what is remembered of a pair is what comparing them says."""
    conditions = [f"age > {age}" for age in range(0, 30, 3)] + [f"fee > {fee}" for fee in (0, 0.02, 0.05, 0.09, 0.1, 0.3)]
    conditions += [f"person_id <> {number}" for number in range(3)] + [f"city = 'city-{number}' AND person_id <> 7" for number in range(2)]
    conditions += ["city = 'city-0'", "age + fee > 3", "age + fee > 4", "age + fee > 3 AND fee > 0.02", "1 = 1"]
    for condition in conditions:
        town.ask("op-1", f"{COUNT} WHERE {condition}")
    town.look()
    notes = Notes(town.register)
    with reading(town.register.engine) as connection:
        rows = connection.execute(watch_notes.select().where(watch_notes.c.topic == "question").order_by(watch_notes.c.entry))
        asked = list({each.where: each for each in (notes.question(connection, dict(row._mapping)) for row in rows)}.values())
    assert any(each.sizes.rows_of(each.where) is None for each in asked), "nobody can say how many"
    for most in (1, 20, 1_000, 10**6):
        every = {frozenset((one.job, other.job)) for one, other in combinations(asked, 2) if questions._lies_between(one, other, most)}
        sought = list(questions._close(asked, most))
        assert len({frozenset((one.job, other.job)) for one, other in sought}) == len(sought), "each once"
        for _ in range(2):
            assert {frozenset((one.job, other.job)) for one, other in sought if questions._between(one, other, most)} == every
        assert every
    assert len(list(questions._close(asked, 1))) < len(list(combinations(asked, 2)))


def test_what_is_remembered_of_pairs_has_room_for_all_that_a_rule_is_given() -> None:
    """The newest question and those before it: with less room each would be compared anew for every question."""
    assert len(list(combinations(range(MOST + 1), 2))) <= MOST_PAIRS
