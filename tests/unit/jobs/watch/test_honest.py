"""A small month of honest work raises no more false alarms than the page of alerts says; an attack within it is seen all the same."""

from __future__ import annotations

from pathlib import Path

from jobs.watch.measured import measured, simulated
from jobs.watch.rules import shipped_rules
from tests.honest import honest_month

MOST = 2  # of all rules together, in two small weeks


def test_two_weeks_of_honest_work(tmp_path: Path) -> None:
    month = honest_month(tmp_path / "home", days=7, warm_days=7, operators=4, seed=11)
    assert month.jobs > 150, "the simulation does work"
    assert month.looks >= 14
    assert sum(month.raised.values()) <= MOST, month.raised


def test_every_rule_shipped_was_measured() -> None:
    found = measured()
    assert set(found["false_alarms"]) == {rule.id for rule in shipped_rules().rules}
    assert found["jobs"] > 1000
    assert found["months"] >= 1.5
    for rule in shipped_rules().rules:
        assert simulated(rule) == found["false_alarms"][rule.id]
        assert simulated(rule.model_copy(update={"again_h": rule.again_h + 1})) is None, "other numbers were not measured"
