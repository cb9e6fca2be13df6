"""The bureau's acts: each checks what must hold, appends its events in one transaction, and returns what the caller needs to show.

`by` is the principal who acts, or "system" for the one who runs the server's own command line. Which role may do which act is checked
at the door (`policies.roles`); what is checked here holds whoever acts.
"""

from __future__ import annotations

import base64

from infra.tables import CAP_LIMIT
from jobs import directory, ledger
from jobs.directory import KEY_SCHEME, Principal, secret_digest
from jobs.documents import licence_document, snapshot_document
from jobs.events import (
    AccountKind,
    AccountOpened,
    CapRaised,
    CapRaiseProposed,
    Cost,
    DatasetRegistered,
    KeyIssued,
    KeyRevoked,
    LicenceGranted,
    LicenceProposed,
    LicenceResumed,
    LicenceRevoked,
    LicenceSuspended,
    PrincipalRegistered,
    PrincipalResumed,
    PrincipalSuspended,
    VersionIngested,
)
from jobs.register import Act, Register
from policies.catalogue import Dataset, Snapshot, Title
from policies.licence import Licence
from policies.loss import Loss
from policies.problem import declare
from policies.roles import Role

PRINCIPAL_EXISTS = declare(
    "auth_principal_exists",
    zh=("主体已登记", "主体 {principal} 已登记。", "请换一个标识，或直接为其签发密钥。"),
    en=("Principal exists", "Principal {principal} is registered already.", "Choose another id, or issue a key to the one there is."),
)
PRINCIPAL_UNKNOWN = declare(
    "auth_principal_unknown",
    zh=("没有这个主体", "主体 {principal} 未登记，或不处于所需状态。", "请先登记该主体，或核对标识和状态。"),
    en=(
        "No such principal",
        "Principal {principal} is not registered, or not in the state this needs.",
        "Register it first, or check id and state.",
    ),
)
PRINCIPAL_ROLE = declare(
    "auth_principal_role",
    zh=("主体角色不符", "主体 {principal} 的角色是 {role}，此事需要 {needed}。", "请选择相应角色的主体；一个主体只有一个角色。"),
    en=("Wrong role", "Principal {principal} is {role}; this needs {needed}.", "Name a principal in that role; each has one."),
)
KEY_UNKNOWN = declare(
    "auth_key_unknown",
    zh=("没有可撤销的密钥", "没有前缀为 {prefix} 的有效密钥。", "请核对前缀：即密钥中间一段。"),
    en=("No such key", "There is no active key with prefix {prefix}.", "Check the prefix: the middle part of the key."),
)
SECOND_PERSON = declare(
    "auth_second_person",
    zh=(
        "须两人办理",
        "{act} 须由另一人先提出；第 {proposal} 条不是另一人提出的同一事项。",
        "请由另一位在册人员先提出，再由您确认，并填写其提出的序号。",
    ),
    en=(
        "This takes two people",
        "{act} needs a proposal by another person; entry {proposal} is not one for the same thing.",
        "Have another registered person propose it first, then confirm, naming the index of the proposal.",
    ),
)
VERSION_CONFLICT = declare(
    "data_version_conflict",
    zh=("数据版本冲突", "数据集 {dataset} 现行版本为 {current}，不能登记版本 {version}。", "新版本号必须大于现行版本号；请重新导入。"),
    en=(
        "Version conflict",
        "Dataset {dataset} is at version {current}; version {version} cannot follow.",
        "A new version has a higher number: ingest again.",
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
        "Register it under another name: budgets belong to the unit.",
    ),
)
LICENCE_EXISTS = declare(
    "licence_exists",
    zh=("协议已授予", "授权运营协议 {licence} 已存在。", "请换一个编号；协议内容授予后不再更改。"),
    en=("The licence exists", "Licence {licence} was granted already.", "Choose another id: a granted licence never changes."),
)
LICENCE_STATE_CONFLICT = declare(
    "licence_state_conflict",
    zh=("协议状态不允许此操作", "授权运营协议 {licence} 的状态为 {state}，此操作需要 {needed}。", "请核对编号和状态；已撤销的协议不能恢复。"),
    en=(
        "The licence is not in a state for this",
        "Licence {licence} is {state}; this needs {needed}.",
        "Check id and state; a revoked licence stays revoked.",
    ),
)
LICENCE_DATA = declare(
    "licence_data_missing",
    zh=("协议所列数据集未登记", "数据集 {dataset} 未登记。", "请先登记并导入该数据集。"),
    en=("The licence names an unknown dataset", "Dataset {dataset} is not registered.", "Register and ingest it first."),
)
LICENCE_FORBIDDEN_DATA = declare(
    "licence_data_forbidden",
    zh=("该数据不得授权运营", "数据集 {dataset} 为核心数据或属于不予共享。", "请从协议中移除该数据集。"),
    en=("This data cannot be licensed", "Dataset {dataset} is graded core, or its share attribute is none.", "Take it out of the licence."),
)
CAP_NOT_RAISED = declare(
    "ledger_cap_not_raised",
    zh=("上限只能提高", "账户 {account} 的新上限必须不低于现上限，且至少一项更高、不超过系统上限。", "请核对数值；总量不得降低。"),
    en=(
        "A cap is only ever raised",
        "The new cap of {account} must be no lower in either part, higher in one, and within the system's limit.",
        "Check the numbers; a lifetime total is never lowered.",
    ),
)


# ── people and keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def register_principal(register: Register, principal: str, *, role: Role, title: Title, by: str = "system") -> None:
    with register.transaction() as act:
        _register_principal(act, principal, role, title, by)


def _register_principal(act: Act, principal: str, role: Role, title: Title, by: str) -> None:
    if principal == "system" or directory.principal(act.connection, principal) is not None:
        raise PRINCIPAL_EXISTS(principal=principal)
    act.append(PrincipalRegistered(by=by, principal=principal, role=role, title=title))


def suspend_principal(register: Register, principal: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        _known(act, principal, "active")
        act.append(PrincipalSuspended(by=by, principal=principal, reason=reason))


def resume_principal(register: Register, principal: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        _known(act, principal, "suspended")
        act.append(PrincipalResumed(by=by, principal=principal, reason=reason))


def _known(act: Act, principal: str, status: str) -> Principal:
    found = directory.principal(act.connection, principal)
    if found is None or found.status != status:
        raise PRINCIPAL_UNKNOWN(principal=principal)
    return found


def issue_key(register: Register, principal: str, role: Role | None = None, *, title: Title | None = None, by: str = "system") -> str:
    """A new API key, shown this once: `yk_<prefix>_<secret>`, 160 random bits; the register keeps its SHA-256. With `role`, a principal that
    is not registered yet is registered with it; one that is must have it."""
    prefix, random = (base64.b32encode(register.random(size)).decode().lower() for size in (5, 20))
    secret = f"{KEY_SCHEME}_{prefix}_{random}"
    with register.transaction() as act:
        if role is not None and directory.principal(act.connection, principal) is None:
            _register_principal(act, principal, role, title or Title(zh=principal, en=principal), by)
        holder = _known(act, principal, "active")
        if role is not None and holder.role != role:
            raise PRINCIPAL_ROLE(principal=principal, role=holder.role, needed=role)
        act.append(KeyIssued(by=by, principal=principal, prefix=prefix, secret_sha256=secret_digest(secret)))
    return secret


def revoke_key(register: Register, prefix: str, *, reason: str, by: str = "system") -> None:
    """From this transaction on the key opens nothing. `prefix` may also be the whole key."""
    if prefix.startswith(f"{KEY_SCHEME}_"):
        prefix = prefix.split("_")[1]
    with register.transaction() as act:
        if not any(key.prefix == prefix and key.status == "active" for key in directory.all_keys(act.connection)):
            raise KEY_UNKNOWN(prefix=prefix)
        act.append(KeyRevoked(by=by, prefix=prefix, reason=reason))


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def register_dataset(
    register: Register,
    snapshot: Snapshot,
    *,
    by: str = "system",
    population_cap: Loss | None = None,
    dataset_cap: Loss | None = None,
) -> None:
    """Put an ingested snapshot into the catalogue: the dataset's first, or a later version of it. A private dataset opens its account and,
    if it is the first of its unit space, the population's; caps not given are the settings'. Caps of accounts already open do not move."""
    dataset, settings = snapshot.dataset, register.settings
    with register.transaction() as act:
        current = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.name.casefold())
        space = dataset.unit.space if dataset.unit else None
        if current is not None and current.version >= snapshot.version:
            raise VERSION_CONFLICT(dataset=dataset.name, current=current.version, version=snapshot.version)
        if current is not None and current.space != space:
            raise UNIT_CHANGED(dataset=dataset.name, before=current.space or "—", after=space or "—")
        document = act.attach(snapshot_document(snapshot))
        if current is None:
            act.append(DatasetRegistered(by=by, dataset=dataset.name, space=space))
        act.append(VersionIngested(by=by, dataset=dataset.name, version=snapshot.version, digest=snapshot.digest, document=document))
        if space is not None:
            cap = population_cap or Loss(settings.population_cap_pico_rho, settings.population_cap_atto_delta)
            _open(act, ledger.population_account(space), "population", space, cap, by)
            cap = dataset_cap or Loss(settings.dataset_cap_pico_rho, settings.dataset_cap_atto_delta)
            _open(act, ledger.dataset_account(dataset.name), "dataset", dataset.name, cap, by)


def _open(act: Act, account: str, kind: AccountKind, subject: str, cap: Loss, by: str) -> None:
    if not ledger.balances(act.connection, [account]):
        act.append(AccountOpened(by=by, account=account, account_kind=kind, subject=subject, cap=Cost.of(cap)))


# ── licences ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def propose_licence(register: Register, licence: Licence, *, by: str) -> int:
    """The first of two people, for data graded important. Returns the index the second one names."""
    with register.transaction() as act:
        return act.append(LicenceProposed(by=by, licence=licence.id, document=act.attach(licence_document(licence))))


def grant_licence(
    register: Register, licence: Licence, *, by: str = "system", proposal: int | None = None, operator_cap: Loss | None = None
) -> None:
    """Bring a licence into force and open its account (cap: the licence's total) and the operator's account on each private dataset not yet
    open (cap: `operator_cap`, else the settings'). Data graded important needs the `proposal` of another person."""
    settings = register.settings
    with register.transaction() as act:
        if directory.licence(act.connection, licence.id) is not None:
            raise LICENCE_EXISTS(licence=licence.id)
        operator = _known(act, licence.operator, "active")
        if operator.role != "operator":
            raise PRINCIPAL_ROLE(principal=operator.id, role=operator.role, needed="operator")
        catalogue, private, important = directory.catalogue(act.connection), [], False
        for grant in licence.datasets:
            if grant.dataset not in catalogue:
                raise LICENCE_DATA(dataset=grant.dataset)
            dataset = catalogue[grant.dataset].dataset
            grades = _grades(dataset)
            if dataset.grade == "core" or dataset.share.attribute == "none":
                raise LICENCE_FORBIDDEN_DATA(dataset=dataset.name)
            important = important or "important" in grades
            if dataset.private:
                private.append(dataset.name)
        document = act.attach(licence_document(licence))
        if important or proposal is not None:
            _second_person(register, act, LicenceProposed(by=by, licence=licence.id, document=document), proposal)
        act.append(LicenceGranted(by=by, licence=licence.id, operator=licence.operator, document=document, proposal=proposal))
        _open(act, ledger.licence_account(licence.id), "licence", licence.id, licence.total.loss, by)
        cap = operator_cap or Loss(settings.operator_cap_pico_rho, settings.operator_cap_atto_delta)
        for name in private:
            _open(act, ledger.operator_account(licence.operator, name), "operator", f"{licence.operator}@{name}", cap, by)


def _grades(dataset: Dataset) -> frozenset[str]:
    return frozenset({dataset.grade, *(dataset.grade_of(column) for column in dataset.columns)})


def suspend_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    """Nothing is admitted or published under it from this transaction on."""
    with register.transaction() as act:
        _licence_in(act, licence, "active")
        act.append(LicenceSuspended(by=by, licence=licence, reason=reason))


def resume_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        _licence_in(act, licence, "suspended")
        act.append(LicenceResumed(by=by, licence=licence, reason=reason))


def revoke_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    """For good."""
    with register.transaction() as act:
        _licence_in(act, licence, "active", "suspended")
        act.append(LicenceRevoked(by=by, licence=licence, reason=reason))


def _licence_in(act: Act, licence: str, *states: str) -> None:
    record = directory.licence(act.connection, licence)
    if record is None or record.state not in states:
        raise LICENCE_STATE_CONFLICT(licence=licence, state="absent" if record is None else record.state, needed="/".join(states))


# ── caps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def propose_cap(register: Register, account: str, cap: Loss, *, reason: str, by: str) -> int:
    """The first of two people. Returns the index the second one names."""
    with register.transaction() as act:
        _raises(act, account, cap)
        return act.append(CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason=reason))


def raise_cap(register: Register, account: str, cap: Loss, *, proposal: int, by: str) -> None:
    """The second person raises a lifetime cap, naming the proposal of the first."""
    with register.transaction() as act:
        _raises(act, account, cap)
        _second_person(register, act, CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason="-"), proposal)
        act.append(CapRaised(by=by, account=account, cap=Cost.of(cap), proposal=proposal))


def _raises(act: Act, account: str, cap: Loss) -> None:
    found = ledger.balances(act.connection, [account])
    if not found:
        raise ledger.LEDGER_ACCOUNT_UNKNOWN(account=account)
    if cap == found[0].cap or not cap.covers(found[0].cap) or max(cap.pico_rho, cap.atto_delta) > CAP_LIMIT:
        raise CAP_NOT_RAISED(account=account)


def _second_person(register: Register, act: Act, same: LicenceProposed | CapRaiseProposed, proposal: int | None) -> None:
    """The entry `proposal` must hold the same proposal as `same` says, by another registered, active person."""
    first = register.event(proposal).event if proposal is not None and 0 <= proposal < act.size else None
    people = {same.by, first.by} if first is not None else set()
    keep = {"by", "reason"}
    if (
        type(first) is not type(same)
        or first is None
        or first.model_dump(exclude=keep) != same.model_dump(exclude=keep)
        or len(people) != 2
        or any((person := directory.principal(act.connection, name)) is None or person.status != "active" for name in people)
    ):
        raise SECOND_PERSON(act=same.kind, proposal="—" if proposal is None else proposal)
