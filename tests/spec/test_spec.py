"""The supported SQL, case by case: what each query is compiled to, or why it is refused."""

from __future__ import annotations

import pytest

from policies.problem import LANGUAGES, Kind, Problem
from sandbox.plan import compile_job
from sandbox.plan import problems as plan_problems
from sandbox.plan.model import Plan
from sandbox.sql import problems as sql_problems
from tests.questions import CATALOGUE
from tests.spec.cases import Case, cases, sections

CASES = cases()


def described(plan: Plan) -> dict[str, object]:
    """A plan in the words the cases use."""
    keys = [f"{key.type} " + ("private" if key.domain is None else f"public {len(key.domain)}") for part in plan.parts for key in part.keys]
    totals = [
        f"{total.kind} {total.low}..{total.high} cap {total.cap}"
        + (f" decimals {total.decimals}" if total.decimals else "")
        + (f" centre {total.centre}" if total.centre else "")
        + (f" step {total.step} share {total.quantile[0]}/{total.quantile[1]}" if total.step else "")
        for part in plan.parts
        for total in part.totals
    ]
    return {
        "keys": keys,
        "totals": totals,
        "outputs": [output.label for output in plan.outputs],
        "parts": len(plan.parts),
        "groups": plan.only.groups_per_unit if len(plan.parts) == 1 else [part.groups_per_unit for part in plan.parts],
        "threshold": not plan.public_keys,
        "uses": [f"{use.dataset}.{use.column} {use.use}" for use in plan.uses],
        "scans": [f"{scan.dataset} {'private' if scan.private else 'public'} {' '.join(sorted(scan.columns))}" for scan in plan.scans],
        "constant_widths": [output.half_width is not None for output in plan.outputs if output.kind == "value"],
    }


@pytest.mark.parametrize("case", [case for case in CASES if case.refused is None], ids=lambda case: case.id)
def test_accepted(case: Case) -> None:
    plan = compile_job(case.sql, CATALOGUE, case.ask)
    said = described(plan)
    for name, wanted in case.facts.items():
        if name in ("emits", "absent"):
            emitted = "; ".join([*(part.shard_sql for part in plan.parts), *(view.sql for view in plan.views)])
            assert all((text in emitted) is (name == "emits") for text in wanted), emitted
        elif name == "finish":
            assert all(text in plan.finish_sql for text in wanted), plan.finish_sql
        elif name == "ranges":
            found = [f"{bound.of} {bound.low}..{bound.high} {bound.source}" for bound in plan.bounds if bound.what == "range"]
            assert all(any(line.endswith(text) for line in found) for text in wanted), found
        else:
            assert said[name] == wanted, name
    assert plan.loss.pico_rho > 0


@pytest.mark.parametrize("case", [case for case in CASES if case.refused is not None], ids=lambda case: case.id)
def test_refused(case: Case) -> None:
    with pytest.raises(Problem) as caught:
        compile_job(case.sql, CATALOGUE, case.ask)
    problem = caught.value
    assert problem.code == case.refused, problem
    if case.fragment is not None:
        assert problem.fields["fragment"] == case.fragment
    for language in LANGUAGES:
        words = problem.words(language)
        assert words.remedy
        assert "{" not in words.detail


def test_every_refusal_of_these_rooms_is_shown_or_tested_elsewhere() -> None:
    shown = {case.refused for case in CASES}
    elsewhere = {
        "sql_too_long",
        "sql_too_large",
        "sql_too_deep",
        "sql_bad_character",
        "sql_duplicate_alias",
        "plan_too_many_keys",
        "plan_too_many_candidates",
        "plan_unit_names",  # tests/unit/sandbox/raw/test_pseudonyms.py
    }
    declared = {kind.code for room in (sql_problems, plan_problems) for kind in vars(room).values() if isinstance(kind, Kind)}
    assert declared == (shown | elsewhere) - {None}


def test_the_cases_can_be_rendered() -> None:
    assert len(CASES) >= 80
    for section in sections():
        assert set(section.title) == set(LANGUAGES)
        assert all(case.zh and case.en for case in section.cases)
