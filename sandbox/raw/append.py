"""Rows added to a version that is there: its parts stay as they are, so what was declared of them must still hold.

What a declaration says of single cells may become wider where nothing was mended to fit it; then every kept cell is within the new one too.
What it says of the whole (unique columns, rows per unit) is checked over old and new rows together.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from infra.vault import Vault, VaultError, Version
from policies.catalogue import Column, Dataset, Snapshot
from policies.problem import Problem, declare
from sandbox.raw.failure import SNAPSHOT_REFUSED

APPEND_REFUSED = declare(
    "data_append_refused",
    zh=(
        "不能在已有版本之后追加",
        "数据集 {dataset} 第 {version} 版之后不能追加：声明有 {faults} 处不容已有的行沿用。",
        "请逐条恢复原声明，或不用 --append，以全部数据另入一版。",
    ),
    en=(
        "Nothing can be appended to this version",
        "Nothing can be appended to version {version} of dataset {dataset}: the declaration changed in {faults} ways that existing rows "
        "may not fit.",
        "Undo each change listed, or ingest all data again without --append.",
    ),
)
APPEND_CHANGED = declare(
    "data_append_changed",
    zh=("声明有变", "{what}：原为 {before}，现为 {now}。", "请恢复原声明，或以全部数据另入一版。"),
    en=(
        "The declaration changed",
        "{what}: it was {before}, and is now {now}.",
        "Restore the declaration, or ingest all data again as a new version.",
    ),
)
APPEND_FIRST = declare(
    "data_append_first",
    zh=("没有可以追加的版本", "数据集 {dataset} 尚未登记，没有可以在其后追加的版本。", "请不用 --append，先登记第一版。"),
    en=("There is no version to append to", "Dataset {dataset} is not registered yet.", "Ingest its first version without --append."),
)
APPEND_ELSEWHERE = declare(
    "data_append_partition",
    zh=(
        "已有的行不在应在的分片",
        "数据集 {dataset} 第 {version} 版的行不是以现有密钥分片的，同一单元的新旧行会分处两片。",
        "请核对主密钥；如密钥已更换，请以全部数据另入一版。",
    ),
    en=(
        "Existing rows lie in other shards",
        "The rows of version {version} of dataset {dataset} were assigned to shards with another key: old and new rows of one unit would "
        "lie in different shards.",
        "Check the master key. If it was replaced, ingest all data again as a new version.",
    ),
)


def opened(after: Snapshot, vault: Vault) -> Version:
    """The version to append to. Raises data_snapshot_refused when it is not as it was ingested."""
    try:
        version = vault.open(after.dataset.name, after.version)
    except VaultError as error:
        raise SNAPSHOT_REFUSED(dataset=after.dataset.name, version=after.version, reason=error.code) from None
    if version.digest != after.digest:
        raise SNAPSHOT_REFUSED(dataset=after.dataset.name, version=after.version, reason="digest_differs")
    return version


def keeps(vault: Vault, dataset: str, older: int, newer: int) -> bool:
    """Whether version `newer` has every file of `older`, by appends. False when either is gone; raises VaultError when keys cannot be had now.
    Reads manifests, no row."""
    try:
        before, now = vault.open(dataset, older), vault.open(dataset, newer)
    except VaultError as error:
        if error.code in ("version_missing", "destroyed"):
            return False
        raise
    files = {(part.version, part.index, part.sha256) for part in now.parts}
    return all((part.version, part.index, part.sha256) in files for part in before.parts)


def check_continues(after: Snapshot, now: Dataset) -> None:
    """Raises data_append_refused, one part for each change that rows of `after` may not fit. Both with their domains resolved."""
    before, parts = after.dataset, []

    def held(what: str, was: object, is_: object, *, fits: bool | None = None) -> None:
        if not (was == is_ if fits is None else fits):
            parts.append(APPEND_CHANGED(what=what, before=_said(was), now=_said(is_)))

    held("unit", _owner(before), _owner(now))
    held("complete_through", before.complete_through, now.complete_through, fits=_no_less(before.complete_through, now.complete_through))
    held("columns", [column.name for column in before.stored], [column.name for column in now.stored])
    for old, new in zip(before.stored, now.stored, strict=False):
        if old.name == new.name:
            for what, fits in _fits(old, new).items():
                held(f"{new.name}.{what}", getattr(old, what), getattr(new, what), fits=fits)
    if parts:
        raise _refused(after, parts)


def later(asked: Dataset, after: Snapshot) -> Dataset:
    """What new rows are held to: none is of a day up to which the version before them was complete."""
    through, block = after.dataset.complete_through, after.dataset.block
    if through is None or block is None:
        return asked
    name = block.column.casefold()
    columns = (
        column.model_copy(update={"low": max(column.low or through, through + timedelta(days=1))}) if column.name.casefold() == name else column
        for column in asked.columns
    )
    return asked.model_copy(update={"columns": tuple(columns)})


def _no_less(before: date | None, now: date | None) -> bool:
    return before is None or (now is not None and now >= before)


def _refused(after: Snapshot, parts: list[Problem]) -> Problem:
    return APPEND_REFUSED(dataset=after.dataset.name, version=after.version, faults=len(parts)).with_parts(tuple(parts))


def _owner(dataset: Dataset) -> str:
    unit = dataset.unit
    coded = ["pseudonym"] if unit is not None and unit.pseudonym else []
    return (
        ""
        if unit is None
        else " ".join(
            [
                str(dataset.space),
                *([dataset.block.column] if dataset.block else []),
                unit.column,
                *coded,
                *([unit.via.column, unit.via.references] if unit.via else []),
            ]
        )
    )


def _fits(old: Column, new: Column) -> dict[str, bool]:
    """By what was declared of a column: whether every value that kept the old declaration keeps the new one."""
    mended = "clamp" in (old.out_of_range, new.out_of_range)  # to the old limits: as different data would be under the new ones
    inside = _inside(old, new)
    listed = new.domain is None or (old.domain is not None and set(old.domain) <= set(new.domain))
    return {
        "type": old.type == new.type,
        "decimals": old.decimals == new.decimals,
        "nullable": new.nullable or not old.nullable,
        "low": inside if not mended else old.low == new.low,
        "high": inside if not mended else old.high == new.high,
        "max_length": old.max_length == new.max_length if mended else old.max_length <= new.max_length or old.domain is not None,
        "domain": listed if not mended else old.domain == new.domain,
    }


def _inside(old: Column, new: Column) -> bool:
    if new.low is None or new.high is None:
        return True
    if old.low is None or old.high is None:
        return False
    if isinstance(old.low, Decimal) and isinstance(old.high, Decimal) and isinstance(new.low, Decimal) and isinstance(new.high, Decimal):
        return new.low <= old.low and old.high <= new.high
    return new.low <= old.low and old.high <= new.high  # type: ignore[operator]  # both dates: a column's type says so


def _said(value: object) -> str:
    if isinstance(value, list | tuple):
        text = ", ".join(str(one) for one in value)
        return text if len(text) <= 200 else f"{text[:200]}…"
    return "—" if value in (None, "") else str(value)
