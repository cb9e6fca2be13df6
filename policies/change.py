"""A new text for the bureau's policy, before it is proposed and again before it comes into force: everything that could be wrong with it.

The text is read, never trusted: its size, the depth of its expressions and the length of each policy are limited before Cedar's parser sees
it, which answers some thousand nested brackets by ending the process (measured with cedarpy 4.12).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from string import Formatter

import cedarpy

from policies.authority import Authority, Rule, shipped
from policies.cases import POLICY_INVALID, cases_from_toml, faults, try_cases
from policies.decide import AUTHORITY
from policies.problem import KINDS, VOCABULARIES, Words
from policies.reasons import Reason, explained

TEXT_LIMIT = 512 * 1024  # characters of rules, and of cases
DEPTH_LIMIT = 32  # brackets inside brackets
POLICY_LIMIT = 8 * 1024  # characters of one policy outside its words
RULES_LIMIT = 1_000

# what the words of a rule may mention, by the question it speaks to; of a licence that is not held nothing is said, so its terms are known
_TERMS = frozenset(("scenarios", "job_kinds", "valid_from", "valid_until", "cap_rho", "cap_delta"))
_REQUEST = _TERMS | {"principal", "role", "status", "licence", "state", "scenario", "job_kind"}
WORDS: Mapping[str, frozenset[str]] = {
    "submit": _REQUEST,
    "spend": _REQUEST | {"price_rho", "price_delta"},
    "compute": _REQUEST | {"dataset", "ungranted", "undeclared"},
}
_ID = re.compile(r"licence_[a-z0-9_]{1,56}")
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*')


def checked(rules: str, cases: str) -> Authority:
    """The policy these rules make on the floor, once they validate and every case holds. POLICY_INVALID with one located part per fault."""
    _refuse(_limits("rules", rules) + _limits("cases", cases))
    authority = _built(rules)
    _refuse([fault for rule in authority.rules.values() if not rule.floor for fault in _words(rule)])
    read = cases_from_toml(cases)
    own = [rule.id for rule in authority.rules.values() if not rule.floor]
    strange = [
        Reason(f"cases[{number}]({case.rule})", "没有这条规则", "there is no such rule")
        for number, case in enumerate(read.cases)
        if not {case.rule, *case.refused_by} <= authority.rules.keys()
    ]
    _refuse(strange)
    _refuse(faults(try_cases(authority, read), own))
    return authority


def in_force(rules: str) -> Authority:
    """The policy of a text that was accepted. ValueError when it does not fit the floor and the schema of this program any more."""
    return Authority(rules, shipped("schema.cedarschema"), shipped("floor.cedar"))


def _refuse(reasons: list[Reason]) -> None:
    if reasons:
        raise explained(POLICY_INVALID, reasons)


def _limits(place: str, text: str) -> list[Reason]:
    if len(text) > TEXT_LIMIT:
        return [Reason(place, f"至多 {TEXT_LIMIT} 个字符", f"at most {TEXT_LIMIT} characters")]
    if "\0" in text:
        return [Reason(place, "含有空字符", "it holds a null character")]
    if place != "rules":
        return []
    found = []
    bare = _LITERAL.sub(lambda literal: '""' if literal.group().startswith('"') else "", text)
    depth = deepest = 0
    for character in bare:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEPTH_LIMIT:
        found.append(Reason(place, f"括号嵌套至多 {DEPTH_LIMIT} 层", f"brackets nest at most {DEPTH_LIMIT} deep"))
    policies = bare.split(";")
    if len(policies) > RULES_LIMIT + 1:
        found.append(Reason(place, f"至多 {RULES_LIMIT} 条规则", f"at most {RULES_LIMIT} rules"))
    found += [
        Reason(
            f"{place}[{number}]",
            f"一条规则至多 {POLICY_LIMIT} 个字符（不计用语）",
            f"a rule has at most {POLICY_LIMIT} characters beside its words",
        )
        for number, policy in enumerate(policies)
        if len(policy) > POLICY_LIMIT
    ]
    return found


def _built(rules: str) -> Authority:
    """Cedar's own faults, each at its rule; then those of the words."""
    if not _LITERAL.sub("", rules).strip():
        return in_force("")
    try:
        alone = cedarpy.validate_policies(rules, cedarpy.Schema.from_str(shipped("schema.cedarschema")))
        if not alone:
            _refuse([Reason(_named(rules, error.policy_id), f"不符合模型（{error.error}）", error.error) for error in alone.errors])
        return in_force(rules)
    except RecursionError:
        raise explained(POLICY_INVALID, [Reason("rules", "表达式嵌套过深", "an expression is nested too deep")]) from None
    except ValueError as error:
        said = str(error)
        raise explained(POLICY_INVALID, [Reason("rules", f"不成立（{said}）", said)]) from None


def _named(rules: str, policy: str) -> str:
    """The place of the policy that Cedar calls policy<n>: by its @id when every policy has one."""
    number = policy.removeprefix("policy")
    ids = [found.group(1) for found in re.finditer(r'@id\("([^"]*)"\)', _comments_out(rules))]
    return f"rules({ids[int(number)]})" if number.isdigit() and int(number) < len(ids) else "rules"


def _comments_out(text: str) -> str:
    return _LITERAL.sub(lambda literal: literal.group() if literal.group().startswith('"') else "", text)


def _words(rule: Rule) -> list[Reason]:
    place = f"rules({rule.id})"
    if not _ID.fullmatch(rule.id):
        return [
            Reason(place, "@id 须以 licence_ 开头，只含小写字母、数字、下划线", "@id is licence_ and lower-case letters, digits, underscores")
        ]
    if rule.id in KINDS and rule.id not in AUTHORITY.rules:
        return [Reason(place, "@id 已有其他含义", "@id means something else already")]
    known = reduce(frozenset.__and__, (WORDS[action] for action in rule.actions))
    try:
        if any(_formatted(words) for words in (rule.kind.zh, rule.kind.en)):
            return [Reason(place, "花括号内只写事实的名称", "braces hold the name of a fact and nothing else")]
        mentioned = rule.kind.zh.fields() | rule.kind.en.fields()
        rule.kind(**dict.fromkeys(mentioned, "x")).words("zh")
        rule.kind(**dict.fromkeys(mentioned, "x")).words("en")
    except (ValueError, KeyError, IndexError, AttributeError):
        return [Reason(place, "用语中的花括号有误", "the braces in its words are not right")]
    if mentioned - known:
        names = ", ".join(sorted(mentioned - known))
        return [Reason(place, f"用语提到了不知道的事实：{names}", f"its words mention facts that are not known: {names}")]
    return []


def _formatted(words: Words) -> bool:
    """Whether a field has a conversion, or a format that is no vocabulary: a width of a thousand million would be one."""
    texts = (words.title, words.detail, words.remedy)
    return any(conversion or (spec or "") not in ("", *VOCABULARIES) for text in texts for _, _, spec, conversion in Formatter().parse(text))
