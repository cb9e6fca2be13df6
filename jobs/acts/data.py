"""Datasets and their versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import rfc8785
from sqlalchemy import Connection

from jobs import directory, ledger, rulebook
from jobs.documents import snapshot_document
from jobs.events import (
    AccountKind,
    AccountOpened,
    Cost,
    DatasetRegistered,
    DatasetWithdrawn,
    PaceSet,
    RegistrationMoved,
    VersionIngested,
)
from jobs.register import Act, Register
from policies.catalogue import REGISTRATIONS, Dataset, Registration, Snapshot
from policies.entry import rules_against
from policies.loss import Loss
from policies.problem import declare
from policies.quota import Pace

VERSION_CONFLICT = declare(
    "data_version_conflict",
    zh=(
        "数据版本冲突",
        "数据集 {dataset} 现行版本为 {current}，不能登记版本 {version}。",
        "新版本号必须大于现行版本号；请以更大的版本号重新入库。",
    ),
    en=(
        "Version conflict",
        "Dataset {dataset} is at version {current}; version {version} cannot follow.",
        "Ingest again under a higher version number than the present one.",
    ),
)

UNIT_CHANGED = declare(
    "data_unit_changed",
    zh=(
        "隐私单元不得更改",
        "数据集 {dataset} 登记的隐私单元空间为 {before}，新版本为 {after}。",
        "请以新的数据集名称登记；预算账户随隐私单元。",
    ),
    en=(
        "The privacy unit cannot change",
        "Dataset {dataset} was registered with unit space {before}; this version has {after}.",
        "Register the data under another dataset name: budget accounts belong to the unit.",
    ),
)


BLOCK_POLICY = declare(
    "data_block_policy",
    zh=(
        "策略不准许预算按期计算",
        "数据集 {dataset} 声明预算按{period}计算，隐私单元为“{unit_zh}”；数据主管部门的策略不准许，所涉规则：{rules}。",
        "请去掉目录条目中的 [block]，或由两名监管员变更策略后再登记；本次未登记任何内容。",
    ),
    en=(
        "The policy does not allow budgets by period",
        "Dataset {dataset} declares budgets by {period}, with {unit_en} as its unit; the bureau's policy refuses it by: {rules}.",
        "Remove [block] from the catalogue entry, or have two supervisors change the policy first. Nothing was registered.",
    ),
)
BLOCK_CHANGED = declare(
    "data_block_changed",
    zh=(
        "分期列不得更改",
        "数据集 {dataset} 按列 {before} 分期，新版本按 {after}。",
        "请恢复原分期列，或以新的数据集名称登记：同一行换了期，原来各期的账就不再说明它。",
    ),
    en=(
        "The block column cannot change",
        "Dataset {dataset} is divided into periods by column {before}; the new version by {after}.",
        "Restore the block column, or register the data under another name: once a row moves to another period, the accounts of the "
        "periods no longer describe it.",
    ),
)

DATA_WITHDRAWN = declare(
    "data_withdrawn",
    zh=("数据集已撤回", "数据集 {dataset} 已撤回，或没有可撤回的版本。", "撤回的数据集不再使用；请核对版本，或以新的数据集名称登记。"),
    en=(
        "The dataset was withdrawn",
        "Dataset {dataset} was withdrawn, or has no such version to withdraw.",
        "Check the version, or register the data under another dataset name: a withdrawn dataset is not used again.",
    ),
)

REGISTRATION_ORDER = declare(
    "data_registration_order",
    zh=("登记状态须逐级变更", "数据集 {dataset} 的登记状态为 {now}，不能变更为 {to}。", "请逐级变更，依次为申请、受理、形式审核、公示、赋码。"),
    en=(
        "Registration advances step by step",
        "The registration of dataset {dataset} is {now}; it cannot become {to}.",
        "Advance one state at a time: applied, accepted, checked, published, coded.",
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was ingested: its name without folders, SHA-256 of its bytes in hex, and how many there are."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a version was made of: files, and other snapshots (dataset, version) that were read with them."""

    sources: tuple[Source, ...] = ()
    parents: tuple[tuple[str, int], ...] = ()


def register_dataset(
    register: Register,
    snapshot: Snapshot,
    *,
    by: str = "system",
    population_cap: Loss | None = None,
    dataset_cap: Loss | None = None,
    lineage: Lineage | None = None,
) -> None:
    """Put an ingested snapshot into the catalogue: the dataset's first, or a later version of it. A private dataset opens its account and,
    if it is the first of its unit space, the population's; caps not given are the settings'. Caps of accounts already open do not move;
    the pace of the dataset's is what this version states."""
    dataset, settings = snapshot.dataset, register.settings
    with register.transaction() as act:
        current = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.name.casefold())
        space = dataset.space
        if current is not None and current.version >= snapshot.version:
            raise VERSION_CONFLICT(dataset=dataset.name, current=current.version, version=snapshot.version)
        if current is not None and current.state == "withdrawn":
            raise DATA_WITHDRAWN(dataset=dataset.name)
        if current is not None and current.space != space:
            raise UNIT_CHANGED(dataset=dataset.name, before=current.space or "—", after=space or "—")
        _may_part(act, snapshot, current)
        document = act.attach(snapshot_document(snapshot))
        if current is None:
            act.append(DatasetRegistered(by=by, dataset=dataset.name, space=space, registration=dataset.registration))
        sealed = None if lineage is None else act.seal(_lineage(act, lineage, current, by))
        act.append(
            VersionIngested(by=by, dataset=dataset.name, version=snapshot.version, digest=snapshot.digest, document=document, lineage=sealed)
        )
        if space is not None:
            people = population_cap or Loss(settings.population_cap_pico_rho, settings.population_cap_atto_delta)
            own = dataset_cap or Loss(settings.dataset_cap_pico_rho, settings.dataset_cap_atto_delta)
            for label in ("",) if dataset.periods is None else dataset.periods.labels:
                at = f"@{label}" if label else ""
                open_account(act, ledger.population_account(space, label), "population", f"{space}{at}", people, by)
                open_account(act, ledger.dataset_account(dataset.name, label), "dataset", f"{dataset.name}{at}", own, by)
                keep_pace(act, ledger.dataset_account(dataset.name, label), dataset.pace, by)


def _may_part(act: Act, snapshot: Snapshot, current: directory.Registered | None) -> None:
    """Budgets by period, where the policy in force allows them, and by the column they were by before."""
    dataset = snapshot.dataset
    if dataset.block is None or dataset.unit_title is None:
        return
    before = None if current is None else directory.snapshot(act.connection, current.name, current.version)
    column = before.dataset.block.column if before is not None and before.dataset.block is not None else dataset.block.column
    if column.casefold() != dataset.block.column.casefold():
        raise BLOCK_CHANGED(dataset=dataset.name, before=column, after=dataset.block.column)
    may_part(dataset, act.connection)


def may_part(dataset: Dataset, connection: Connection) -> None:
    """Raises `data_block_policy` where the policy in force does not allow the budgets by period that the entry declares."""
    against = rules_against(dataset, rulebook.in_force(connection))
    if against and dataset.block is not None and dataset.unit_title is not None:
        title = dataset.unit_title
        raise BLOCK_POLICY(dataset=dataset.name, period=dataset.block.period, unit_zh=title.zh, unit_en=title.en, rules=", ".join(against))


def _lineage(act: Act, lineage: Lineage, current: directory.Registered | None, by: str) -> bytes:
    """Canonical JSON. The version it follows is a parent too; a digest of raw bytes could be guessed, so all of it is only committed to."""
    wanted = ([(current.name, current.version)] if current is not None else []) + list(lineage.parents)
    parents = []
    for name, version in dict.fromkeys(wanted):
        parent = directory.snapshot(act.connection, name, version)
        if parent is not None:
            parents.append({"dataset": parent.dataset.name, "version": version, "digest": parent.digest})
    data = {"by": by, "sources": [asdict(source) for source in lineage.sources], "parents": parents}
    return cast(bytes, rfc8785.dumps(data))


def move_registration(register: Register, dataset: str, to: Registration, *, by: str = "system") -> None:
    """One state further in the registration as a public data resource."""
    with register.transaction() as act:
        current = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.casefold())
        now = "—" if current is None else current.registration
        if current is None or REGISTRATIONS.index(to) != REGISTRATIONS.index(current.registration) + 1:
            raise REGISTRATION_ORDER(dataset=dataset, now=now, to=to)
        act.append(RegistrationMoved(by=by, dataset=current.name, to=to))


def withdraw_dataset(register: Register, dataset: str, *, reason: str, version: int | None = None, by: str = "system") -> None:
    """Take back a dataset for good, or one version of it. From this transaction on jobs on it are refused and running ones not published. A
    dataset whose current version was taken back can be used again once a newer one is ingested."""
    with register.transaction() as act:
        current = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.casefold())
        versions = {row.version: row.state for row in directory.versions_of(act.connection, dataset)}
        if current is None or current.state == "withdrawn" or (version is not None and versions.get(version) != "current"):
            raise DATA_WITHDRAWN(dataset=dataset)
        act.append(DatasetWithdrawn(by=by, dataset=current.name, version=version, reason=reason))


def open_account(act: Act, account: str, kind: AccountKind, subject: str, cap: Loss, by: str) -> None:
    if not ledger.balances(act.connection, [account]):
        act.append(AccountOpened(by=by, account=account, account_kind=kind, subject=subject, cap=Cost.of(cap)))


def keep_pace(act: Act, account: str, pace: Pace, by: str) -> None:
    """Bring the windows of an account to what its licence or dataset states now."""
    present = {windowed.window: windowed.cap for balance in ledger.balances(act.connection, [account]) for windowed in balance.windows}
    for window, degree in pace.caps().items():
        cap = None if degree is None else degree.loss
        if cap != present.get(window):
            act.append(PaceSet(by=by, account=account, window=window, cap=None if cap is None else Cost.of(cap)))
