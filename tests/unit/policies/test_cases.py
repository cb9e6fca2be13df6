"""The policy's own cases hold, and would not if any rule were taken away."""

from __future__ import annotations

import json

import cedarpy
import pytest

from policies.authority import ACTIONS, Authority, shipped
from policies.cases import Cases, cases_from_toml, faults, try_cases
from policies.change import WORDS, checked
from policies.decide import AUTHORITY, decide_plan
from policies.problem import Problem
from tests.unit.policies.worlds import NOW, SPOIL, World

SCHEMA = shipped("schema.cedarschema")
FLOOR, ABOVE = cases_from_toml(shipped("floor.toml")), cases_from_toml(shipped("authority.toml"))
FLOOR_ONLY = Authority("", SCHEMA, shipped("floor.cedar"))


def without(text: str, rule: str) -> str:
    """The text less one policy."""
    read = json.loads(cedarpy.policies_to_json_str(text))
    kept = {name: policy for name, policy in read["staticPolicies"].items() if policy["annotations"]["id"] != rule}
    assert len(kept) == len(read["staticPolicies"]) - 1
    return str(cedarpy.policies_from_json_str(json.dumps({**read, "staticPolicies": kept})))


def test_every_case_holds_and_every_rule_has_its_cases() -> None:
    assert faults(try_cases(FLOOR_ONLY, FLOOR), FLOOR_ONLY.rules) == []
    assert faults(try_cases(AUTHORITY, ABOVE), AUTHORITY.rules.keys() - FLOOR_ONLY.rules.keys()) == []
    assert faults(try_cases(AUTHORITY, FLOOR), FLOOR_ONLY.rules) == []  # the policy takes nothing away that the floor's cases allow


@pytest.mark.parametrize("rule", FLOOR_ONLY.rules)
def test_take_a_rule_of_the_floor_away_and_a_case_fails(rule: str) -> None:
    weaker = Authority("", SCHEMA, without(shipped("floor.cedar"), rule))
    assert [one.case.rule for one in try_cases(weaker, FLOOR) if not one.holds]


@pytest.mark.parametrize("rule", sorted(AUTHORITY.rules.keys() - FLOOR_ONLY.rules.keys()))
def test_take_a_rule_of_the_policy_away_and_a_case_fails(rule: str) -> None:
    weaker = Authority(without(shipped("authority.cedar"), rule), SCHEMA, shipped("floor.cedar"))
    assert [one.case.rule for one in try_cases(weaker, ABOVE) if not one.holds] == [
        case.rule for case in ABOVE.cases if rule in case.refused_by
    ]


def test_a_case_of_facts_the_schema_does_not_know_does_not_hold() -> None:
    changed = Cases(base={**FLOOR.base, "submit": {**FLOOR.base["submit"], "hurry": True}}, cases=FLOOR.cases[:1])
    (one,) = try_cases(AUTHORITY, changed)
    assert (one.allowed, one.sound, one.holds) == (False, False, False)
    assert [reason.path for reason in faults([one], [])] == ["cases[0](licence_role)"]


@pytest.mark.parametrize("part", ["requester", "licence", "dataset", *ACTIONS])
def test_a_case_with_a_fact_missing_does_not_hold(part: str) -> None:
    """An attribute or a fact that is not there makes Cedar's answer unsound, whatever it says."""
    for name in FLOOR.base[part]:
        if (part, name) in (("licence", "holder"), ("licence", "datasets"), ("dataset", "name")):
            continue  # told by cases_from_toml
        if (part, name) == ("dataset", "by_period"):
            continue  # cases of before there was such a fact need not state it
        facts = {key: value for key, value in FLOOR.base[part].items() if key != name}
        (one,) = try_cases(AUTHORITY, Cases(base={**FLOOR.base, part: facts}, cases=FLOOR.cases[:1]))
        assert not one.sound, (part, name)
        assert not one.allowed


RULE = """
@id("{id}")
@title_zh("x")
@title_en("x")
@detail_zh("x")
@detail_en("{words}")
@remedy_zh("x")
@remedy_en("x")
@basis("x")
forbid (principal, {action}, resource) unless {{ {condition} }};
"""
CASE = '\n[[cases]]\nrule = "licence_own"\nzh = "x"\nen = "x"\nchange = {{ {change} }}\nrefused_by = [{refused}]\n'
OWN_CASES = CASE.format(change="", refused="") + CASE.format(change='submit.scenario = "x"', refused='"licence_scenario", "licence_own"')
ALONE = CASE.format(change='licence.scenarios = ["care-planning", "x"], submit.scenario = "x"', refused='"licence_own"')


def rule(
    condition: str = 'context.scenario != "x"', id: str = "licence_own", words: str = "x", action: str = 'action == Action::"submit"'
) -> str:
    return RULE.format(id=id, words=words, action=action, condition=condition)


def refusal(rules: str, cases: str = "") -> list[tuple[str, str]]:
    with pytest.raises(Problem) as caught:
        checked(shipped("authority.cedar") + rules, shipped("authority.toml") + cases)
    assert caught.value.code == "policy_invalid"
    assert all(part.words("zh").detail and part.words("en").detail for part in caught.value.parts)
    return [(part.fields["path"], part.fields["reason_en"]) for part in caught.value.parts]


def test_a_new_rule_with_its_cases_is_taken() -> None:
    authority = checked(shipped("authority.cedar") + rule(words="{scenario}"), shipped("authority.toml") + OWN_CASES + ALONE)
    assert list(authority.rules)[-1] == "licence_own"
    assert not authority.rules["licence_own"].floor
    assert authority.digest != AUTHORITY.digest
    world = World(scenario="x")
    decision = decide_plan(world.plan(), NOW, authority)
    assert {part.code for part in decision.problem().parts} == {"licence_scenario", "licence_own"}
    assert decision.problem().fields["policy"] == authority.digest


@pytest.mark.parametrize(
    ("rules", "cases", "path", "said"),
    [
        (rule(id="licence_role"), "", "rules", "licence_role is there twice"),
        ("permit (principal, action, resource);", "", "rules", "permits"),
        (rule("principal.scenarios.isEmpty()"), "", "rules(licence_own)", "scenarios"),
        (rule("(("), "", "rules", "parse error"),
        ("forbid (principal, action, resource);", "", "rules", "lacks @id"),
        (rule().replace('forbid (principal, action', 'forbid (principal == ?principal, action'), "", "rules", "slot"),
        (rule(id="own"), "", "rules(own)", "licence_"),
        (rule(id="licence_refused"), "", "rules(licence_refused)", "means something else"),
        (rule(words="{dataset}"), "", "rules(licence_own)", "dataset"),
        (rule('principal.role == "x"', words="{price_rho}", action="action"), "", "rules(licence_own)", "price_rho"),
        (rule(words="{"), "", "rules(licence_own)", "braces"),
        (rule(words="{scenario.x}"), "", "rules(licence_own)", "braces"),
        (rule(words="{scenario:>999999999}"), "", "rules(licence_own)", "nothing else"),
        (rule(words="{scenario!r}"), "", "rules(licence_own)", "nothing else"),
        (rule(), "", "rule licence_own", "allowed"),
        (rule(), OWN_CASES, "rule licence_own", "alone refuses"),
        (rule("true"), OWN_CASES + ALONE, "cases[11](licence_own)", "refused by licence_scenario"),
        (rule("false"), OWN_CASES + ALONE, "cases[0](licence_job_kind)", "licence_own"),
        ("", ALONE, "cases[10](licence_own)", "no such rule"),
        (rule(), CASE.format(change='submit.scenarioo = "x"', refused=""), "cases[10](licence_own).change.submit.scenarioo", "no such fact"),
        ("", "\n[[", "end of document", "TOML"),
        (rule("context.grades.contains(3)"), "", "rules(licence_own)", "grades"),
        (rule("(" * 3000 + "true" + ")" * 3000), "", "rules", "32 deep"),
        (rule("if true then " * 700 + "true" + " else true" * 700), "", "rules[4]", "8192"),
        (rule("true" + ' && true' * 800), "", "", ""),
        ("//" + "x" * 600_000, "", "rules", "524288"),
        ("\0", "", "rules", "null"),
    ],
    ids=[f"fault {number}" for number in range(27)],
)  # fmt: skip
def test_what_is_wrong_with_a_new_policy_is_located(rules: str, cases: str, path: str, said: str) -> None:
    places = refusal(rules, cases)
    assert any(found.startswith(path) and said in reason for found, reason in places), places


def test_a_policy_emptied_leaves_the_floor() -> None:
    with pytest.raises(Problem):
        checked("", shipped("authority.toml"))  # its cases speak of rules that are gone
    kept = without(shipped("authority.cedar"), "licence_job_kind")
    fewer = "\n[[cases]]".join(part for part in shipped("authority.toml").split("\n[[cases]]") if 'rule = "licence_job_kind"' not in part)
    authority = checked(kept, fewer)
    for name, spoil in SPOIL.items():
        world = World()
        spoil(world)
        if AUTHORITY.rules[name].floor:
            assert not decide_plan(world.plan(), NOW, authority).allowed, name


@pytest.mark.parametrize("action", ACTIONS)
def test_what_words_may_mention_is_what_a_decision_knows(action: str) -> None:
    """A rule that refuses everything, mentioning all it may: the refusal says each of them."""
    words = "".join(f"{{{name}}} " for name in sorted(WORDS[action]))
    text = rule("false", words=words, action=f'action == Action::"{action}"')
    decision = decide_plan(World().plan(), NOW, Authority(text, SCHEMA, shipped("floor.cedar")))
    assert decision.problem().parts
    assert all("—" not in part.words("en").detail for part in decision.problem().parts)
