"""Cases of a policy: facts and the verdict they must meet, kept as data beside the rules (`floor.toml`, `authority.toml`).

A case starts from the base, changes some facts, and names the rules that refuse it; none means that it is allowed. Facts are those of the
schema, by the question they belong to: `submit` and `spend` are asked of the licence, `compute` of the dataset, and all three must allow.
A policy is tested when every case holds and every rule has one it allows and one that it alone refuses: then a rule that is taken away, or
that speaks to nothing, is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from policies.authority import ACTIONS, Authority, Json
from policies.catalogue import Model
from policies.problem import declare
from policies.reasons import Reason, explained, parse_toml, reasons_of

POLICY_INVALID = declare(
    "policy_invalid",
    zh=("策略未通过检查", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改规则或案例；现行策略未变。"),
    en=(
        "The policy did not pass its checks",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the rules or cases at the places listed. The policy in force has not changed.",
    ),
)
Value = bool | int | str | AwareDatetime | tuple[str, ...]
Facts = dict[str, dict[str, Value]]
REQUESTER = "op-1"


class Case(Model):
    """`rule` is what the case is about; `refused_by` every rule that speaks against it."""

    rule: str = Field(min_length=1, max_length=64)
    zh: str = Field(min_length=1, max_length=200)
    en: str = Field(min_length=1, max_length=200)
    change: Facts = Field(default_factory=dict)
    refused_by: tuple[str, ...] = ()


class Cases(Model):
    base: Facts
    cases: tuple[Case, ...] = Field(min_length=1, max_length=2_000)


@dataclass(frozen=True, slots=True)
class Tried:
    """A case and what the policy said to it: `spoke` are the rules against it; `sound` is False when the facts could not be evaluated."""

    number: int
    case: Case
    allowed: bool
    sound: bool
    spoke: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.sound and set(self.spoke) == set(self.case.refused_by) and self.allowed == (not self.case.refused_by)


def cases_from_toml(text: str) -> Cases:
    """POLICY_INVALID, located, for what is not a file of cases; a change must be of a fact that the base states."""
    document = parse_toml(text, POLICY_INVALID)
    try:
        cases = Cases.model_validate(document)
    except ValidationError as error:
        raise explained(POLICY_INVALID, reasons_of(error, document)) from None
    unknown = [
        Reason(f"cases[{number}]({case.rule}).change.{part}.{name}", "base 中没有这项事实", "the base states no such fact")
        for number, case in enumerate(cases.cases)
        for part, facts in case.change.items()
        for name in facts
        if name not in cases.base.get(part, {})
    ]
    missing = [
        Reason(f"base.{part}", "缺少此项", "is missing") for part in ("requester", "licence", "dataset", *ACTIONS) if part not in cases.base
    ]
    missing += [
        Reason(f"base.{part}.{name}", "缺少此项", "is missing")
        for part, name in (("licence", "holder"), ("licence", "datasets"), ("dataset", "name"))
        if part in cases.base and name not in cases.base[part]
    ]
    if missing or unknown:
        raise explained(POLICY_INVALID, missing + unknown)
    return cases


def try_cases(authority: Authority, cases: Cases) -> tuple[Tried, ...]:
    """Each case, put to the rules."""
    tried = []
    for number, case in enumerate(cases.cases):
        questions, entities = _stated(_merged(cases.base, case.change))
        answers = authority.ask(questions, entities)
        spoke = tuple(dict.fromkeys(rule for answer in answers for rule in answer.forbidding))
        tried.append(Tried(number, case, all(a.allowed for a in answers), all(a.sound for a in answers), spoke))
    return tuple(tried)


def faults(tried: Iterable[Tried], rules: Iterable[str]) -> list[Reason]:
    """Cases that do not hold, and rules without a case they allow or without one that they alone refuse."""
    tried = tuple(tried)
    found = [Reason(f"cases[{one.number}]({one.case.rule})", *_difference(one)) for one in tried if not one.holds]
    for rule in rules:
        own = [one for one in tried if one.case.rule == rule and one.holds]
        if not any(not one.spoke for one in own):
            found.append(Reason(f"rule {rule}", "没有准予的案例", "it has no case that is allowed"))
        if not any(one.spoke == (rule,) for one in own):
            found.append(Reason(f"rule {rule}", "没有只由它拒绝的案例", "it has no case that it alone refuses"))
    return found


def _difference(one: Tried) -> tuple[str, str]:
    if not one.sound:
        return "这些事实无法求值", "these facts cannot be evaluated"
    said, wanted = (", ".join(sorted(rules)) for rules in (one.spoke, one.case.refused_by))
    return f"应由 {wanted or '无'} 拒绝，实际由 {said or '无'} 拒绝", f"to be refused by {wanted or 'none'}, it is refused by {said or 'none'}"


def _merged(base: Facts, change: Mapping[str, Mapping[str, Value]]) -> Facts:
    facts = deepcopy(base)
    for part, values in change.items():
        facts[part].update(values)
    return facts


def _stated(facts: Facts) -> tuple[list[Json], list[Json]]:
    """The three questions and their entities, as Cedar's JSON. What the schema does not know is left for Cedar to refuse."""
    requester, licence, dataset = (dict(facts[part]) for part in ("requester", "licence", "dataset"))
    name, holder, covered = dataset.pop("name"), licence.pop("holder"), licence.pop("datasets")
    refs = {"principal": _ref("Requester", REQUESTER), "licence": _ref("Licence", "L-1"), "dataset": _ref("Dataset", str(name))}
    attributes = {
        part: {key: _value(value) for key, value in each.items()} for part, each in (("r", requester), ("l", licence), ("d", dataset))
    }
    attributes["l"] |= {
        "operator": {"__entity": _ref("Requester", str(holder))},
        "datasets": [{"__entity": _ref("Dataset", each)} for each in (covered if isinstance(covered, tuple) else (str(covered),))],
    }
    entities = [
        {"uid": uid, "attrs": attributes[part], "parents": []}
        for part, uid in (("r", refs["principal"]), ("l", refs["licence"]), ("d", refs["dataset"]))
    ]
    questions = []
    for action in ACTIONS:
        context: Json = {key: _value(value) for key, value in facts[action].items()}
        if action == "compute":
            context["licence"] = {"__entity": refs["licence"]}
        resource = refs["dataset" if action == "compute" else "licence"]
        questions.append({"principal": refs["principal"], "action": _ref("Action", action), "resource": resource, "context": context})
    return questions, entities


def _value(value: Value) -> Any:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        return {"__extn": {"fn": "datetime", "arg": f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"}}
    return list(value) if isinstance(value, tuple) else value


def _ref(kind: str, identifier: str) -> Json:
    return {"type": kind, "id": identifier}
