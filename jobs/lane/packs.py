"""Which rules exact tables are checked by: the pack that two supervisors last changed them to; before any change, the one the settings name,
which the first hold adopts in the log.

Each hold and each letting out asks the register in its own transaction, so a change is in force in every server process at once. A pack that
was accepted once and is read otherwise by this program (an upgrade changed what packs say) lets nothing out until it is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from infra.settings import Settings
from infra.tables import rule_packs
from jobs.changed import Changes, Proposal
from jobs.events import PackAdopted
from jobs.office import SYSTEM
from jobs.register import Act
from policies.disclosure.pack import RulePack, pack_from_toml, shipped_pack, shipped_pack_text, shipped_packs
from policies.problem import Problem, declare
from sandbox.plan.exact_model import MOST_CONTRIBUTIONS

PACK_UNKNOWN = declare(
    "server_rule_pack",
    zh=("没有这个规则包", "设置 YUNEI_RULE_PACK 为 {name}；可用的有 {known}。", "请改正该设置后重新启动。"),
    en=("No such rule pack", "YUNEI_RULE_PACK is {name}; available: {known}.", "Correct the setting and start again."),
)
PACK_UNUSABLE = declare(
    "server_rule_pack_unusable",
    zh=("现行规则包不能使用", "第 {since} 条生效的规则包与本版程序不符。", "请两名监管员变更规则包（yunei rule-pack propose）。"),
    en=(
        "The rule pack in force cannot be used",
        "The rule pack in force since entry {since} does not fit this version of the software.",
        "Have two supervisors change it (yunei rule-pack propose).",
    ),
)


@dataclass(frozen=True, slots=True)
class Version(Proposal):
    """A pack, by its digest. One that the server adopted was proposed and brought into force by the same entry."""

    pack: str


_CHANGES = Changes(rule_packs, "pack", Version)
document_in_force = _CHANGES.document_in_force
versions = _CHANGES.versions


def digest_in_force(connection: Connection, settings: Settings) -> str:
    """What a table is held under. Raises PACK_UNKNOWN."""
    now = _CHANGES.now(connection)
    return of_settings(settings).digest if now is None else now.digest


def adopted(act: Act, settings: Settings) -> str:
    """The digest of the pack to hold a table under. Before the first table the log says which that is: the settings' own. PACK_UNKNOWN."""
    now = _CHANGES.now(act.connection)
    if now is not None:
        return now.digest
    pack = of_settings(settings)
    document = act.attach(shipped_pack_text(pack.name).encode())
    act.append(PackAdopted(by=SYSTEM, pack=pack.digest, name=pack.name, version=pack.version, document=document))
    return pack.digest


def pack_in_force(connection: Connection, settings: Settings) -> RulePack:
    """Raises PACK_UNUSABLE; PACK_UNKNOWN for a setting that names no pack."""
    now = _CHANGES.now(connection)
    if now is None:
        return of_settings(settings)
    try:
        pack = pack_from_toml(now.body.decode())
    except (Problem, ValueError, RecursionError):
        raise PACK_UNUSABLE(since=now.since) from None
    if pack.digest != now.digest or pack.contributions > MOST_CONTRIBUTIONS:
        raise PACK_UNUSABLE(since=now.since)
    return pack


def of_settings(settings: Settings) -> RulePack:
    """Raises PACK_UNKNOWN for a pack that is not there, or that looks at more contributions than the raw side keeps."""
    try:
        pack = shipped_pack(settings.rule_pack)
    except KeyError:
        raise PACK_UNKNOWN(name=settings.rule_pack, known=", ".join(shipped_packs())) from None
    if pack.contributions > MOST_CONTRIBUTIONS:
        raise PACK_UNKNOWN(name=settings.rule_pack, known=", ".join(shipped_packs()))
    return pack
