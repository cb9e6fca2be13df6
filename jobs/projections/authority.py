"""How events change the tables: freezes, versions of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import String, and_, bindparam, exists, func, literal_column, or_, select, update

from infra.prepared import Prepared, Writer
from infra.tables import charge_accounts, freezes, jobs, policy_versions, releases, rule_packs
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add, move

_key = bindparam("key_", type_=String)
_PROPOSE = Prepared(
    update(freezes)
    .where(freezes.c.id == _key, freezes.c.state == literal_column("'set'"))
    .values(proposal=bindparam("proposal_"), proposed_by=bindparam("by_"), changed_at=bindparam("at_"))
)
_PROPOSED = Prepared(
    select(freezes.c.id).where(freezes.c.id == _key, freezes.c.proposal == bindparam("proposal_"), freezes.c.proposed_by != bindparam("by_"))
)
_CHANGE = Prepared(
    update(policy_versions)
    .where(
        policy_versions.c.entry == bindparam("entry_"),
        policy_versions.c.policy == bindparam("policy_"),
        policy_versions.c.before == bindparam("before_"),
        policy_versions.c.document == bindparam("document_"),
        policy_versions.c.proposed_by != bindparam("by_"),
        policy_versions.c.since.is_(None),
    )
    .values(changed_by=bindparam("by_"), since=bindparam("since_"), changed_at=bindparam("at_"))
)
_CHANGE_PACK = Prepared(
    update(rule_packs)
    .where(
        rule_packs.c.entry == bindparam("entry_"),
        rule_packs.c.pack == bindparam("pack_"),
        rule_packs.c.before == bindparam("before_"),
        rule_packs.c.document == bindparam("document_"),
        rule_packs.c.proposed_by != bindparam("by_"),
        rule_packs.c.since.is_(None),
    )
    .values(changed_by=bindparam("by_"), since=bindparam("since_"), changed_at=bindparam("at_"))
)
_PACK = Prepared(
    select(rule_packs.c.pack, rule_packs.c.document).where(rule_packs.c.since.is_not(None)).order_by(rule_packs.c.since.desc()).limit(1)
)


@projects(ev.FreezeSet)
def _freeze_set(writer: Writer, recorded: ev.Recorded, event: ev.FreezeSet) -> None:
    row = {"id": event.freeze, "scope": event.scope, "subject": event.subject, "state": "set", "reason": event.reason}
    add(writer, freezes, **row, set_by=event.by, set_at=recorded.at, changed_at=recorded.at)


@projects(ev.ThawProposed)
def _thaw_proposed(writer: Writer, recorded: ev.Recorded, event: ev.ThawProposed) -> None:
    values = {"key_": event.freeze, "proposal_": recorded.index, "by_": event.by, "at_": recorded.at}
    if writer.run(_PROPOSE, values) != 1:
        raise DoesNotFit("freezes", event.freeze)


@projects(ev.FreezeThawed)
def _freeze_thawed(writer: Writer, recorded: ev.Recorded, event: ev.FreezeThawed) -> None:
    if writer.row(_PROPOSED, {"key_": event.freeze, "proposal_": event.proposal, "by_": event.by}) is None:  # nobody thaws alone
        raise DoesNotFit("freezes", event.freeze)
    move(writer, freezes, event.freeze, ["set"], "thawed", recorded.at, thawed_by=event.by)


@projects(ev.PolicyProposed)
def _policy_proposed(writer: Writer, recorded: ev.Recorded, event: ev.PolicyProposed) -> None:
    row = {"entry": recorded.index, "policy": event.policy, "before": event.before or "", "document": event.document, "reason": event.reason}
    add(writer, policy_versions, **row, proposed_by=event.by, proposed_at=recorded.at)


@projects(ev.PolicyChanged)
def _policy_changed(writer: Writer, recorded: ev.Recorded, event: ev.PolicyChanged) -> None:
    values = {"entry_": event.proposal, "policy_": event.policy, "before_": event.before or "", "document_": event.document}
    if writer.run(_CHANGE, {**values, "by_": event.by, "since_": recorded.index, "at_": recorded.at}) != 1:
        raise DoesNotFit("policy_versions", str(event.proposal))


@projects(ev.PackAdopted)
def _pack_adopted(writer: Writer, recorded: ev.Recorded, event: ev.PackAdopted) -> None:
    if event.by != "system":  # people change packs by two
        raise DoesNotFit("rule_packs", event.pack)
    _follows(writer, None, recorded.index)
    row = {name: getattr(event, name) for name in ("pack", "name", "version", "document")} | {"before": "", "reason": ""}
    proposed = {"entry": recorded.index, "proposed_by": event.by, "proposed_at": recorded.at}
    add(writer, rule_packs, **row, **proposed, changed_by=event.by, since=recorded.index, changed_at=recorded.at)


@projects(ev.PackProposed)
def _pack_proposed(writer: Writer, recorded: ev.Recorded, event: ev.PackProposed) -> None:
    _follows(writer, event.before, recorded.index)
    row = {name: getattr(event, name) for name in ("pack", "name", "version", "document", "reason")}
    add(writer, rule_packs, **row, entry=recorded.index, before=event.before or "", proposed_by=event.by, proposed_at=recorded.at)


@projects(ev.PackChanged)
def _pack_changed(writer: Writer, recorded: ev.Recorded, event: ev.PackChanged) -> None:
    _follows(writer, event.before, event.proposal)
    values = {"entry_": event.proposal, "pack_": event.pack, "before_": event.before or "", "document_": event.document}
    if writer.run(_CHANGE_PACK, {**values, "by_": event.by, "since_": recorded.index, "at_": recorded.at}) != 1:
        raise DoesNotFit("rule_packs", str(event.proposal))


def _follows(writer: Writer, before: str | None, proposal: int) -> None:
    now = writer.row(_PACK, {})
    if before != (None if now is None else now[1]):
        raise DoesNotFit("rule_packs", str(proposal))


def under_pack(writer: Writer, job: str, pack: str) -> None:
    """Tables are held and let out under the pack in force, which the register knows from before the first."""
    now = writer.row(_PACK, {})
    if now is None or now[0] != pack:
        raise DoesNotFit("rule_packs", job)


_DATASET = literal_column("'dataset:'", String).concat(freezes.c.subject)
_HALTING = select(freezes.c.id).where(
    freezes.c.state == literal_column("'set'"),
    or_(
        freezes.c.scope == literal_column("'everything'"),
        and_(freezes.c.scope == literal_column("'operator'"), freezes.c.subject.in_([bindparam("who_"), bindparam("to_")])),
        and_(freezes.c.scope == literal_column("'licence'"), freezes.c.subject == bindparam("licence_")),
        and_(
            freezes.c.scope == literal_column("'dataset'"),
            exists().where(
                charge_accounts.c.charge == bindparam("charge_", type_=String),
                or_(
                    charge_accounts.c.account == _DATASET,
                    # its accounts by period: `dataset:name@2026-01`
                    func.substr(charge_accounts.c.account, literal_column("1"), func.length(_DATASET) + literal_column("1"))
                    == _DATASET.concat(literal_column("'@'", String)),
                ),
            ),
        ),
    ),
)
_HALT = Prepared(_HALTING)
_ORIGIN = Prepared(
    select(jobs.c.operator, jobs.c.licence, jobs.c.charge).join(releases, releases.c.job == jobs.c.id).where(releases.c.id == _key)
)
_ASKED = Prepared(select(jobs.c.operator, jobs.c.licence).where(jobs.c.id == _key))


def halting(operator: str, licence: str, charge: str, recipient: str = "") -> tuple[Prepared, dict[str, str]]:
    """The question which freezes stand in the way of what this charge paid for; `unfrozen` hears the answer."""
    return _HALT, {"who_": operator, "to_": recipient or operator, "licence_": licence, "charge_": charge}


def unfrozen(found: Sequence[tuple[Any, ...]]) -> None:
    """Nothing leaves while its operator, its licence, a protected dataset it was computed from, or everything is frozen."""
    if found:
        raise DoesNotFit("freezes", str(found[0][0]))


def unfrozen_reuse(writer: Writer, job: str, release: str) -> None:
    """Of a stored answer, what counts is who asks now, under which licence, and what the answer was computed from."""
    asked, origin = writer.row(_ASKED, {"key_": job}), writer.row(_ORIGIN, {"key_": release})
    if asked is None or origin is None:
        raise DoesNotFit("releases", release)
    unfrozen(writer.rows(*halting(str(asked[0]), str(asked[1]), str(origin[2]))))


def unfrozen_delivery(writer: Writer, release: str, recipient: str) -> None:
    origin = writer.row(_ORIGIN, {"key_": release})
    if origin is None:
        raise DoesNotFit("releases", release)
    unfrozen(writer.rows(*halting(str(origin[0]), str(origin[1]), str(origin[2]), recipient)))
