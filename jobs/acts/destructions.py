"""Data disposed of for good by destroying its keys: a steward or supervisor proposes, another person, a supervisor, confirms.

Only what was withdrawn is destroyed, so that no job is under way on it. What is left anywhere is ciphertext that nobody has a key to, files
here are removed besides. 《个人信息保护法》第四十七条 (erasure when the purpose is fulfilled or consent withdrawn); GB/T 37988-2019,
数据销毁 (destruction of data, with a record of it and by more than one person).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from infra.database import reading
from infra.tables import destructions
from jobs import directory
from jobs.acts.freezes import supervisor
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.two import second_person
from jobs.events import DataDestroyed, DestructionProposed
from jobs.register import Act, Register
from policies.problem import declare
from sandbox.raw import custody
from sandbox.raw.open import Vault

NOT_WITHDRAWN = declare(
    "data_not_withdrawn",
    zh=("数据尚未撤回", "数据集 {dataset} 的 {version} 尚未撤回，不能销毁。", "请先撤回（yunei dataset withdraw），再提议销毁。"),
    en=(
        "The data has not been withdrawn",
        "{version} of dataset {dataset} has not been withdrawn; only withdrawn data can be destroyed.",
        "Withdraw it first (yunei dataset withdraw), then propose its destruction.",
    ),
)
DESTRUCTION_UNKNOWN = declare(
    "data_destruction_unknown",
    zh=("没有这项销毁提议", "第 {proposal} 条不是销毁数据的提议。", "请用 yunei dataset destructions 查看提议的序号。"),
    en=(
        "No such proposal",
        "Entry {proposal} does not propose a destruction.",
        "Run yunei dataset destructions to see the entry numbers of proposals.",
    ),
)
DESTRUCTION_OVER = declare(
    "data_destruction_over",
    zh=("数据已经销毁", "数据集 {dataset} 的 {version} 此前已经销毁。", "无需再次办理。"),
    en=("The data was already destroyed", "{version} of dataset {dataset} was destroyed earlier.", "No further action is needed."),
)


@dataclass(frozen=True, slots=True)
class Destruction:
    """`version` None: the dataset. `since`: the entry that confirmed it, None while it is only proposed."""

    entry: int
    dataset: str
    version: int | None
    reason: str
    proposed_by: str
    proposed_at: str
    confirmed_by: str | None
    since: int | None
    confirmed_at: str | None


def all_destructions(register: Register) -> list[Destruction]:
    """Newest first."""
    with reading(register.engine) as connection:
        names = {row.name.casefold(): row.name for row in directory.registered(connection)}
        rows = connection.execute(select(destructions).order_by(destructions.c.entry.desc())).all()
    return [Destruction(**{**row._asdict(), "dataset": names[row.dataset], "version": row.version or None}) for row in rows]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a destruction would do. `version` None: the dataset; `withdrawn`: it may be proposed; `reach`: which versions it ends."""

    dataset: str
    version: int | None
    withdrawn: bool
    reach: custody.Reach


def effect_of(register: Register, vault: Vault, dataset: str, version: int | None) -> Effect | None:
    """None where there is no such dataset or version. Raises data_keys_unavailable, data_snapshot_refused."""
    with reading(register.engine) as connection:
        row = {row.name.casefold(): row for row in directory.registered(connection)}.get(dataset.casefold())
        states = {each.version: each.state for each in directory.versions_of(connection, dataset)}
    if row is None or (version is not None and version not in states):
        return None
    withdrawn = row.state == "withdrawn" or (version is not None and states[version] == "withdrawn")
    return Effect(row.name, version, withdrawn, custody.reach(vault, row.name, version))


def propose_destruction(register: Register, dataset: str, *, version: int | None = None, reason: str, by: str) -> int:
    """The first of two people. Returns the entry that the second one names. Raises data_not_withdrawn, data_destruction_over."""
    with register.transaction() as act:
        if (who := known(act, by, "active")).role not in ("steward", "supervisor"):
            raise PRINCIPAL_ROLE(principal=by, role=who.role, needed="steward")
        name = _withdrawn(act, dataset, version)
        _not_over(act, name, version)
        return act.append(DestructionProposed(by=by, dataset=name, version=version, reason=reason))


def confirm_destruction(register: Register, vault: Vault, proposal: int, *, by: str) -> Destruction:
    """Another person, a supervisor: from this entry on it counts as destroyed, and when this returns its keys are. A crash in between is made
    good by `carry_out`. Raises data_destruction_unknown, data_destruction_over, data_not_withdrawn, auth_second_person."""
    found = next((each for each in all_destructions(register) if each.entry == proposal), None)
    if found is None:
        raise DESTRUCTION_UNKNOWN(proposal=proposal)
    with register.transaction() as act:
        supervisor(act, by)
        name = _withdrawn(act, found.dataset, found.version)
        _not_over(act, name, found.version)
        same = DestructionProposed(by=by, dataset=name, version=found.version, reason="-")
        second_person(register, act, same, proposal)
        act.append(DataDestroyed(by=by, dataset=name, version=found.version, proposal=proposal))
    custody.destroy(vault, name, found.version)
    return next(each for each in all_destructions(register) if each.entry == proposal)


def carry_out(register: Register, vault: Vault) -> int:
    """What was confirmed and is not gone yet, because a process ended in between or a backup of keys was put back: destroyed now. Returns how
    many. Raises what the vault does; the rest is for another time."""
    done = 0
    for each in reversed(all_destructions(register)):
        if each.since is not None and not custody.is_destroyed(vault, each.dataset, each.version):
            custody.destroy(vault, each.dataset, each.version)
            done += 1
    return done


def _withdrawn(act: Act, dataset: str, version: int | None) -> str:
    """The dataset's name as registered."""
    row = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.casefold())
    states = {each.version: each.state for each in directory.versions_of(act.connection, dataset)}
    if row is None or not (row.state == "withdrawn" or (version is not None and states.get(version) == "withdrawn")):
        raise NOT_WITHDRAWN(dataset=dataset, version=_of(version))
    if version is not None and version not in states:
        raise NOT_WITHDRAWN(dataset=dataset, version=_of(version))
    return row.name


def _not_over(act: Act, dataset: str, version: int | None) -> None:
    over = select(destructions.c.version).where(destructions.c.dataset == dataset.casefold(), destructions.c.since.is_not(None))
    if {0, version or 0} & set(act.connection.execute(over).scalars()):
        raise DESTRUCTION_OVER(dataset=dataset, version=_of(version))


def _of(version: int | None) -> str:
    return "—" if version is None else str(version)
