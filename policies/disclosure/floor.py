"""The floor under rule packs: what no change of the pack can take away, and what a text must be before it is proposed.

A bureau chooses its rules and numbers; it does not choose to have none. Sources: at least three respondents in a cell of a magnitude table
(ESSnet SDC, Handbook on Statistical Disclosure Control, second edition, 2024), as the weakest pack that is shipped asks; rules against one
who contributes nearly everything, and against subtraction (Hundepool et al., Statistical Disclosure Control, Wiley 2012, section 4.2). The
numbers of the last two are this program's choice: beyond them a rule says nothing that matters.
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.disclosure.pack import Rule, RulePack, data_rule_pack_invalid, pack_from_toml
from policies.problem import declare
from policies.reasons import Reason, explained

TEXT_LIMIT = 64 * 1024  # characters of a pack
RULES_LIMIT = 100
LEAST_UNITS = 3
MOST_SHARE = 95  # percent of a cell that a rule (n,k) may leave to the largest
LEAST_ESTIMATE = 5  # percent, p of q, within which nobody may estimate the largest
LEAST_TABLES = 2  # a rule that looks at one table at a time compares nothing

data_rule_pack_floor = declare(
    "data_rule_pack_floor",
    zh=("规则包低于底线", "共 {count} 处；第一处在 {path}：{reason_zh}。", "底线不因变更而降低：请按各条说明改正规则包。"),
    en=(
        "The rule pack is below the floor",
        "{count} faults; the first at {path}: {reason_en}.",
        "No change can lower the floor: correct the pack as each part says.",
    ),
)


def below(pack: RulePack) -> tuple[Reason, ...]:
    """What the pack lacks; empty: it may be in force. It must refuse cells of fewer than three units, cells that few dominate, and differences
    of fewer than three units between at least two tables."""
    return tuple(_below(pack))


def _below(pack: RulePack) -> Iterator[Reason]:
    if not any(rule.kind == "minimum_units" and rule.threshold >= LEAST_UNITS for rule in pack.rules):
        yield Reason(
            _place(pack, "minimum_units"),
            f"最少单元数（minimum_units）不得低于 {LEAST_UNITS}",
            f"the minimum of units (minimum_units) may not be below {LEAST_UNITS}",
        )
    if not any(rule.severity == "refuse" and _dominance(rule) for rule in pack.rules):
        yield Reason(
            _place(pack, "dominance", "p_percent"),
            f"须有一条 refuse 级的 dominance（k 至多 {MOST_SHARE}）或 p_percent（p/q 至少 {LEAST_ESTIMATE}%）规则",
            f"a rule dominance (k at most {MOST_SHARE}) or p_percent (p of q at least {LEAST_ESTIMATE} %) must refuse",
        )
    if not any(rule.severity == "refuse" and _differencing(rule) for rule in pack.rules):
        yield Reason(
            _place(pack, "differencing"),
            f"须有一条 refuse 级的 differencing 规则，threshold 不低于 {LEAST_UNITS}，tables 不低于 {LEAST_TABLES}",
            f"a rule differencing must refuse, of a threshold of at least {LEAST_UNITS} and of at least {LEAST_TABLES} tables",
        )


def _dominance(rule: Rule) -> bool:
    if rule.kind == "dominance":
        return rule.k <= MOST_SHARE
    return rule.kind == "p_percent" and rule.p * 100 >= LEAST_ESTIMATE * rule.q


def _differencing(rule: Rule) -> bool:
    return rule.kind == "differencing" and rule.threshold >= LEAST_UNITS and rule.tables >= LEAST_TABLES


def _place(pack: RulePack, *kinds: str) -> str:
    """The first rule of those kinds; all rules when there is none."""
    return next((f"rules[{number}]({rule.id})" for number, rule in enumerate(pack.rules) if rule.kind in kinds), "rules")


def checked(text: str, contributions: int) -> RulePack:
    """The pack of a text that may be proposed. `contributions`: how many of the largest contributions to an amount there are to look at.
    `data_rule_pack_invalid` for a text that is none, `data_rule_pack_floor` below the floor; one located part per fault."""
    if len(text) > TEXT_LIMIT:
        raise _invalid("TOML", f"至多 {TEXT_LIMIT} 个字符", f"at most {TEXT_LIMIT} characters")
    try:
        pack = pack_from_toml(text)
        assert pack.digest  # numbers beyond what canonical JSON holds have none
    except (ValueError, RecursionError):
        raise _invalid("TOML", "数值过大或嵌套过深", "a number is too large, or brackets nest too deep") from None
    if len(pack.rules) > RULES_LIMIT:
        raise _invalid("rules", f"至多 {RULES_LIMIT} 条规则", f"at most {RULES_LIMIT} rules")
    for number, rule in enumerate(pack.rules):
        if rule.kind == "dominance" and rule.n > contributions:
            raise _invalid(f"rules[{number}]({rule.id}).n", f"至多 {contributions}", f"at most {contributions}")
    faults = below(pack)
    if faults:
        raise explained(data_rule_pack_floor, faults)
    return pack


def _invalid(path: str, zh: str, en: str) -> Exception:
    return explained(data_rule_pack_invalid, (Reason(path, zh, en),))
