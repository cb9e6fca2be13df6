"""Models on the walk: priced, charged, staged and published as any job is; nothing of a step is kept before all are staged."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from jobs import acts, hops, quote
from jobs.kinds import KINDS
from jobs.kinds import model as kind
from jobs.kinds.model import ModelKind, ModelRequest
from jobs.order import Asker, Order
from jobs.queue import Stopping
from jobs.release import resume
from policies.problem import Problem
from sandbox import fit_steps
from sandbox.finish import fit_answer
from sandbox.finish.finish import Released
from sandbox.finish.fit_answer import CARD
from sandbox.noise.fit import Drawn, draw_step
from sandbox.plan.fit.ask import FitAsk
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw.totals import ExactTotals
from tests.bureau import SCENARIO, Bureau, licence
from tests.unit.jobs.test_release import ACCOUNTS, clean, ended, eventually, kinds, submitted, used, wait

LICENCE = "L-models"
PATIENT_S = 90  # on a busy machine a job of several steps misses its slot, and the last ones are 30 s apart
MODEL = {
    "model": "logistic",
    "source": "visits",
    "target": {"name": "urgent"},
    "features": [{"name": "days"}, {"name": "score", "missing": 0}, {"name": "city", "categories": "declared"}],
    "iterations": 3,
    "privacy": {"rho": "0.05"},
}
CLUSTERS = {
    "model": "kmeans",
    "source": "SELECT person_id, avg(days) AS days, sum(fee) AS fee FROM visits GROUP BY person_id",
    "features": [{"name": "days"}, {"name": "fee", "low": 0, "high": 3000}],
    "clusters": 2,
    "iterations": 2,
    "privacy": {"epsilon": "0.3", "delta": "0.0000001"},
}


@pytest.fixture
def modelling(bureau: Bureau) -> Bureau:
    """The bureau, where a licence allows models besides the one that does not."""
    acts.grant_licence(bureau.services.register, licence(LICENCE, job_kinds=("sql", "model")))
    return bureau


def order(licence: str = LICENCE, **changes: Any) -> Order:
    return Order(Asker("operator-1", "operator", "active"), licence, SCENARIO, ModelRequest(FitAsk.model_validate({**MODEL, **changes})))


def accounts() -> set[str]:
    return {*(name for name in ACCOUNTS if not name.startswith("licence:")), f"licence:{LICENCE}"}


@pytest.mark.parametrize("changes", [{}, CLUSTERS])
def test_a_model_from_order_to_table(modelling: Bureau, changes: dict[str, Any]) -> None:
    asked = order() if not changes else Order(order().by, LICENCE, SCENARIO, ModelRequest(FitAsk.model_validate(changes)))
    seen = ended(modelling, asked, PATIENT_S)
    assert (seen.state, seen.kind, seen.problem) == ("published", "model", ())
    assert kinds(modelling)[-7:] == [
        "job_submitted", "job_admitted", "charge_reserved", "job_reading", "job_spent", "job_staged", "release_published",
    ]  # fmt: skip
    assert seen.price is not None
    staged = modelling.services.staging.load(seen.id)
    assert staged is not None
    assert staged.record["kind"] == "model"
    card = json.loads(staged.read(CARD))
    assert Decimal(card["price"]["rho"]) == seen.price.rho
    rows = json.loads(staged.read("table.json"))["rows"]
    assert [row["term"] for row in rows] == ["(intercept)", "days", "score", "city=太原", "city=大同"] if not changes else len(rows) == 2
    assert clean(modelling)
    again = ended(modelling, asked, PATIENT_S)
    assert (again.reused, again.release) == (True, seen.release)


def test_requests_are_read_back_as_they_were_sealed() -> None:
    for asked in (MODEL, CLUSTERS):
        request = ModelRequest(FitAsk.model_validate(asked))
        assert ModelKind().request(json.loads(json.dumps(request.content()))) == request
        assert KINDS["model"].name == request.kind == "model"


def test_a_licence_that_does_not_name_models_allows_none(modelling: Bureau) -> None:
    for ask in (quote.check, quote.dummy):
        with pytest.raises(Problem, match="licence_refused") as refused:
            ask(modelling.services.office, order("L-1"))
        assert [part.code for part in refused.value.parts] == ["licence_job_kind"]
    with pytest.raises(Problem, match="licence_refused"):
        submitted(modelling, order("L-1")).result(PATIENT_S)
    assert kinds(modelling)[-1] == "job_refused"


def test_a_quote_and_a_dummy_run_are_free_and_of_the_right_shape(modelling: Bureau) -> None:
    before = modelling.services.register.size
    quoted = quote.check(modelling.services.office, order())
    assert quoted.plan.loss.rho <= Decimal("0.05")
    assert quoted.explanation["model"] == "logistic"
    answer = quote.dummy(modelling.services.office, order())
    assert answer.table.column_names == ["term", "estimate", "estimate__half_width", "standard_error", "noise_error", "low", "high"]
    assert modelling.services.register.size == before
    assert {name: spent for name, spent in used(modelling).items() if spent != (0, 0)} == {}


def test_columns_that_the_licence_does_not_grant_are_refused(modelling: Bureau) -> None:
    grants = [{"dataset": "visits", "consent": "同意 1 号", "columns": [{"name": "days", "uses": ["aggregate"]}]}]
    acts.grant_licence(modelling.services.register, licence("L-narrow", job_kinds=("model",), datasets=grants))
    with pytest.raises(Problem, match="licence_refused") as refused:
        quote.check(modelling.services.office, order("L-narrow"))
    (part,) = refused.value.parts
    assert part.code == "licence_column_use"
    assert "urgent:aggregate" in part.fields["ungranted"]


def breaking(step: int, error: BaseException, seen: list[Drawn]) -> Callable[[FitPlan, int, ExactTotals], Drawn]:
    def draw(plan: FitPlan, place: int, totals: ExactTotals) -> Drawn:
        if place == step:
            raise error
        seen.append(draw_step(plan, place, totals))
        return seen[-1]

    return draw


def test_a_run_that_stops_between_two_steps_draws_all_of_them_anew(modelling: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[Drawn] = []
    monkeypatch.setattr(fit_steps, "draw_step", breaking(2, Stopping(), first))
    job = submitted(modelling, order()).result(PATIENT_S)
    eventually(lambda: [found.job for found in modelling.services.leases.abandoned()] == [job], timeout_s=PATIENT_S)
    assert kinds(modelling)[-1] == "job_spent"
    assert len(first) % 2 == 0 < len(first)  # each run that stopped had drawn two
    assert modelling.services.staging.load(job) is None
    second: list[Drawn] = []
    monkeypatch.setattr(fit_steps, "draw_step", breaking(99, Stopping(), second))
    resume(modelling.services.office, job)
    assert wait(modelling, job, PATIENT_S).state == "published"
    assert len(second) == 4  # three steps, and the spread of gradients
    assert all(one not in second for one in first)
    assert kinds(modelling).count("job_spent") == kinds(modelling).count("release_published") == 1
    assert clean(modelling)


@pytest.mark.parametrize("where", ["totals", "second step", "draw", "finish"])
def test_every_failure_after_reading_is_the_same_failure(modelling: Bureau, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("secret value 42 of patient 7")

    exact = kind.exact_step
    later: Callable[..., ExactTotals] = lambda plan, place, *rest: fails() if place else exact(plan, place, *rest)  # noqa: E731
    if where == "totals":
        monkeypatch.setattr(hops, "totals", fails)
    elif where == "second step":
        monkeypatch.setattr(kind, "exact_step", later)
    elif where == "draw":
        monkeypatch.setattr(fit_steps, "draw_step", breaking(1, ValueError("secret value 42 of patient 7"), []))
    else:
        monkeypatch.setattr(fit_answer, "coefficients", fails)
    seen = ended(modelling, order(), PATIENT_S)
    assert (seen.state, seen.problem, seen.release) == ("failed", ("job_failed",), None)
    assert seen.price is not None
    register = modelling.services.register
    assert not any(b"patient" in register.entry(index) for index in range(register.size))
    assert {spent for name, spent in used(modelling).items() if name in accounts()} == {(0, seen.price.pico_rho)}
    assert clean(modelling)


def test_its_slot_follows_from_declared_sizes_and_steps(modelling: Bureau) -> None:
    office = modelling.services.office
    slots = []
    for steps in (1, 50):
        plan = KINDS["model"].compile(office, order(iterations=steps).request, office.register.catalogue())
        slots.append(KINDS["model"].expected_ms(office.settings, plan, office.register.catalogue()))
    assert slots[0] < slots[1]


def test_a_dummy_run_reads_nothing(modelling: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Released:
        raise AssertionError("rows were read")

    monkeypatch.setattr(kind, "exact_step", fails)
    monkeypatch.setattr(modelling.services.office.vault.__class__, "open", fails)
    one, other = (quote.dummy(modelling.services.office, order()).table for _ in range(2))
    assert one.num_rows == other.num_rows == 5
