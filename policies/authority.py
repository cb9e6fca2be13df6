"""The rules themselves: Cedar policies with their words.

A text has two layers: the floor, which comes with the program and which no change can remove or alter, and the rules the bureau sets on top
of it. In the upper layer every policy is a `forbid`, and a forbid takes away only, so no change of policy ever permits what the floor
refuses.

`Authority.ask` is the one place that talks to Cedar. Cedar skips a policy whose evaluation errors (a missing entity, an overflow), a forbid as
well as a permit, and may then say Allow; an answer is therefore allowed only when there was no error at all.

A question meets only the policies whose scope can match it: those for its action, and of those that name one principal or resource with
`==` only that one's. Policies left out could not have spoken ("policy slicing": Cutler et al., Cedar, OOPSLA 2024, section 6).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import cedarpy

from policies.problem import Kind, Words, adopt

ANNOTATIONS = ("id", "title_zh", "title_en", "detail_zh", "detail_en", "remedy_zh", "remedy_en", "basis")
ACTIONS = ("submit", "spend", "compute")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as people read it. Its id is also the code of the problem that says it was broken."""

    kind: Kind
    basis: str  # the provision it serves, as the law names itself
    actions: tuple[str, ...] = ACTIONS  # the questions it may speak to
    floor: bool = True

    @property
    def id(self) -> str:
        return self.kind.code

    @property
    def title_zh(self) -> str:
        return self.kind.zh.title

    @property
    def title_en(self) -> str:
        return self.kind.en.title


@dataclass(frozen=True, slots=True)
class Answer:
    """What Cedar said to one question: `forbidding` are the rules that spoke against; `sound` is False when anything could not be evaluated."""

    allowed: bool
    sound: bool
    forbidding: tuple[str, ...]


class Authority:
    """A policy text with its schema, on a floor or without one. ValueError when it does not validate, a rule lacks its words, its basis or
    an id of its own, or the text on a floor is more than forbids."""

    def __init__(self, policy_text: str, schema_text: str, floor_text: str = "") -> None:
        self._schema = cedarpy.Schema.from_str(schema_text)
        whole = f"{floor_text}\n{policy_text}" if floor_text else policy_text
        checked = cedarpy.validate_policies(whole, self._schema)
        if not checked:
            raise ValueError("the policies do not fit their schema: " + "; ".join(str(error) for error in checked.errors))
        beneath, above = _policies(floor_text, floor=True), _policies(policy_text, floor=not floor_text)
        self.policy_text = policy_text
        self.rules: Mapping[str, Rule] = _rules(beneath, True) | _rules(above, not floor_text, taken=beneath)
        self.digest = hashlib.sha256(f"{floor_text}\0{policy_text}\0{schema_text}".encode()).hexdigest()
        self._policies = beneath | above
        self._named = {side: {_only(policy, side) for policy in self._policies.values()} - {None} for side in ("principal", "resource")}
        self._slice = lru_cache(maxsize=4096)(self._sliced)
        self._known = lru_cache(maxsize=64)(self._read)

    def ask(self, questions: Sequence[Json], entities: Sequence[Json]) -> tuple[Answer, ...]:
        """One answer per question (`principal`, `action`, `resource`, `context` in Cedar's JSON), over the entities given."""
        refused = Answer(allowed=False, sound=False, forbidding=())
        answers = [refused] * len(questions)
        slices: dict[tuple[str, str | None, str | None], list[int]] = {}
        for at, question in enumerate(questions):
            principal, resource = (uid if (uid := _uid(question[side])) in self._named[side] else None for side in ("principal", "resource"))
            slices.setdefault((question["action"]["id"], principal, resource), []).append(at)
        try:
            known = self._known(json.dumps(entities))
        except ValueError:  # facts that do not fit the schema
            return tuple(answers)
        for key, places in slices.items():
            try:
                results = cedarpy.is_authorized_batch([questions[at] for at in places], self._slice(*key), known, self._schema)
            except ValueError:
                continue
            for at, result in zip(places, results, strict=True):
                answers[at] = self._answer(result)
        return tuple(answers)

    def _read(self, entities: str) -> Any:
        """Of the same facts the same: one operator's jobs under one licence are mostly asked about with what was said before."""
        return cedarpy.Entities.from_json_str(entities, self._schema)

    def _answer(self, result: Any) -> Answer:
        sound = not result.diagnostics.errors
        spoke = set(result.diagnostics.reasons)
        forbidding = tuple(rule for rule in self.rules if rule in spoke) if spoke & self.rules.keys() else ()
        return Answer(allowed=sound and result.allowed, sound=sound, forbidding=forbidding)

    def _sliced(self, action: str, principal: str | None, resource: str | None) -> Any:
        """The policies that can speak to such a question, without their words: Cedar need not carry them."""
        wanted = {
            name: {**policy, "annotations": {}}
            for name, policy in self._policies.items()
            if action in _actions(policy) and _only(policy, "principal") in (None, principal) and _only(policy, "resource") in (None, resource)
        }
        return cedarpy.PolicySet.from_json_str(json.dumps({"templates": {}, "staticPolicies": wanted, "templateLinks": []}))


def _uid(reference: Mapping[str, str]) -> str:
    return f"{reference['type']}::{reference['id']}"


def _only(policy: Json, side: str) -> str | None:
    """The one entity a policy is about, None when it is about more than one."""
    scope = policy[side]
    return _uid(scope["entity"]) if scope["op"] == "==" else None


def _actions(policy: Json) -> tuple[str, ...]:
    scope = policy["action"]
    if scope["op"] == "All":
        return ACTIONS
    named = tuple(entity["id"] for entity in scope.get("entities", [scope.get("entity")]))
    return named if set(named) <= set(ACTIONS) else ACTIONS  # a group of actions: asked always


def _policies(text: str, *, floor: bool) -> dict[str, Json]:
    """Every policy of the text by its @id, or for one that has none by a name of its own; only forbids above a floor."""
    read = json.loads(cedarpy.policies_to_json_str(text)) if text else {"staticPolicies": {}}
    if read.get("templates") or read.get("templateLinks"):
        raise ValueError("a policy with a slot is not a rule")
    found: dict[str, Json] = {}
    for number, policy in enumerate(read["staticPolicies"].values()):
        name = policy.get("annotations", {}).get("id") or f"policy {number}"
        if not floor and policy["effect"] != "forbid":
            raise ValueError(f"{name} permits: above the floor there are only rules that forbid")
        if name in found:
            raise ValueError(f"rule {name} is there twice")
        found[name] = policy
    return found


def _rules(policies: Mapping[str, Json], floor: bool, taken: Mapping[str, Json] | None = None) -> dict[str, Rule]:
    """Every forbid among them, in their order."""
    rules: dict[str, Rule] = {}
    for name, policy in policies.items():
        if taken is not None and name in taken:
            raise ValueError(f"rule {name} is there twice")
        if policy["effect"] != "forbid":
            continue
        said = policy.get("annotations", {})
        missing = [wanted for wanted in ANNOTATIONS if not said.get(wanted)]
        if missing:
            raise ValueError(f"rule {name} lacks @{missing[0]}")
        zh = Words(said["title_zh"], f"{_in_words(said['detail_zh'])}（依据：{said['basis']}）", _in_words(said["remedy_zh"]))
        en = Words(said["title_en"], f"{_in_words(said['detail_en'])} (Basis: {said['basis']})", _in_words(said["remedy_en"]))
        rules[name] = Rule(Kind(name, zh, en), said["basis"], _actions(policy), floor)
    return rules


def _in_words(text: str) -> str:
    """Who writes a rule names a fact; which vocabulary its codes are said in is known here."""
    return text.replace("{state}", "{state:licence_state}").replace("{role}", "{role:role}")


def shipped(name: str) -> str:
    """A file that comes with this package: floor.cedar, authority.cedar, schema.cedarschema, floor.toml, authority.toml."""
    return resources.files("policies").joinpath(name).read_text(encoding="utf-8")


def read_authority() -> Authority:
    """The floor and the policy this package comes with; their rules are declared as kinds of problem."""
    authority = Authority(shipped("authority.cedar"), shipped("schema.cedarschema"), shipped("floor.cedar"))
    for rule in authority.rules.values():
        adopt(rule.kind)
    return authority
