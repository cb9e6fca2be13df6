"""Marks survive what is done to copies, and name nobody who had no part: as often as the bound says, or less."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from jobs.watermark import code as codes
from jobs.watermark.code import BIAS, Code, chance, scores
from jobs.watermark.trace import FALSE_ACCUSATION, accuse, evidence
from tests.marks import MARKED, NAMES, SECRET, copy, mean, some, table, three_digits

OTHERS = [f"recipient-{number}" for number in range(100)]
GUILTY = ["recipient-7", "recipient-42"]
RELEASED = table(100_000)
A, B = (copy(RELEASED, each) for each in GUILTY)


def accused(found: pa.Table) -> tuple[str, ...]:
    return accuse(evidence(RELEASED, found, MARKED, NAMES), Code(SECRET), OTHERS).accused


@pytest.mark.parametrize(
    "done",
    [
        lambda copy: copy,
        lambda copy: three_digits(copy, "n", "fee"),
        lambda copy: copy.select(["n", "age", "district"]),
        lambda copy: copy.select(["fee", "n"]),
        lambda copy: three_digits(copy.select(["fee", "district", "age"]), "fee"),
        lambda copy: copy.rename_columns([name.upper() for name in copy.schema.names]),
    ],
    ids=["as it is", "rounded", "one column", "without keys", "rounded, one column", "renamed"],
)
def test_one_row_of_a_hundred_names_its_recipient(done: Callable[[pa.Table], pa.Table]) -> None:
    assert accused(done(some(A, 1000))) == (GUILTY[0],)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_mean_of_two_copies_names_both(rounded: bool) -> None:
    found = some(mean(A, B, "n", "fee"), 1000)
    assert sorted(accused(three_digits(found, "n", "fee") if rounded else found)) == sorted(GUILTY)


def test_rows_taken_from_either_copy_name_both() -> None:
    mixed = pa.concat_tables([A.slice(0, 50_000), B.slice(50_000)])
    assert sorted(accused(some(mixed, 1000))) == sorted(GUILTY)


def test_three_who_always_take_the_rarer_value_are_not_safe() -> None:
    """With one bias of 1/2 this would cancel every letter out."""
    third = copy(RELEASED, "recipient-3")
    found = A
    for name in ("n", "fee"):
        values = np.stack([each.column(name).to_numpy() for each in (A, B, third)]).astype(float)
        middle = np.sort(values, axis=0)[1]
        rarer = np.where(values.max(axis=0) == middle, values.min(axis=0), values.max(axis=0))
        found = found.set_column(found.schema.get_field_index(name), name, pa.array(rarer))
    named = accused(some(found, 10_000))
    assert named
    assert set(named) <= {*GUILTY, "recipient-3"}


def test_nobody_is_named_by_the_table_as_released_or_by_a_copy_with_another_key() -> None:
    assert accused(some(RELEASED, 5000)) == ()
    assert accused(some(copy(RELEASED, GUILTY[0], secret=b"x" * 32), 5000)) == ()


def innocent(make: type[Code], trials: int, cells: int) -> list[float]:
    """Bounds for recipients who had no part in a file that two made."""
    found = []
    names = np.stack([np.arange(cells, dtype=np.uint64), np.zeros(cells, dtype=np.uint64)], axis=1)
    for trial in range(trials // 50):
        code = make(trial.to_bytes(32, "big"))
        biases = code.biases(names)
        made = [np.where(code.letters(each, names), 1.0, -1.0) for each in GUILTY]
        seen = (made[0] + made[1]) / 2
        for number in range(50):
            letters = code.letters(f"innocent-{number}", names)
            found.append(chance(scores(seen, letters, biases), seen, biases))
    return found


class Loose(Code):
    """A code broken in that everybody has nearly the first one's letters."""

    def letters(self, recipient: str, cells: np.ndarray) -> np.ndarray:
        mine, first = super().letters(recipient, cells), super().letters(GUILTY[0], cells)
        return np.where(np.random.default_rng(len(recipient)).random(len(cells)) < 0.3, first, mine)


def test_the_innocent_score_as_seldom_as_the_bound_says() -> None:
    """A bound of 10**-x is undercut in at most that share of trials: with 8,000, and a margin of four standard deviations."""
    trials = 8_000
    found = np.array(innocent(Code, trials, 400))
    for exponent in (0.5, 1.0, 2.0, 3.0):
        share, most = float(np.mean(found <= -exponent)), 10.0**-exponent
        assert share <= most + 4 * (most / trials) ** 0.5
    assert found.min() > -6  # at one in a million each, it would take a hundred times as many to see one


def test_a_broken_code_would_be_noticed() -> None:
    found = np.array(innocent(Loose, 1000, 400))
    assert np.mean(found <= -2) > 10 * 10**-2


def test_the_bound_is_one_and_not_far_off() -> None:
    """Against the exact distribution of a short sum: never below the truth, and for large sums within a factor of thirty."""
    biases = np.array([BIAS, 1 - BIAS] * 7)
    seen = np.ones(14)
    up, down = np.sqrt((1 - biases) / biases), -np.sqrt(biases / (1 - biases))
    sums = np.array([sum(pair) for pair in itertools.product(*zip(up, down, strict=True))])
    weights = np.array([np.prod(pair) for pair in itertools.product(*zip(biases, 1 - biases, strict=True))])
    atoms = np.unique(np.round(sums, 6)) - 1e-5
    for total in atoms[atoms > 1]:
        exact = float(weights[sums >= total].sum())
        bound = 10 ** chance(float(total), seen, biases)
        assert exact <= bound * (1 + 1e-9)
        assert bound <= 30 * exact


def test_asking_about_more_people_takes_more_to_accuse_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence(RELEASED, some(A, 25), MARKED, NAMES)
    few = accuse(found, Code(SECRET), OTHERS[7:8], limit=FALSE_ACCUSATION)
    limit = 10 ** (few.recipients[0].log10_chance + 1)
    assert accuse(found, Code(SECRET), OTHERS[7:8], limit=limit).accused == (GUILTY[0],)
    assert accuse(found, Code(SECRET), OTHERS, limit=limit).accused == ()


def test_letters_are_as_probable_as_their_bias_and_independent() -> None:
    names = np.stack([np.arange(50_000, dtype=np.uint64), np.ones(50_000, dtype=np.uint64)], axis=1)
    code = Code(SECRET)
    biases, one, other = code.biases(names), code.letters("a", names), code.letters("b", names)
    assert abs(np.mean(biases == codes.BIAS) - 0.5) < 0.012
    for bias in (BIAS, 1 - BIAS):
        there = biases == bias
        assert abs(one[there].mean() - bias) < 0.013
        assert abs((one & other)[there].mean() - bias**2) < 0.013
