"""The rules themselves: Cedar policies with their words, read once from the package.

`Authority.ask` is the one place that talks to Cedar. Cedar skips a policy whose evaluation errors (a missing entity, an overflow), a forbid as
well as a permit, and may then say Allow; an answer is therefore allowed only when there was no error at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import cedarpy

from policies.problem import Kind, Words, adopt

ANNOTATIONS = ("id", "title_zh", "title_en", "detail_zh", "detail_en", "remedy_zh", "remedy_en", "basis")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as people read it. Its id is also the code of the problem that says it was broken."""

    kind: Kind
    basis: str  # the provision it serves, as the law names itself

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
    """A policy text with its schema. ValueError when it does not validate, or a rule lacks its words, its basis or an id of its own."""

    def __init__(self, policy_text: str, schema_text: str) -> None:
        self._schema = cedarpy.Schema.from_str(schema_text)
        checked = cedarpy.validate_policies(policy_text, self._schema)
        if not checked:
            raise ValueError("the policies do not fit their schema: " + "; ".join(str(error) for error in checked.errors))
        self._policies = cedarpy.PolicySet.from_str(policy_text)
        self.rules: Mapping[str, Rule] = _rules(policy_text)
        self.digest = hashlib.sha256(f"{policy_text}\0{schema_text}".encode()).hexdigest()

    def ask(self, questions: Sequence[Json], entities: Sequence[Json]) -> tuple[Answer, ...]:
        """One answer per question (`principal`, `action`, `resource`, `context` in Cedar's JSON), over the entities given."""
        try:
            known = cedarpy.Entities.from_json_str(json.dumps(entities), self._schema)
            results = cedarpy.is_authorized_batch(list(questions), self._policies, known, self._schema)
        except ValueError:  # facts that do not fit the schema
            return (Answer(allowed=False, sound=False, forbidding=()),) * len(questions)
        return tuple(self._answer(result) for result in results)

    def _answer(self, result: Any) -> Answer:
        sound = not result.diagnostics.errors
        spoke = set(result.diagnostics.id_annotations_by_reason.values())
        forbidding = tuple(rule for rule in self.rules if rule in spoke)
        return Answer(allowed=sound and result.allowed, sound=sound, forbidding=forbidding)


def _rules(policy_text: str) -> dict[str, Rule]:
    """Every forbid of the text, in its order."""
    rules: dict[str, Rule] = {}
    for name, policy in json.loads(cedarpy.policies_to_json_str(policy_text))["staticPolicies"].items():
        if policy["effect"] != "forbid":
            continue
        said = policy.get("annotations", {})
        missing = [wanted for wanted in ANNOTATIONS if not said.get(wanted)]
        if missing:
            raise ValueError(f"rule {said.get('id', name)} lacks @{missing[0]}")
        if said["id"] in rules:
            raise ValueError(f"rule {said['id']} is there twice")
        zh = Words(said["title_zh"], f"{said['detail_zh']}（依据：{said['basis']}）", said["remedy_zh"])
        en = Words(said["title_en"], f"{said['detail_en']} (Basis: {said['basis']})", said["remedy_en"])
        rules[said["id"]] = Rule(Kind(said["id"], zh, en), said["basis"])
    return rules


def read_authority() -> Authority:
    """The policies this package comes with; their rules are declared as kinds of problem."""
    here = resources.files("policies")
    authority = Authority(
        here.joinpath("authority.cedar").read_text(encoding="utf-8"), here.joinpath("schema.cedarschema").read_text(encoding="utf-8")
    )
    for rule in authority.rules.values():
        adopt(rule.kind)
    return authority
