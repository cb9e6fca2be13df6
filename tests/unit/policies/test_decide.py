"""The verdicts: each rule broken alone, several together, and everything that cannot be evaluated."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.authority import Authority
from policies.catalogue import GRADES, Catalogue
from policies.decide import AUTHORITY, BrokenRule, PlanFacts, RequestFacts, decide_plan, decide_request, licence_undecided, rules
from policies.loss import MAX_PICO_RHO, Loss
from policies.problem import KINDS
from tests.unit.policies.worlds import CAP, NOW, REQUEST_RULES, SPOIL, Person, Reading, Using, World, changed

RULES = sorted(SPOIL)
EXCLUSIVE = (
    {"licence_share_none", "licence_share_conditional"},
    {"licence_dataset", "licence_column_use"},
    {"licence_important_grade", "licence_price"},
    {"licence_important_grade", "licence_important_price"},
    {"licence_dataset", "licence_important_price"},
    *({"licence_exact_grade", other} for other in ("licence_dataset", "licence_job_kind", "licence_price", "licence_important_grade")),
    *({"licence_exact_grade", other} for other in ("licence_important_price", "licence_column_use", "licence_core_grade")),
)
SILENCING = {"licence_not_held", "licence_data_unregistered"}


def broken(world: World, now: datetime = NOW) -> set[str]:
    decision = decide_plan(world.plan(), now)
    assert decision.allowed == (not decision.rules)
    return {rule.id for rule in decision.rules}


def test_what_the_licence_covers_is_allowed() -> None:
    request, plan = decide_request(World().request(), NOW), decide_plan(World().plan(), NOW)
    assert request.allowed
    assert plan.allowed
    assert plan.rules == request.rules == ()
    with pytest.raises(ValueError, match="nothing was refused"):
        plan.problem()


def test_there_is_a_way_to_break_every_rule() -> None:
    assert set(SPOIL) == set(AUTHORITY.rules)
    assert [rule.id for rule in rules()] == [*AUTHORITY.rules, "licence_undecided"]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_broken_alone_is_reported_with_its_words_and_basis(rule: str) -> None:
    world = World()
    SPOIL[rule](world)
    decision = decide_plan(world.plan(), NOW)
    assert not decision.allowed
    assert [found.id for found in decision.rules] == [rule]
    (found,) = decision.rules
    assert found.title_zh
    assert found.title_en
    assert found.basis.count("《") >= 1
    assert decision.policy_digest == AUTHORITY.digest
    problem = decision.problem()
    assert problem.code == "licence_refused"
    (part,) = problem.parts
    assert part.code == rule
    for language in ("zh", "en"):
        words = part.words(language)
        assert found.basis in words.detail
        assert "{" not in words.detail + words.remedy
    assert part.words("zh").title == found.title_zh
    assert part.words("en").title == found.title_en


@pytest.mark.parametrize("rule", RULES)
def test_the_request_alone_already_meets_the_rules_about_it(rule: str) -> None:
    world = World()
    SPOIL[rule](world)
    decision = decide_request(world.request(), NOW)
    assert [found.id for found in decision.rules] == ([rule] if rule in REQUEST_RULES else [])
    assert decision.allowed == (rule not in REQUEST_RULES)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from([rule for rule in RULES if rule not in SILENCING])))
def test_several_rules_broken_together_are_all_reported(chosen: set[str]) -> None:
    for pair in EXCLUSIVE:
        chosen -= {max(pair)} if pair <= chosen else set()
    world = World()
    for rule in sorted(chosen, key=list(SPOIL).index):
        SPOIL[rule](world)
    assert broken(world) == chosen
    if chosen:
        assert {part.code for part in decide_plan(world.plan(), NOW).problem().parts} == chosen


def test_of_somebody_elses_licence_nothing_is_said() -> None:
    world = World()
    for rule in set(SPOIL) - {"licence_role"}:
        SPOIL[rule](world)
    said = broken(world)
    assert said == {"licence_not_held", "licence_operator_inactive", "licence_operator_frozen", "licence_everything_frozen"}
    absent = RequestFacts(Person(), None, None, "care-planning", licence_id="SX-2026-007")
    theirs = replace(World().request(), principal=Person(id="op-2"))
    answers = [decide_request(facts, NOW).problem().as_data() for facts in (absent, replace(absent, licence_id="other"), theirs)]
    assert str(answers[0]).replace("SX-2026-007", "other") == str(answers[1])
    assert str(answers[0]) == str(answers[2]).replace("op-2", "op-1")


def test_a_name_made_to_look_like_nobody_holds_nothing() -> None:
    for name in ("", "-", "not op-1", "not "):
        facts = RequestFacts(Person(id=name), None, None, "care-planning")
        assert [rule.id for rule in decide_request(facts, NOW).rules] == ["licence_not_held"]


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (datetime(2025, 12, 31, 15, 59, 59, 999_999, tzinfo=UTC), False),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=8))), True),
        (datetime(2026, 12, 31, 15, 59, 59, 999_999, tzinfo=UTC), True),
        (datetime(2026, 12, 31, 16, tzinfo=UTC), False),
    ],
)
def test_a_term_includes_its_start_and_not_its_end(now: datetime, allowed: bool) -> None:
    assert decide_request(World().request(), now).allowed is allowed


def test_a_term_is_never_longer_than_it_says_though_the_rules_count_milliseconds() -> None:
    world = World()
    assert world.licence is not None
    start, end = NOW + timedelta(microseconds=300), NOW + timedelta(microseconds=7_700)
    world.licence = changed(world.licence, valid_from=start, valid_until=end)
    assert not decide_request(world.request(), start - timedelta(microseconds=1)).allowed
    assert decide_request(world.request(), NOW + timedelta(milliseconds=1)).allowed
    assert not decide_request(world.request(), end).allowed


def test_a_naive_time_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="aware"):
        decide_request(World().request(), datetime(2026, 6, 1))  # noqa: DTZ001  # what is being refused


@pytest.mark.parametrize("price", [Loss(0, 10_000_000_001), Loss(2**63, 0), Loss(MAX_PICO_RHO, 10**18)])
def test_a_price_over_either_cap_is_refused_even_past_64_bits(price: Loss) -> None:
    assert broken(replace(World(), price=price)) == {"licence_price"}


def test_a_price_at_the_cap_is_allowed() -> None:
    assert broken(replace(World(), price=CAP)) == set()


@pytest.mark.parametrize("grade", GRADES)
def test_the_strictest_grade_of_dataset_and_columns_counts(grade: str) -> None:
    expected = {"core": {"licence_core_grade"}, "important": {"licence_important_grade", "licence_important_price"}}.get(grade, set())
    by_dataset, by_column, by_other, unused = World(), World(), World(), World()
    by_other.cities = changed(by_other.cities, grade=grade)  # the strictest rule of all tables wins
    assert broken(by_other) == expected
    by_dataset.visits = changed(by_dataset.visits, grade=grade)
    by_column.column("person", grade=grade)  # read for the unit, used for nothing else
    assert broken(by_dataset) == broken(by_column) == expected
    unused.column("fee", grade=grade)
    unused.uses = unused.uses[:1]
    plan = replace(unused.plan(), reads=(Reading("visits", columns=("person", "city")),))
    assert decide_plan(plan, NOW).allowed


def test_the_licence_may_carry_consent_and_a_second_approval() -> None:
    world = World()
    SPOIL["licence_share_conditional"](world)
    SPOIL["licence_important_grade"](world)
    assert broken(world) == {"licence_share_conditional", "licence_important_grade"}
    world.grant(consent="卫健委函〔2026〕3号")
    assert broken(world) == {"licence_important_grade"}
    world.grant(second_approval="晋数决〔2026〕8号")
    assert broken(world) == set()


@pytest.mark.parametrize(
    ("price", "allowed"), [(Loss(5_000_000_000, 10_000_000_000), True), (Loss(5_000_000_001), False), (Loss(1, 10**10 + 1), False)]
)
def test_important_data_has_a_tighter_cap(price: Loss, allowed: bool) -> None:
    world = World(price=price)
    world.column("fee", grade="important")
    world.licence = changed(
        world.licence, per_job=changed(world.licence.per_job, pico_rho=10**12, atto_delta=10**12), total={"rho": "2", "delta": "1e-5"}
    )  # type: ignore[type-var]
    world.grant(second_approval="晋数决〔2026〕8号")
    assert broken(world) == (set() if allowed else {"licence_important_price"})


def test_columns_granted_one_by_one() -> None:
    world = World()
    world.grant(columns=[{"name": "city", "uses": ["key"]}, {"name": "FEE", "uses": ["filter", "aggregate"]}])
    assert broken(world) == set()
    world.uses = (*world.uses, Using("visits", "city", "distinct"))
    decision = decide_plan(world.plan(), NOW)
    assert [rule.id for rule in decision.rules] == ["licence_column_use"]
    assert "visits.city:distinct" in decision.problem().parts[0].words("zh").detail
    assert "visits.city:key" not in decision.problem().parts[0].words("zh").detail


def test_names_are_compared_without_case() -> None:
    world = World()
    world.grant(dataset="VISITS", columns=[{"name": "CITY", "uses": ["key"]}, {"name": "Fee", "uses": ["aggregate"]}])
    assert broken(world) == set()


def test_a_public_dataset_needs_no_grant_but_keeps_its_own_rules() -> None:
    world = World()
    world.uses = (*world.uses, Using("cities", "city", "aggregate"))
    assert broken(world) == {"licence_catalogue_use"}


@pytest.mark.parametrize(
    "plan",
    [
        lambda plan: replace(plan, catalogue=Catalogue(())),
        lambda plan: replace(plan, reads=(*plan.reads, Reading("ghost"))),
        lambda plan: replace(plan, reads=(*plan.reads, Reading("visits", version=2))),
        lambda plan: replace(plan, reads=(*plan.reads[:1], Reading("cities", digest="b" * 64))),
        lambda plan: replace(plan, uses=(*plan.uses, Using("ghost", "x", "key"))),
        lambda plan: replace(plan, reads=plan.reads[1:]),
    ],
    ids=["none registered", "unknown table", "two versions", "other content", "used but unknown", "used but not read"],
)
def test_what_is_not_registered_as_read_is_refused(plan: object) -> None:
    decision = decide_plan(plan(World().plan()), NOW)  # type: ignore[operator]  # a function, from the table above
    assert not decision.allowed
    assert {rule.id for rule in decision.rules} == {"licence_data_unregistered"}


def test_a_column_the_catalogue_does_not_have_is_refused() -> None:
    world = World()
    world.uses = (*world.uses, Using("visits", "ghost", "filter"))
    assert broken(world) == {"licence_catalogue_use"}


def test_a_plan_that_reads_nothing_is_no_plan() -> None:
    plan = World().plan()
    with pytest.raises(ValueError, match="at least one"):
        PlanFacts(plan.request, plan.catalogue, (), plan.uses, plan.price)


def test_facts_that_do_not_fit_the_schema_are_refused() -> None:
    world = World(principal=Person(role=3))  # type: ignore[arg-type]  # what is being refused
    decision = decide_request(world.request(), NOW)
    assert not decision.allowed
    assert [rule.id for rule in decision.rules] == ["licence_undecided"]
    assert decision.problem().parts[0].kind is licence_undecided


def test_a_policy_that_cannot_be_evaluated_refuses_beside_the_rules_that_can(schema_text: str, policy_text: str) -> None:
    overflowing = policy_text + 'forbid (principal, action == Action::"spend", resource) when { context.pico_rho * 4611686018427387904 > 1 };'
    with pytest.raises(ValueError, match="lacks @id"):
        Authority(overflowing, schema_text)
    words = "".join(f'@{name}("x")\n' for name in ("title_zh", "title_en", "detail_zh", "detail_en", "remedy_zh", "remedy_en", "basis"))
    authority = Authority(
        overflowing.replace(
            'forbid (principal, action == Action::"spend"', f'@id("licence_extra")\n{words}forbid (principal, action == Action::"spend"'
        ),
        schema_text,
    )
    decision = decide_plan(World().plan(), NOW, authority)
    assert not decision.allowed
    assert [rule.id for rule in decision.rules] == ["licence_undecided"]
    world = World(scenario="advertising")
    assert [rule.id for rule in decide_plan(world.plan(), NOW, authority).rules] == ["licence_scenario", "licence_undecided"]
    assert decision.policy_digest == authority.digest != AUTHORITY.digest


def test_a_request_no_policy_permits_is_refused(schema_text: str) -> None:
    nothing = Authority('permit (principal, action == Action::"spend", resource);', schema_text)
    decision = decide_request(World().request(), NOW, nothing)
    assert not decision.allowed
    assert [rule.id for rule in decision.rules] == ["licence_undecided"]


def test_every_rule_is_a_kind_of_problem() -> None:
    for rule in rules():
        assert KINDS[rule.id] is rule.kind
        assert BrokenRule(rule).id == rule.id


def test_deciding_takes_about_a_millisecond() -> None:
    facts = World().plan()
    spent = []
    for _ in range(100):
        start = time.thread_time()
        decide_plan(facts, NOW)
        spent.append(time.thread_time() - start)
    assert statistics.median(spent) < 0.005  # of this thread's own: 1.1 ms for two datasets
