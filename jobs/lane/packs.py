"""Which rules exact tables are checked by."""

from __future__ import annotations

from infra.settings import Settings
from policies.disclosure.pack import RulePack, shipped_pack, shipped_packs
from policies.problem import declare
from sandbox.plan.exact import MOST_CONTRIBUTIONS

PACK_UNKNOWN = declare(
    "server_rule_pack",
    zh=("没有这个规则包", "设置 YUNEI_RULE_PACK 为 {name}；可用的有 {known}。", "改正该设置后重新启动。"),
    en=("No such rule pack", "YUNEI_RULE_PACK is {name}; there are {known}.", "Mend the setting and start again."),
)


def pack_in_force(settings: Settings) -> RulePack:
    """Raises PACK_UNKNOWN for a pack that is not there, or that looks at more contributions than the raw side keeps."""
    try:
        pack = shipped_pack(settings.rule_pack)
    except KeyError:
        raise PACK_UNKNOWN(name=settings.rule_pack, known=", ".join(shipped_packs())) from None
    if pack.contributions > MOST_CONTRIBUTIONS:
        raise PACK_UNKNOWN(name=settings.rule_pack, known=", ".join(shipped_packs()))
    return pack
