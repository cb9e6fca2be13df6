"""A bureau that allows budgets by period, and a dataset that has them: visits by month, from November 2025 to April 2026."""

from __future__ import annotations

from datetime import date

from jobs import acts, rulebook
from jobs.register import Register
from policies.catalogue import Block, Column, Dataset, Snapshot
from tests.small_register import a_snapshot, title

MONTHS = ("2025-11", "2025-12", "2026-01", "2026-02", "2026-03", "2026-04")
RULE = '@id("licence_period_budget")'


def allowed(rules: str, cases: str) -> tuple[str, str]:
    """The policy and its cases without the rule against budgets by period, which stands last in both."""
    kept, removed, _ = rules.partition(RULE)
    assert removed
    return kept, cases.partition('[[cases]]\nrule = "licence_period_budget"')[0]


def allow(register: Register) -> None:
    """Two supervisors change the policy."""
    for name in ("zhang", "qian"):
        acts.register_principal(register, name, role="supervisor", title=title(name))
    texts = rulebook.texts(register, None)
    assert texts is not None
    proposal = acts.propose_policy(register, *allowed(*texts), reason="months of visits", by="zhang")
    acts.change_policy(register, proposal=proposal, by="qian")


def by_month(
    name: str = "visits", *, version: int = 1, low: date = date(2025, 11, 15), high: date = date(2026, 4, 10), column: str = "day"
) -> Snapshot:
    made = a_snapshot(name, version=version).dataset
    assert made.unit is not None
    day = Column(name=column, type="date", title=title("day"), nullable=False, low=low, high=high)
    columns = (*(each for each in made.columns if each.name != "day"), day)
    unit = made.unit.model_copy(update={"pseudonym": True})
    dataset = Dataset.model_validate(dict(made) | {"columns": columns, "unit": unit, "block": Block(column=column, period="month")})
    return Snapshot(dataset=dataset, version=version, digest=f"{version:064x}")
