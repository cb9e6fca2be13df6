"""Answers of the solver are believed for what they satisfy."""

from __future__ import annotations

import numpy as np
import pytest

from policies.disclosure.solver import Program, Rows, Unsolved, holds, integers

ROWS = Rows.of([([0, 1], [1.0, 1.0], 4.0, 4.0), ([1, 2], [1.0, -1.0], -1.0, 3.0)])


def program() -> Program:
    made = Program(np.zeros(3), np.full(3, 10.0), ROWS)
    made.cost(np.array([1.0, 0.0, 2.0]))
    return made


def test_an_optimum_is_a_point_and_a_bound() -> None:
    best = program().solve("max")
    assert best is not None
    assert best.value == pytest.approx(10.0)  # x1 = 4 leaves nothing for x0, and lets x2 be 5
    assert holds(best.point, np.zeros(3), np.full(3, 10.0), ROWS)
    assert not holds(best.point + 1, np.zeros(3), np.full(3, 10.0), ROWS)


def test_nothing_satisfies_a_contradiction() -> None:
    made = program()
    made.bound([0, 1], [3.0, 3.0], [10.0, 10.0])
    assert made.solve("min") is None
    made.bound([0, 1], [0.0, 0.0], [10.0, 10.0])
    assert made.solve("min") is not None


def test_a_method_that_does_not_end_is_changed_for_another() -> None:
    made = program()
    made.iterations = 0
    best = made.solve("max")
    assert best is not None
    assert best.value == pytest.approx(program().solve("max").value, abs=1e-4)  # type: ignore[union-attr]


def test_a_wrong_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that break the program, and points that are not the best, are not taken, whatever the status says."""
    for wrong in (lambda point: point * 0, lambda point: np.array([4.0, 0.0, 0.0])):
        made = program()
        checked = made._checked
        monkeypatch.setattr(made, "_checked", lambda point, duals, sense, wrong=wrong, checked=checked: checked(wrong(point), duals, sense))
        with pytest.raises(Unsolved):
            made.solve("max")


def test_whole_numbers() -> None:
    rows = Rows.of([([0, 1, 2], [2.0, 2.0, 2.0], 3.0, float("inf"))])
    found = integers(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.ones(3), rows, np.ones(3, np.bool_), 100)
    assert found is not None
    assert found.value == pytest.approx(3.0)
    assert integers(np.ones(1), np.zeros(1), np.ones(1), Rows.of([([0], [2.0], 1.0, 1.0)]), np.ones(1, np.bool_), 100) is None
