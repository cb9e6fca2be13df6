"""What the register's codes are called in reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.reports.model import pair
from policies.catalogue import Title
from policies.catalogue.search import GRADE_WORDS
from policies.life import STATE_TITLES
from policies.product import PRODUCT_STATE_TITLES
from policies.tariff import MEASURES

JOB_KINDS: Mapping[str, tuple[str, str]] = {
    "sql": ("加噪查询", "query with noise"),
    "exact": ("精确汇总（人工审核）", "exact table, reviewed"),
    "synthetic": ("合成数据", "synthetic table"),
    "program": ("程序", "program"),
    "model": ("模型", "model"),
}
REGISTRATIONS: Mapping[str, tuple[str, str]] = {
    "applied": ("已申请", "applied for"),
    "accepted": ("已受理", "accepted"),
    "checked": ("已形式审核", "checked"),
    "published": ("公示中", "on public notice"),
    "coded": ("已赋码", "coded"),
}
SHARES: Mapping[str, tuple[str, str]] = {
    "unconditional": ("无条件共享", "unconditional"),
    "conditional": ("有条件共享", "conditional"),
    "none": ("不予共享", "not shared"),
}
ACCOUNTS: Mapping[str, tuple[str, str]] = {
    "population": ("人群", "population"),
    "dataset": ("数据集", "dataset"),
    "licence": ("协议", "licence"),
    "operator": ("运营单位", "operator on a dataset"),
}
BODIES: Mapping[str, tuple[str, str]] = {
    "source": ("来源部门", "source body"),
    "treasury": ("同级财政", "treasury"),
    "platform": ("平台运行方", "platform"),
}
SCOPES: Mapping[str, tuple[str, str]] = {
    "everything": ("全部", "everything"),
    "operator": ("运营单位", "operator"),
    "licence": ("协议", "licence"),
    "dataset": ("数据集", "dataset"),
}
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "info": ("提示", "info"),
    "warning": ("警告", "warning"),
    "serious": ("严重", "serious"),
}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "handled": ("已处置", "handled"),
    "false_alarm": ("误报", "false alarm"),
    "passed": ("已消除", "passed"),
}
VERDICTS: Mapping[str, tuple[str, str]] = {
    "release": ("同意发布", "released"),
    "return": ("退回", "returned"),
    "reject": ("不予发布", "rejected"),
}
EVENTS: Mapping[str, tuple[str, str]] = {
    "licence_applied": ("申请", "applied for"),
    "licence_consented": ("来源部门同意", "source body consented"),
    "licence_declined": ("不予授权", "declined"),
    "licence_granted": ("授权", "granted"),
    "licence_activated": ("生效", "term began"),
    "licence_amended": ("变更", "amended"),
    "licence_suspended": ("暂停", "suspended"),
    "licence_resumed": ("恢复", "resumed"),
    "licence_expired": ("期满", "expired"),
    "licence_revoked": ("撤销", "revoked"),
    "licence_disposed": ("处置", "disposed of"),
    "policy_changed": ("策略变更", "policy changed"),
    "pack_changed": ("披露规则变更", "disclosure rules changed"),
    "cap_raised": ("预算上限提高", "budget cap raised"),
    "dataset_withdrawn": ("数据撤回", "data withdrawn"),
    "freeze_set": ("应急暂停", "freeze"),
    "freeze_thawed": ("解除应急暂停", "freeze lifted"),
    "product_recalled": ("产品召回", "product recalled"),
    "release_returned": ("结果退回", "release returned"),
    "program_invalidated": ("算法失效", "program made invalid"),
    "principal_suspended": ("主体停用", "principal suspended"),
    "key_revoked": ("密钥撤销", "key revoked"),
    "standing_ended": ("常态批准终止", "standing approval ended"),
}


def said(table: Mapping[Any, tuple[str, str]], name: str) -> Title:
    """The name itself where the table does not know it: a register may be written by a newer program."""
    return pair(*table.get(name, (name, name)))


def job_kind(name: str) -> Title:
    return said(JOB_KINDS, name)


def licence_state(name: str) -> Title:
    return said(STATE_TITLES, name)


def product_state(name: str) -> Title:
    return said(PRODUCT_STATE_TITLES, name)


def grade(name: str) -> Title:
    en, _, zh = {str(key): value for key, value in GRADE_WORDS.items()}.get(name, f"{name} {name}").partition(" ")
    return pair(zh, en)


def measure(name: str) -> Title:
    return said({str(key): (value.zh, value.en) for key, value in MEASURES.items()}, name)


def many(texts: tuple[str, ...] | list[str]) -> Title:
    return pair("、".join(texts) or "—", ", ".join(texts) or "—")
