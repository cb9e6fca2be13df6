"""Requests for models: what is refused before data is touched, where ranges and bounds come from, what a plan is."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from policies.problem import LANGUAGES, Problem
from policies.reasons import reasons_of
from sandbox.plan.fit.ask import MOST_FEATURES, FitAsk
from sandbox.plan.fit.compile import compile_fit
from sandbox.plan.fit.explain import card
from sandbox.plan.fit.plan import FitPlan, Variable
from sandbox.plan.fit.spread import packed
from tests.models import asked, catalogue, plan_of

MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no such model": ({"model": "ridge"}, "model"),
    "no features": ({"features": []}, "features"),
    "an unknown field": ({"epochs": 3}, "epochs"),
    "low above high": ({"features": [{"name": "x", "low": 3, "high": 1}]}, "features[0](x)"),
    "half a range": ({"features": [{"name": "x", "low": 3}]}, "features[0](x)"),
    "NaN": ({"features": [{"name": "x", "low": "NaN", "high": 1}]}, "features[0](x).low"),
    "an infinite end": ({"features": [{"name": "x", "low": 0, "high": "Infinity"}]}, "features[0](x).high"),
    "a fill outside": ({"features": [{"name": "x", "low": 0, "high": 1, "missing": 2}]}, "features[0](x)"),
    "a fill that is no number": ({"features": [{"name": "x", "missing": "mean"}]}, "features[0](x).missing"),
    "a name that is none": ({"features": [{"name": "1x"}]}, "features[0](1x).name"),
    "one category": ({"features": [{"name": "r", "categories": ["a"]}]}, "features[0](r).categories"),
    "a category twice": ({"features": [{"name": "r", "categories": ["a", "a"]}]}, "features[0](r).categories"),
    "categories of several types": ({"features": [{"name": "r", "categories": ["a", 1]}]}, "features[0](r).categories"),
    "categories with a range": ({"features": [{"name": "r", "categories": ["a", "b"], "low": 0, "high": 1}]}, "features[0](r)"),
    "a name twice": ({"features": [{"name": "x"}, {"name": "X"}]}, "."),
    "the target among features": ({"features": [{"name": "y"}]}, "."),
    "no target": ({"target": None}, "."),
    "clusters of a regression": ({"clusters": 2}, "."),
    "iterations of least squares": ({"iterations": 2}, "."),
    "too many iterations": ({"model": "logistic", "iterations": 51}, "iterations"),
    "a clip of 0": ({"clip": 0}, "clip"),
    "a penalty below 0": ({"regularisation": -1}, "regularisation"),
    "no rows": ({"rows_per_unit": 0}, "rows_per_unit"),
    "pure DP": ({"privacy": {"epsilon": "1", "delta": 0}}, "."),
    "two privacies": ({"privacy": {"epsilon": "1", "rho": 1}}, "privacy"),
    "no privacy": ({"privacy": {}}, "privacy"),
    "k-means with a target": ({"model": "kmeans", "clusters": 2}, "."),
    "k-means without clusters": ({"model": "kmeans", "target": None}, "."),
    "k-means with errors": ({"model": "kmeans", "target": None, "clusters": 2, "errors": "robust"}, "."),
    "one cluster": ({"model": "kmeans", "target": None, "clusters": 1}, "clusters"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_is_refused_and_located(what: str) -> None:
    changes, path = MALFORMED[what]
    document = {**asked("linear").model_dump(exclude_none=True), **changes}
    with pytest.raises(ValidationError) as refused:
        FitAsk.model_validate(document)
    reasons = reasons_of(refused.value, document)
    assert any(reason.path.startswith(path) for reason in reasons), reasons
    assert all(reason.zh and reason.en for reason in reasons)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such dataset": ({"source": "persons"}, "sql_unknown_table"),
    "no such column": ({"features": [{"name": "height"}]}, "sql_unknown_column"),
    "a public table": (
        {"source": "areas", "features": [{"name": "r", "categories": "declared"}], "target": {"name": "t", "expression": "1"}},
        "plan_no_private_table",
    ),
    "a source across units": ({"source": "SELECT w, avg(x) AS x, avg(y) AS y FROM people GROUP BY w"}, "plan_model_released"),
    "a released subquery": ({"source": "SELECT * FROM people WHERE x > (SELECT avg(x) FROM people)"}, "plan_model_released"),
    "two statements": ({"source": "SELECT * FROM people; SELECT 1"}, "sql_one_statement"),
    "a source that climbs out": ({"source": "SELECT * FROM people) AS a, (SELECT * FROM people"}, "sql_syntax"),
    "no SELECT": ({"source": "DELETE FROM people"}, "sql_not_select"),
    "two units multiplied": ({"source": "SELECT a.x, b.w, a.y FROM people a, people b"}, "plan_join_unit"),
    "two values": ({"features": [{"name": "x", "expression": "x, w"}]}, "plan_model_expression"),
    "an alias": ({"features": [{"name": "x", "expression": "x AS z"}]}, "sql_not_supported"),
    "an expression that climbs out": ({"features": [{"name": "x", "expression": "x) FROM people, (SELECT 1"}]}, "sql_syntax"),
    "a FROM of its own": ({"features": [{"name": "x", "expression": "x) FROM source WHERE (w > 3"}]}, "sql_syntax"),
    "an aggregate": ({"features": [{"name": "x", "expression": "avg(x)"}]}, "sql_misplaced_aggregate"),
    "a function that is not allowed": ({"features": [{"name": "x", "expression": "random()"}]}, "sql_function_unknown"),
    "the unit": ({"features": [{"name": "u", "low": 0, "high": 9}]}, "plan_unit_aggregate"),
    "what is computed from the unit": ({"features": [{"name": "v", "expression": "u % 7"}]}, "plan_unit_aggregate"),
    "a category of the unit": ({"features": [{"name": "u", "categories": [1, 2]}]}, "plan_unit_aggregate"),
    "text": ({"features": [{"name": "r"}]}, "plan_model_type"),
    "a date": ({"features": [{"name": "born"}]}, "plan_model_type"),
    "no range": ({"features": [{"name": "open"}]}, "plan_model_no_range"),
    "a range widened": ({"features": [{"name": "w", "low": 0, "high": 101}]}, "plan_range_widened"),
    "a constant": ({"features": [{"name": "one", "expression": "1"}]}, "plan_model_constant"),
    "nothing but 0": ({"features": [{"name": "none", "expression": "0 * w"}]}, "plan_model_constant"),
    "too wide a range": ({"features": [{"name": "open", "low": -1e17, "high": 1e17}]}, "plan_bounds_too_wide"),
    "a fill outside the catalogue's range": ({"features": [{"name": "w", "missing": 200}]}, "plan_model_fill"),
    "categories that nobody declared": ({"features": [{"name": "w", "categories": "declared"}]}, "plan_model_categories"),
    "categories of another type": ({"features": [{"name": "r", "categories": [1, 2]}]}, "plan_model_type"),
    "rows widened": ({"rows_per_unit": 6}, "plan_bound_widened"),
    "several rows and classical errors": ({"rows_per_unit": 2, "errors": "classical"}, "plan_model_errors"),
    "outcomes that are no 0 and 1": ({"model": "logistic", "target": {"name": "n"}}, "plan_model_target"),
    "counts below 0": ({"model": "poisson", "target": {"name": "y"}}, "plan_model_target"),
    "next to no budget": ({"privacy": {"rho": "0.000000000001"}, "errors": "robust"}, "plan_price_too_small"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_catalogue_does_not_bear_is_refused(what: str) -> None:
    changes, code = REFUSED[what]
    with pytest.raises(Problem) as refused:
        plan_of(**{"model": "linear", "rows": None, **changes})
    assert refused.value.code == code
    for language in LANGUAGES:
        words = refused.value.words(language)
        assert words.title
        assert words.detail
        assert words.remedy


def test_features_past_the_limit_are_counted_with_their_categories() -> None:
    features: list[dict[str, Any]] = [{"name": f"f{place}", "expression": f"x + {place}"} for place in range(MOST_FEATURES - 1)]
    plan_of("linear", features=[*features, {"name": "w"}])
    with pytest.raises(Problem, match="plan_model_too_many"):
        plan_of("linear", features=[*features, {"name": "r", "categories": "declared"}])


def test_equal_requests_are_one_question_and_others_are_not() -> None:
    digest = plan_of("logistic").digest
    assert plan_of("logistic").digest == digest
    assert plan_of("logistic", features=[{"name": "x", "expression": " x "}, {"name": "w"}]).digest == digest
    others = [
        {"features": [{"name": "w"}, {"name": "x"}]},
        {"features": [{"name": "x", "missing": 0}, {"name": "w"}]},
        {"features": [{"name": "x", "low": -1, "high": 1}, {"name": "w"}]},
        {"privacy": {"rho": "0.2"}},
        {"iterations": 9},
        {"clip": "0.3"},
        {"regularisation": "1"},
        {"errors": "robust"},
        {"intercept": False},
        {"standardise": False},
    ]
    digests = {plan_of("logistic", **changes).digest for changes in others}
    assert len(digests) == len(others)
    assert digest not in digests


def test_rows_of_a_unit_follow_from_what_is_public() -> None:
    assert (plan_of("linear", 1).rows_per_unit, plan_of("linear", 1).single, plan_of("linear", 1).errors) == (1, True, "classical")
    assert (plan_of("linear", 3).rows_per_unit, plan_of("linear", 3).errors) == (3, "robust")
    assert plan_of("linear", None).rows_per_unit == 5
    assert plan_of("linear", None, rows_per_unit=1).errors == "classical"
    per_unit = "SELECT u, avg(x) AS x, max(w) AS w, min(y) AS y FROM people GROUP BY u"
    assert (plan_of("linear", None, source=per_unit).rows_per_unit, plan_of("linear", None, source=per_unit).single) == (1, True)


def test_uses_and_reads_are_what_the_policy_is_asked_about() -> None:
    plan = plan_of("linear", source="SELECT x, w, y FROM people WHERE n > 3", features=[{"name": "x"}])
    assert {(use.column, use.use) for use in plan.uses} == {("x", "aggregate"), ("y", "aggregate"), ("n", "filter")}
    (scan,) = plan.scans
    assert set(scan.columns) == {"u", "x", "y", "n"}
    assert plan.space == "person"


def test_ranges_standardise() -> None:
    plan = plan_of("linear", features=[{"name": "w", "low": 20, "high": 60}, {"name": "x"}])
    assert (plan.features[0].middle, plan.features[0].half) == (40, 20)
    assert (plan.features[1].middle, plan.features[1].half) == (Decimal("0.5"), Decimal("2.5"))
    bare = plan_of("linear", intercept=False).features[0]
    assert (bare.middle, bare.half) == (0, 3)
    assert plan_of("logistic").target == Variable("b", 0, 1, 0, None, False, "b")


def test_a_wanted_accuracy_has_a_price() -> None:
    for model in ("linear", "logistic", "poisson", "kmeans"):
        fine, coarse = (plan_of(model, privacy={"accuracy": wanted}) for wanted in ("1%", "0.1"))
        assert card(coarse)["expected_half_width"] == pytest.approx(0.1, rel=1e-3)
        assert float(fine.loss.rho) == pytest.approx(100 * float(coarse.loss.rho), rel=1e-3)


def test_the_quotes_words_come_in_both_languages() -> None:
    for plan in (plan_of("linear"), plan_of("poisson", 3, clip="0.2"), plan_of("kmeans")):
        said = card(plan)
        json.dumps(said)
        assert len(said["zh"]) == len(said["en"]) >= 4
        assert said["price"]["rho"] == str(plan.loss.rho)


def test_first_centres_are_far_apart_and_always_the_same() -> None:
    for count, dimensions in ((2, 1), (5, 2), (9, 3), (50, 6)):
        points = packed(count, [(-1.0, 1.0)] * dimensions)
        assert points == packed(count, [(-1.0, 1.0)] * dimensions)
        assert len({tuple(point) for point in points}) == count
        assert all(-1 <= place <= 1 for point in points for place in point)
    left, right = sorted(packed(2, [(-1.0, 1.0)]))
    assert right[0] - left[0] > 0.9


def test_a_plan_that_is_none_cannot_be_built() -> None:
    import dataclasses

    plan: FitPlan = plan_of("linear")
    for changes in ({"steps": ()}, {"features": ()}, {"rows_per_unit": 0}, {"target": None}):
        with pytest.raises(ValueError, match="a model has steps"):
            dataclasses.replace(plan, **changes)  # type: ignore[arg-type]  # fields by name


def test_one_request_over_another_version_is_another_plan() -> None:
    assert compile_fit(asked("linear"), catalogue(1)).digest != compile_fit(asked("linear"), catalogue(None)).digest
