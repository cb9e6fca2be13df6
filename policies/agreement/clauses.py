"""The clauses of a licence in official Chinese and in English, one article per term that a cooperation agreement must settle.

Shanxi regulation on government data (2020 draft) art. 20 para. 1 asks for scope, degree, term, disposal at the end and ownership of what is
made; Implementing Opinion Jinshufa [2025] 3, part 2 (3) items 7 and 8 for scenario, collective decision and price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.agreement.prices import price_rows
from policies.catalogue import Catalogue, Title, Use
from policies.degree import Degree
from policies.licence import DatasetGrant, Licence
from policies.life import STATE_TITLES, LicenceState
from policies.quota import CHINA, Quota

USE_TITLES: Mapping[Use, tuple[str, str]] = {
    "filter": ("筛选", "filter"),
    "key": ("分组", "group by"),
    "aggregate": ("汇总", "aggregate"),
    "join": ("关联", "join"),
    "distinct": ("去重计数", "count distinct"),
    "program": ("交由程序计算", "hand to a program"),
}
SHARE_TITLES: Mapping[str, tuple[str, str]] = {
    "unconditional": ("无条件共享", "shared without condition"),
    "conditional": ("有条件共享", "shared on condition"),
    "none": ("不予共享", "not shared"),
}
_OWNERS: Mapping[str, tuple[str, str]] = {
    "operator": ("归被授权运营单位所有", "belong to the operator"),
    "bureau": ("归数据主管部门所有", "belong to the bureau"),
    "shared": ("由双方共有", "belong to both"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the register knows of the document: its version, SHA-256 and state, the signed note and the keys that signed it; `sm3` is its other
    digest, told where the suite `gm` is in use."""

    version: int
    digest: str
    state: LicenceState
    note: str | None = None
    vkeys: tuple[str, ...] = ()
    sm3: str | None = None


@dataclass(frozen=True, slots=True)
class Article:
    """`rows` are pairs of label and value, each in Chinese and English."""

    title: Title
    rows: tuple[tuple[Title, Title], ...]


def _row(label: tuple[str, str], zh: str, en: str | None = None) -> tuple[Title, Title]:
    return Title(zh=label[0], en=label[1]), Title(zh=zh or "—", en=(zh if en is None else en) or "—")


def _article(zh: str, en: str, rows: Iterable[tuple[Title, Title]]) -> Article:
    return Article(Title(zh=zh, en=en), tuple(rows))


def day(moment: datetime) -> tuple[str, str]:
    """A moment as both readers write it, in China's time."""
    here = moment.astimezone(CHINA)
    return f"{here:%Y}年{here.month}月{here.day}日 {here:%H:%M}（北京时间）", f"{here:%Y-%m-%d %H:%M} (UTC+8)"


def articles(licence: Licence, catalogue: Catalogue, standing: Standing) -> tuple[Article, ...]:
    """All clauses, in order. A dataset no longer in the catalogue is told by its name alone."""
    parties = [
        _row(("协议编号", "Licence"), licence.id),
        _row(("协议名称", "Title"), licence.title.zh, licence.title.en),
        _row(("授权方", "Licensor"), "数据主管部门", "the data bureau"),
        _row(("被授权运营单位", "Operator"), licence.operator),
        _row(("版本与状态", "Version and state"), *_stands(standing)),
    ]
    if licence.renews:
        parties.append(_row(("接续的协议", "Continues"), licence.renews))
    start, end = day(licence.valid_from), day(licence.valid_until)
    return (
        _article("协议双方", "Parties", parties),
        _article("第一条　授权范围", "Article 1  Scope", (_scope(grant, catalogue) for grant in licence.datasets)),
        _article(
            "第二条　应用场景",
            "Article 2  Scenarios",
            [
                _row(("场景", "Scenarios"), "、".join(licence.scenarios), ", ".join(licence.scenarios)),
                _row(
                    ("依场景授权", "Bound to them"),
                    "每个作业须载明场景；成果不得用于上述场景以外的用途。",
                    "Every job names one; results are not used outside them.",
                ),
            ],
        ),
        _article("第三条　使用程度", "Article 3  Degree", _degree(licence)),
        _article(
            "第四条　期限",
            "Article 4  Term",
            [
                _row(("起", "From"), *start),
                _row(("止（不含）", "Until before"), *end),
            ],
        ),
        _article("第五条　期满处置", "Article 5  Disposal at the end", _disposal(licence)),
        _article(
            "第六条　成果权属",
            "Article 6  Ownership of results",
            [_row(("开发形成的数据产品和服务", "What is made under this licence"), *_OWNERS[licence.results_owner])],
        ),
        _article("第七条　费用", "Article 7  Fees", _fees(licence)),
        _article("第八条　决策依据", "Article 8  Decision", _decision(licence)),
        _article(
            "第九条　原始数据不出域",
            "Article 9  Raw data stays",
            [
                _row(
                    ("保证", "Undertaking"),
                    "作业在域内执行，原始数据不出域；每次发布均经核验、计量并写入存证日志；暂停、撤销或应急处置期间不受理作业，也不发布结果。",
                    "Jobs run beside the data, which does not leave. Each release is checked, metered and entered in the log. While the "
                    "licence is suspended, revoked or frozen nothing is admitted and nothing published.",
                )
            ],
        ),
    )


def _stands(standing: Standing) -> tuple[str, str]:
    zh, en = STATE_TITLES[standing.state]
    if standing.version == 0:
        return f"申请稿，{zh}", f"application, {en}"
    return f"第 {standing.version} 版，{zh}", f"version {standing.version}, {en}"


def _scope(grant: DatasetGrant, catalogue: Catalogue) -> tuple[Title, Title]:
    dataset = catalogue[grant.dataset].dataset if grant.dataset in catalogue else None
    zh, en = [], []
    if dataset is not None:
        share = SHARE_TITLES[dataset.share.attribute]
        zh.append(f"《{dataset.title.zh}》，登记号 {dataset.registration_no}，来源部门：{dataset.source_body.zh}，{share[0]}")
        en.append(f"“{dataset.title.en}”, registration {dataset.registration_no}, source body: {dataset.source_body.en}, {share[1]}")
    if grant.columns is None:
        zh.append("全部列，用途以数据目录许可为限")
        en.append("every column, for the uses the catalogue allows")
    else:
        zh += [f"{column.name}：{'、'.join(USE_TITLES[use][0] for use in column.uses)}" for column in grant.columns]
        en += [f"{column.name}: {', '.join(USE_TITLES[use][1] for use in column.uses)}" for column in grant.columns]
    if grant.consent:
        zh.append(f"来源部门同意：{grant.consent}")
        en.append(f"consent of the source body: {grant.consent}")
    if grant.second_approval:
        zh.append(f"重要数据第二次审批：{grant.second_approval}")
        en.append(f"second approval of important data: {grant.second_approval}")
    return _row((grant.dataset, grant.dataset), "；".join(zh), "; ".join(en))


def _loss(degree: Degree) -> str:
    return f"ρ ≤ {degree.loss.rho.normalize():f}, δ ≤ {degree.loss.delta.normalize():f}"


def _degree(licence: Licence) -> list[tuple[Title, Title]]:
    rows = [
        _row(("作业类型", "Kinds of job"), "、".join(licence.job_kinds), ", ".join(licence.job_kinds)),
        _row(("单个作业的隐私损失", "Privacy loss of one job"), _loss(licence.per_job)),
        _row(("协议期内隐私损失总额（不重置）", "In total, never reset"), _loss(licence.total)),
    ]
    return rows + _quota(licence.quota)


def _quota(quota: Quota) -> list[tuple[Title, Title]]:
    rows = []
    if quota.jobs_at_once is not None:
        rows.append(_row(("同时进行的作业", "Jobs at once"), f"至多 {quota.jobs_at_once} 个", f"{quota.jobs_at_once} at most"))
    if quota.jobs_a_day is not None:
        rows.append(_row(("每日作业", "Jobs a day"), f"至多 {quota.jobs_a_day} 个", f"{quota.jobs_a_day} at most"))
    for window, title in (("day", ("每日隐私损失", "Privacy loss a day")), ("month", ("每月隐私损失", "Privacy loss a month"))):
        degree: Degree | None = getattr(quota.pace, window)
        if degree is not None:
            rows.append(_row(title, _loss(degree)))
    return rows


def _disposal(licence: Licence) -> list[tuple[Title, Title]]:
    kept = licence.disposal.products == "keep"
    keys = licence.disposal.keys == "keep"
    return [
        _row(
            ("未完成的作业", "Open jobs"), "等待中的作业取消，运行中的不予发布", "those waiting are cancelled, those running are not published"
        ),
        _row(
            ("已形成的成果", "Results"),
            "被授权运营单位可继续持有，限于原场景使用" if kept else "停止提供，被授权运营单位应当删除所持有的成果",
            "the operator may keep them, for the same scenarios" if kept else "are handed out no more; the operator deletes what it holds",
        ),
        _row(
            ("访问密钥", "Access keys"),
            "保留" if keys else "无其他有效协议或申请的，予以撤销",
            "are kept" if keys else "are revoked, unless another licence is in force or applied for",
        ),
    ]


def _fees(licence: Licence) -> list[tuple[Title, Title]]:
    if licence.tariff is None:
        return [_row(("收费", "Charge"), "无偿使用", "free of charge")]
    return [
        _row(
            ("收费", "Charge"),
            "按以下价目，实行政府指导价；公共治理、公益事业有条件无偿使用。",
            "by the tariff below, at government-guided prices; free under conditions for public governance and public welfare.",
        ),
        *(_row(label, zh, en) for label, zh, en in price_rows(licence.tariff)),
    ]


def _decision(licence: Licence) -> list[tuple[Title, Title]]:
    decision = licence.decision_document
    if decision is None:
        return [_row(("“三重一大”集体决策文件", "Collective decision"), "待填", "to be given")]
    rows = [_row(("“三重一大”集体决策文件", "Collective decision"), decision.number)]
    if decision.decided_on:
        rows.append(_row(("决策日期", "Decided on"), decision.decided_on.isoformat()))
    if decision.digest:
        rows.append(_row(("文件 SHA-256", "SHA-256 of the file"), decision.digest))
    return rows
