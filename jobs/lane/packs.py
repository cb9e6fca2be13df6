"""Which rules exact tables are checked by: the pack that two supervisors last changed them to; before any change, the one the settings name,
which the first hold adopts in the log.

Each hold and each letting out asks the register in its own transaction, so a change is in force in every server process at once. A pack that
was accepted once and is read otherwise by this program (an upgrade changed what packs say) lets nothing out until it is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, select

from infra.database import reading
from infra.settings import Settings
from infra.tables import documents, rule_packs
from jobs.events import PackAdopted
from jobs.office import SYSTEM
from jobs.register import Act, Register
from policies.disclosure.pack import RulePack, pack_from_toml, shipped_pack, shipped_pack_text, shipped_packs
from policies.problem import Problem, declare
from sandbox.plan.exact import MOST_CONTRIBUTIONS

PACK_UNKNOWN = declare(
    "server_rule_pack",
    zh=("没有这个规则包", "设置 YUNEI_RULE_PACK 为 {name}；可用的有 {known}。", "改正该设置后重新启动。"),
    en=("No such rule pack", "YUNEI_RULE_PACK is {name}; there are {known}.", "Mend the setting and start again."),
)
PACK_UNUSABLE = declare(
    "server_rule_pack_unusable",
    zh=("现行规则包不能使用", "第 {since} 条生效的规则包与本版程序不符。", "请两名监管员变更规则包（yunei rule-pack propose）。"),
    en=(
        "The rule pack in force cannot be used",
        "The pack in force since entry {since} does not fit this version of the program.",
        "Have two supervisors change it (yunei rule-pack propose).",
    ),
)


@dataclass(frozen=True, slots=True)
class Version:
    """A pack that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    pack: str
    name: str
    version: int
    before: str
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None
    text: str


_NOW = (
    select(rule_packs.c.document, rule_packs.c.pack, rule_packs.c.since, documents.c.body)
    .join(documents, documents.c.digest == rule_packs.c.document)
    .where(rule_packs.c.since.is_not(None))
    .order_by(rule_packs.c.since.desc())
    .limit(1)
)


def _now(connection: Connection) -> Row[str, str, int | None, bytes] | None:
    return connection.execute(_NOW).one_or_none()


def document_in_force(connection: Connection) -> str | None:
    """The digest of the text in force; None: the pack that the settings name."""
    now = _now(connection)
    return None if now is None else now.document


def digest_in_force(connection: Connection, settings: Settings) -> str:
    """What a table is held under. Raises PACK_UNKNOWN."""
    now = _now(connection)
    return of_settings(settings).digest if now is None else now.pack


def adopted(act: Act, settings: Settings) -> str:
    """The digest of the pack to hold a table under. Before the first table the log says which that is: the settings' own. PACK_UNKNOWN."""
    now = _now(act.connection)
    if now is not None:
        return str(now.pack)
    pack = of_settings(settings)
    document = act.attach(shipped_pack_text(pack.name).encode())
    act.append(PackAdopted(by=SYSTEM, pack=pack.digest, name=pack.name, version=pack.version, document=document))
    return pack.digest


def pack_in_force(connection: Connection, settings: Settings) -> RulePack:
    """Raises PACK_UNUSABLE; PACK_UNKNOWN for a setting that names no pack."""
    now = _now(connection)
    if now is None:
        return of_settings(settings)
    try:
        pack = pack_from_toml(bytes(now.body).decode())
    except (Problem, ValueError, RecursionError):
        raise PACK_UNUSABLE(since=now.since) from None
    if pack.digest != now.pack or pack.contributions > MOST_CONTRIBUTIONS:
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


def versions(register: Register) -> list[Version]:
    """Every pack ever proposed, with its text, the newest first."""
    query = select(rule_packs, documents.c.body).join(documents, documents.c.digest == rule_packs.c.document)
    with reading(register.engine) as connection:
        rows = connection.execute(query.order_by(rule_packs.c.entry.desc())).all()
    return [Version(**{column.name: getattr(row, column.name) for column in rule_packs.columns}, text=bytes(row.body).decode()) for row in rows]
