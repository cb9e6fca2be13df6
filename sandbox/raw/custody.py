"""What is done to the keys of the vault, for whoever answers for it: nothing here reads a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from infra.masters import MasterKeyError
from infra.vault import Vault, VaultError
from policies.problem import Problem, declare
from sandbox.raw.failure import DATA_DESTROYED, KEYS_UNAVAILABLE, SNAPSHOT_REFUSED

Result = TypeVar("Result")

MASTER_KEY = declare(
    "server_master_key",
    zh=("主密钥无法使用", "{code}：{detail}。", "请核对 docs/how-to/keys.md 中该保管方式的设置；没有更改任何内容。"),
    en=(
        "The master key cannot be used",
        "{code}: {detail}.",
        "Check the settings of this key provider in docs/how-to/keys.md. Nothing was changed.",
    ),
)
MASTER_IN_USE = declare(
    "server_master_key_in_use",
    zh=("旧主密钥仍在使用", "{count} 个密钥仍由 {key} 封装。", "请先运行 yunei vault rotate，全部改由现行主密钥封装后再停用。"),
    en=(
        "The old master key is still in use",
        "{count} keys are still wrapped under {key}.",
        "Run yunei vault rotate first, so that the current master key wraps them all.",
    ),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Master keys by `kind:version`, oldest first, and how many keys each wraps. `present`: the one that wraps what is new."""

    kind: str
    present: str
    known: tuple[str, ...]
    wrapping: Mapping[str, int]


def keys_of(vault: Vault) -> Keys:
    """Raises server_master_key, data_keys_unavailable."""

    def look() -> Keys:
        held = vault.keys.masters
        known = tuple(f"{held.kind}:{version}" for version in held.versions())
        return Keys(held.kind, known[-1], known, vault.keys.under())

    return _told(look)


def create_master(vault: Vault) -> str:
    """The first version where the provider has none. Raises server_master_key."""
    held = vault.keys.masters
    return _told(lambda: f"{held.kind}:{held.create()}")


def new_master(vault: Vault) -> str:
    """A new version; nothing is wrapped under it yet. Raises server_master_key."""
    held = vault.keys.masters

    def make() -> str:
        vault.keys.keep_root()  # while the first master is at hand
        return f"{held.kind}:{held.rotate(vault.random)}"

    return _told(make)


def rewrap(vault: Vault) -> int:
    """Every dataset's key under the present version; how many were not. Broken off, it is taken up by calling it again."""
    return _told(vault.keys.rewrap)


def retire_master(vault: Vault, key: str) -> None:
    """Destroy a version that wraps nothing. Raises server_master_key_in_use, server_master_key."""
    held = vault.keys.masters

    def retire() -> None:
        with vault.keys.locked(alone=True):  # nobody wraps a new key meanwhile
            if count := vault.keys.under().get(key, 0):
                raise MASTER_IN_USE(count=count, key=key)
            held.retire(key.partition(":")[2])

    _told(retire)


def new_key(vault: Vault, dataset: str) -> int:
    """A new key for the dataset; its generation. No row is read or written. Raises data_snapshot_refused, data_keys_unavailable."""
    return _told(lambda: vault.rotate(dataset))


def destroy(vault: Vault, dataset: str, version: int | None) -> None:
    """The keys of a version, or of the dataset, are destroyed here, then its files removed; what another version keeps of it stays readable
    there. Twice is once."""
    _told(lambda: vault.destroy(dataset, version))


@dataclass(frozen=True, slots=True)
class Reach:
    """What destroying a version, or a dataset, does, by version numbers. `ends`: can be read by nobody any more; `kept_by`: go on reading files
    of it, so that their rows are there still; `keeps`: earlier ones whose files the version holds too, which stay."""

    ends: tuple[int, ...]
    kept_by: tuple[int, ...]
    keeps: tuple[int, ...]


def reach(vault: Vault, dataset: str, version: int | None) -> Reach:
    """From the manifests, by what each version needs (`Version.needs`). Raises data_keys_unavailable, data_snapshot_refused."""

    def needs() -> dict[int, tuple[int, ...]]:
        found: dict[int, tuple[int, ...]] = {}
        for number in vault.versions(dataset):
            try:
                found[number] = vault.open(dataset, number).needs
            except VaultError as error:
                if error.code != "destroyed":
                    raise
        return found

    standing = {} if is_destroyed(vault, dataset, None) else _told(needs)
    if version is None:
        return Reach(tuple(standing), (), ())
    ends = (version,) if version in standing else ()
    kept_by = tuple(number for number, needed in standing.items() if number != version and version in needed)
    return Reach(ends, kept_by, tuple(number for number in standing.get(version, ()) if number != version))


def is_destroyed(vault: Vault, dataset: str, version: int | None) -> bool:
    """Whether `destroy` has nothing left to do."""
    return _told(lambda: vault.gone(dataset, version))


def refusal(error: VaultError) -> Problem:
    """What the vault says as a problem for a job: the same whatever the rows are."""
    if error.code == "keys_unavailable":
        return KEYS_UNAVAILABLE()
    if error.code == "destroyed":
        return DATA_DESTROYED(dataset=error.dataset, version=error.version)
    return SNAPSHOT_REFUSED(dataset=error.dataset, version=error.version, reason=error.code)


def _told(act: Callable[[], Result]) -> Result:
    try:
        return act()
    except MasterKeyError as error:
        raise MASTER_KEY(code=error.code, detail=error.detail) from None
    except VaultError as error:
        raise refusal(error) from None
