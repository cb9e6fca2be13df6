"""Nothing that stops ever permits: freezing more, or any rule the bureau writes on the floor, only takes away."""

from __future__ import annotations

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.authority import Authority, Json, shipped
from policies.decide import _licence, _requester, _submit, decide_plan, decide_request
from tests.unit.policies.test_cases import FLOOR_ONLY, SCHEMA, rule
from tests.unit.policies.worlds import NOW, SPOIL, World

NAMES = ["everything", "operator:op-1", "licence:sx-2026-007", "dataset:visits", "dataset:cities", "operator:op-2", "licence:x"]


@settings(max_examples=60, deadline=None)
@given(frozen=st.sets(st.sampled_from(NAMES)), more=st.sets(st.sampled_from(NAMES)), spoiled=st.none() | st.sampled_from(sorted(SPOIL)))
def test_freezing_more_never_permits_more(frozen: set[str], more: set[str], spoiled: str | None) -> None:
    world, stricter = World(), World()
    for each in (world, stricter):
        if spoiled is not None:
            SPOIL[spoiled](each)
    world.frozen |= frozen
    stricter.frozen |= frozen | more
    for facts, stricter_facts in ((world.request(), stricter.request()),):
        assert decide_request(facts, NOW).allowed or not decide_request(stricter_facts, NOW).allowed
    assert decide_plan(world.plan(), NOW).allowed or not decide_plan(stricter.plan(), NOW).allowed
    assert {rule.id for rule in decide_plan(world.plan(), NOW).rules} <= {rule.id for rule in decide_plan(stricter.plan(), NOW).rules} | {
        rule for rule in SPOIL if spoiled == "licence_not_held"
    }


BITS = [
    'context.scenario == "care-planning"',
    "principal.frozen",
    'resource.job_kinds.contains("sql")',
    "context.everything_frozen",
    'principal == Requester::"op-1"',
]


@settings(max_examples=40, deadline=None)
@given(
    conditions=st.lists(st.sampled_from(BITS), min_size=1, max_size=4),
    scopes=st.lists(st.sampled_from(['principal == Requester::"op-1"', 'principal == Requester::"op-2"', "principal"]), min_size=4, max_size=4),
    resources=st.lists(
        st.sampled_from(['resource == Licence::"SX-2026-007"', 'resource == Licence::"other"', "resource"]), min_size=4, max_size=4
    ),
    spoiled=st.sampled_from(sorted(SPOIL)),
)
def test_a_policy_on_the_floor_never_permits_more_and_slices_hide_nothing(
    conditions: list[str], scopes: list[str], resources: list[str], spoiled: str
) -> None:
    """Whatever the bureau writes above, what the floor refuses stays refused; and the rules asked are all that could have spoken."""
    text = "".join(
        rule(condition, f"licence_own{at}").replace("(principal,", f"({scopes[at]},").replace(", resource)", f", {resources[at]})")
        for at, condition in enumerate(conditions)
    )
    authority = Authority(text, SCHEMA, shipped("floor.cedar"))
    world = World()
    SPOIL[spoiled](world)
    decision, beneath = decide_plan(world.plan(), NOW, authority), decide_plan(world.plan(), NOW, FLOOR_ONLY)
    assert not decision.allowed or beneath.allowed
    assert {found.id for found in beneath.rules} <= {found.id for found in decision.rules} | {"licence_undecided"}
    facts = world.request()
    question: Json = _submit(facts, NOW).cedar
    entities = [_requester(facts), *([] if facts.licence is None else [_licence(facts)])]
    whole = cedarpy.is_authorized(question, f"{shipped('floor.cedar')}\n{text}", entities, SCHEMA)
    (answer,) = authority.ask([question], entities)
    assert answer.allowed == (whole.allowed and not whole.diagnostics.errors)
    assert set(answer.forbidding) == set(whole.diagnostics.id_annotations_by_reason.values()) - {"permit_requests"}
