"""授权运营情况披露 of a year: what was authorised, on which data, what was made of it, at what price, under which supervision."""

from __future__ import annotations

from jobs.reports import alerts, sections, stops, units, words
from jobs.reports.activity import Activity
from jobs.reports.model import Cell, Section, Table, column, fact, pair
from jobs.reports.money import Money
from jobs.reports.world import LicenceSeen, World
from policies.life import IN_FORCE


def build(activity: Activity, world: World, money: Money) -> tuple[Section, ...]:
    operator = activity.operator
    return (
        _overview(activity, world),
        _licences(activity, world),
        _data(activity, world),
        sections.use(activity, world),
        sections.products(activity, world),
        _privacy(activity, world),
        sections.fees(money, world, activity.period, operator, detailed=False),
        stops.oversight(activity, world),
        Section(name="alerts", title=pair("监测预警", "Monitoring and early warning"), tables=(alerts.table(activity, world),)),
    )


def _granted(activity: Activity, world: World) -> list[LicenceSeen]:
    """Licences that were ever granted, of whom the report is about."""
    return [licence for licence in world.licences.values() if licence.versions and activity.mine(licence.operator)]


def _overview(activity: Activity, world: World) -> Section:
    licences = _granted(activity, world)
    standing = [licence for licence in licences if licence.state_at(world.moment) in IN_FORCE]
    names = {grant.dataset.casefold() for licence in standing for grant in licence.present.datasets}
    facts = [
        fact("有效协议", "Licences in force", len(standing), "count"),
        fact("授权的数据集", "Datasets authorised", len(names), "count"),
        fact("应用场景", "Scenarios", len({scenario for licence in standing for scenario in licence.present.scenarios}), "count"),
        fact("本期发布结果", "Releases in the period", activity.released.releases, "count"),
        fact("本期交付", "Deliveries in the period", sum(each.times for each in activity.deliveries), "count"),
    ]
    if activity.operator is None:
        facts.insert(1, fact("被授权运营单位", "Operators", len({licence.operator for licence in standing}), "count"))
    return Section(name="overview", title=pair("概况", "Overview"), facts=tuple(facts))


def _licences(activity: Activity, world: World) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for licence in _granted(activity, world):
        present = licence.present
        decision = present.decision_document
        rows.append(
            (
                licence.id, present.title, world.name_of(licence.operator), words.many([grant.dataset for grant in present.datasets]),
                words.many(present.scenarios), sections.day_of(present.valid_from), sections.day_of(present.valid_until),
                words.licence_state(licence.state_at(world.moment)), decision.number if decision else None,
            )
        )  # fmt: skip
    table = Table(
        name="licences",
        title=pair("授权运营协议", "Licences"),
        columns=(
            column("licence", "协议", "Licence"),
            column("title", "名称", "Title"),
            column("operator", "运营单位", "Operator"),
            column("datasets", "数据集", "Datasets"),
            column("scenarios", "应用场景", "Scenarios"),
            column("from", "起", "From", "day"),
            column("until", "止（不含）", "Until before", "day"),
            column("state", "状态", "State"),
            column("decision", "“三重一大”决策文件", "Collective decision"),
        ),
        rows=tuple(rows),
    )
    acts = stops.acts(
        activity, world, ("licence_granted", "licence_amended", "licence_expired", "licence_revoked"),
        "licence_acts", "本期授权、变更与终止", "Granted, amended and ended in the period",
    )  # fmt: skip
    return Section(name="licences", title=pair("授权情况", "Authorisation"), tables=(table, acts))


def _data(activity: Activity, world: World) -> Section:
    granted = {grant.dataset.casefold() for licence in _granted(activity, world) for grant in licence.present.datasets}
    rows: list[tuple[Cell, ...]] = []
    for name, seen in world.datasets.items():
        if name in granted and seen.snapshot is not None:
            dataset = seen.snapshot.dataset
            rows.append(
                (
                    dataset.name, dataset.title, dataset.registration_no, words.said(words.REGISTRATIONS, seen.registration),
                    dataset.source_body, words.grade(dataset.grade), words.said(words.SHARES, dataset.share.attribute),
                    dataset.acquired_on.isoformat(), str(seen.snapshot.version),
                    pair("已撤回", "withdrawn") if seen.withdrawn else pair("现行", "current"),
                )
            )  # fmt: skip
    table = Table(
        name="datasets",
        title=pair("纳入授权运营的公共数据资源", "Public data in authorised operation"),
        columns=(
            column("dataset", "数据集", "Dataset"),
            column("title", "名称", "Title"),
            column("registration", "登记号", "Registration"),
            column("registered", "登记状态", "Registered"),
            column("source", "来源部门", "Source body"),
            column("grade", "分级", "Grade"),
            column("share", "共享属性", "Sharing"),
            column("acquired", "获取日期", "Acquired", "day"),
            column("version", "版本", "Version", "count"),
            column("state", "状态", "State"),
        ),
        rows=tuple(rows),
    )
    return Section(name="data", title=pair("数据资源", "Data"), tables=(table,))


def _privacy(activity: Activity, world: World) -> Section:
    mine = {licence.id for licence in world.licences.values() if activity.mine(licence.operator)}
    rows = tuple(
        (words.said(words.ACCOUNTS, account.kind), account.subject, str(account.cap), str(account.used))
        for account in world.accounts.values()
        if activity.operator is None or (account.kind == "licence" and account.subject in mine)
    )
    table = Table(
        name="accounts",
        title=pair("隐私预算账户", "Privacy accounts"),
        columns=(
            column("kind", "类别", "Kind"),
            column("subject", "对象", "About"),
            column("cap", "终身上限 ρ", "Lifetime cap ρ", "rho"),
            column("used", "已用 ρ", "Used ρ", "rho"),
        ),
        rows=rows,
        note=pair(
            "隐私损失以零集中差分隐私（zCDP）的 ρ 计；终身上限不重置。已用含已预留的。",
            "Privacy loss is the ρ of zero-concentrated differential privacy; caps are for life. Used includes what is reserved.",
        ),
    )
    about = units.table(units.units(world, units.granted(activity, world)))
    return Section(name="privacy", title=pair("隐私保护", "Privacy"), tables=(about, table))
