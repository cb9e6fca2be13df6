"""A change of the disclosure rule pack: proposed by one supervisor, brought into force by another. No change goes below the floor."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select

from infra.tables import rule_packs
from jobs.acts.freezes import supervisor
from jobs.acts.two import second_person
from jobs.events import PackChanged, PackProposed
from jobs.lane import packs
from jobs.register import Register
from policies.disclosure.floor import checked
from policies.disclosure.pack import RulePack, shipped_pack, shipped_packs
from policies.problem import declare
from sandbox.plan.exact_model import MOST_CONTRIBUTIONS

PACK_UNCHANGED = declare(
    "data_rule_pack_unchanged",
    zh=("规则包没有变化", "所提规则包就是现行的规则包。", "无需变更。"),
    en=("Nothing changes", "The proposed pack is the one already in force.", "No change is needed."),
)
PACK_UNKNOWN = declare(
    "data_rule_pack_unknown",
    zh=("没有这项规则包提议", "第 {proposal} 条不是规则包提议。", "请用 yunei rule-pack history 查看提议的序号。"),
    en=(
        "No such proposal",
        "Entry {proposal} does not propose a rule pack.",
        "Run yunei rule-pack history to see the entry numbers of proposals.",
    ),
)
PACK_OUTDATED = declare(
    "data_rule_pack_outdated",
    zh=("规则包提议已过时", "第 {proposal} 条提出之后规则包已变更，或该提议已经生效。", "请在现行规则包上重新提出。"),
    en=(
        "The proposal is out of date",
        "The rule pack has changed since entry {proposal}, or the proposal is already in force.",
        "Propose it again, based on the pack now in force.",
    ),
)
PACK_VERSION = declare(
    "data_rule_pack_version",
    zh=("规则包版本已有", "{name} 第 {version} 版已是内容不同的另一份规则包。", "内容有变，请改用新的版本号。"),
    en=(
        "This version exists",
        "Version {version} of {name} already exists with different content.",
        "The content has changed: use a new version number.",
    ),
)


def check_pack(text: str) -> RulePack:
    """The pack a text states, as a proposal would take it. `data_rule_pack_invalid`, `data_rule_pack_floor`; located, and nothing changes."""
    return checked(text, MOST_CONTRIBUTIONS)


def propose_pack(register: Register, text: str, *, reason: str, by: str) -> int:
    """Check the text and write the proposal down. What `check_pack` raises, and nothing is proposed. Returns the index the second one names."""
    pack, body = check_pack(text), text.encode()
    with register.transaction() as act:
        supervisor(act, by)
        before = packs.document_in_force(act.connection)
        same_text = before == hashlib.sha256(body).hexdigest()
        if same_text or pack.digest == packs.digest_in_force(act.connection, register.settings):
            raise PACK_UNCHANGED()
        _own_version(act.connection, pack)
        named = {"pack": pack.digest, "name": pack.name, "version": pack.version}
        return act.append(PackProposed(by=by, **named, before=before, document=act.attach(body), reason=reason))


def change_pack(register: Register, *, proposal: int, by: str) -> None:
    """The second supervisor brings it into force, checked once more: every table is held and let out under it from this transaction on."""
    row = next((version for version in packs.versions(register) if version.entry == proposal), None)
    if row is None:
        raise PACK_UNKNOWN(proposal=proposal)
    pack = check_pack(row.text)
    with register.transaction() as act:
        supervisor(act, by)
        before = packs.document_in_force(act.connection)
        in_force = act.connection.execute(select(rule_packs.c.since).where(rule_packs.c.entry == proposal)).scalar_one()
        if in_force is not None or (before or "") != row.before or pack.digest != row.pack:
            raise PACK_OUTDATED(proposal=proposal)
        _own_version(act.connection, pack)
        named = {"pack": row.pack, "document": row.document, "before": before}
        second_person(register, act, PackProposed(by=by, **named, name=row.name, version=row.version, reason="-"), proposal)
        act.append(PackChanged(by=by, **named, proposal=proposal))


def _own_version(connection: Connection, pack: RulePack) -> None:
    """Name and version name one pack: of those shipped, and of those that were ever in force."""
    taken = {shipped_pack(pack.name).digest} if pack.name in shipped_packs() and shipped_pack(pack.name).version == pack.version else set()
    same = select(rule_packs.c.pack).where(rule_packs.c.name == pack.name, rule_packs.c.version == pack.version)
    taken |= set(connection.execute(same.where(rule_packs.c.since.is_not(None))).scalars())
    if taken - {pack.digest}:
        raise PACK_VERSION(name=pack.name, version=pack.version)
