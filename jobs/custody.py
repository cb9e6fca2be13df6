"""The master key's and datasets' keys change: what is done to the vault, and what the log says of it.

A change of the master key is two acts, like that of the log's key: from the first on the new version wraps every dataset's key, and the second
destroys the old one once nothing is wrapped under it. No row is read or written by either. (GB/T 39786-2021,
密钥管理; 《数据安全法》第二十七条.)
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.database import reading
from jobs.acts.data import DATA_WITHDRAWN
from jobs.directory import registered
from jobs.events import DatasetKeyRotated, MasterKeyRetired, MasterKeyRotated, Recorded
from jobs.register import Register
from policies.problem import declare
from sandbox.raw import custody
from sandbox.raw.open import Vault

NOTHING_TO_RETIRE = declare(
    "server_master_key_single",
    zh=("没有可停用的旧主密钥", "只有现行主密钥在用。", "请先用 yunei vault rotate 更换主密钥。"),
    en=("There is no old master key", "Only the current master key is in use.", "First replace the master key with yunei vault rotate."),
)


@dataclass(frozen=True, slots=True)
class Rotated:
    """`key`: the master key that wraps from now on, `kind:version`; `wrapped`: how many keys were not under it before."""

    key: str
    wrapped: int


def rotate_master(register: Register, vault: Vault, *, by: str = "system") -> Rotated:
    """Another master key, and every dataset's key under it. A version that is there already and wraps nothing yet is taken: one that the
    keeper of the keys made, or that an earlier attempt made before it broke off. Broken off, it is taken up by calling it again. Raises
    server_master_key, data_keys_unavailable."""
    found = custody.keys_of(vault)
    said = _announced(register)
    older = [name for name in found.wrapping if name != found.present]
    if not older and (said in (None, found.present)):  # all is done: another one
        before = found.present
        present = custody.new_master(vault)
    else:
        present, before = found.present, said if said not in (None, found.present) else (older or [said or found.present])[-1]
    if said != present and before != present:
        with register.transaction() as act:
            act.append(MasterKeyRotated(by=by, key=present, before=before))
    return Rotated(present, custody.rewrap(vault))


def retire_masters(register: Register, vault: Vault, *, by: str = "system") -> tuple[str, ...]:
    """Destroy every master key but the present one; their names. Raises server_master_key_single, server_master_key_in_use, server_master_key,
    each of which leaves the rest for another time."""
    found = custody.keys_of(vault)
    old = [name for name in found.known if name != found.present]
    said = {recorded.event.key for recorded in _events(register) if isinstance(recorded.event, MasterKeyRetired)}
    changes = [recorded.event for recorded in _events(register) if isinstance(recorded.event, MasterKeyRotated)]
    named = {name for event in changes for name in (event.key, event.before)}
    if not old:
        raise NOTHING_TO_RETIRE()
    for name in old:
        if count := found.wrapping.get(name, 0):
            raise custody.MASTER_IN_USE(count=count, key=name)
    for name in old:
        if name not in said and name in named:
            with register.transaction() as act:
                act.append(MasterKeyRetired(by=by, key=name))
        custody.retire_master(vault, name)
    return tuple(old)


def rotate_key(register: Register, vault: Vault, dataset: str, *, by: str = "system") -> int:
    """Another key for a dataset; its generation. Raises data_withdrawn for one that is not registered, data_keys_unavailable."""
    with reading(register.engine) as connection:
        known = {row.name.casefold(): row.name for row in registered(connection)}
    if dataset.casefold() not in known:
        raise DATA_WITHDRAWN(dataset=dataset)
    name = known[dataset.casefold()]
    generation = custody.new_key(vault, name)
    with register.transaction() as act:
        act.append(DatasetKeyRotated(by=by, dataset=name, generation=generation))
    return generation


def _announced(register: Register) -> str | None:
    """The newest master key that the log names."""
    names = [recorded.event.key for recorded in _events(register) if isinstance(recorded.event, MasterKeyRotated)]
    return names[-1] if names else None


def _events(register: Register) -> list[Recorded]:
    return register.events(limit=10_000, kinds=(MasterKeyRotated.kind, MasterKeyRetired.kind))
