"""The other kinds: monthly usage, revenue of a period, the filing of a licence, incidents."""

from __future__ import annotations

from jobs.reports import alerts, sections, stops, units, words
from jobs.reports.activity import Activity
from jobs.reports.model import Cell, Fact, Section, Table, column, fact, pair
from jobs.reports.money import Money
from jobs.reports.world import LicenceSeen, World
from policies.agreement.clauses import Standing, articles
from policies.catalogue import Catalogue


def usage(activity: Activity, world: World, money: Money) -> tuple[Section, ...]:
    """作业、发布、交付与费用 of one month, or of any period."""
    return (
        sections.use(activity, world),
        sections.products(activity, world),
        sections.fees(money, world, activity.period, activity.operator, detailed=False),
    )


def revenue(activity: Activity, world: World, money: Money) -> tuple[Section, ...]:
    """谁投入、谁贡献、谁受益: every statement of the period, divided by body and by item."""
    return (sections.fees(money, world, activity.period, activity.operator, detailed=True),)


def incident(activity: Activity, world: World, _money: Money) -> tuple[Section, ...]:
    """What went wrong or was stopped in the period, with the entries that say so."""
    failed = Table(
        name="failures",
        title=pair("作废的作业", "Jobs forfeited"),
        columns=(
            column("at", "时间", "Time", "moment"),
            column("job", "作业", "Job"),
            column("operator", "运营单位", "Operator"),
            column("code", "代码", "Code"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple(_failures(activity, world)),
    )
    cells = Table(
        name="cells",
        title=pair("隔离单元自检发现的缺失", "Safeguards of cells found missing"),
        columns=(
            column("at", "时间", "Time", "moment"),
            column("backend", "隔离方式", "Backend"),
            column("missing", "缺失", "Missing"),
            column("accepted", "已知并接受", "Known and accepted"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple(
            (entry.at, str(entry["backend"]), words.many(entry["missing"]), words.many(entry["accepted"]), str(entry.index))
            for entry in activity.events("cells_probed")
            if entry["missing"] and activity.operator is None
        ),
    )
    measures = stops.acts(activity, world, stops.STOPS, "measures", "处置措施", "What was done")
    warned = alerts.table(activity, world)
    counts = (
        fact("预警", "Alerts", len(warned.rows), "count"),
        fact("处置措施", "Acts", len(measures.rows), "count"),
        fact("作废的作业", "Jobs forfeited", len(failed.rows), "count"),
    )
    return (
        Section(name="overview", title=pair("概况", "Overview"), facts=counts),
        Section(name="alerts", title=pair("监测预警", "Monitoring and early warning"), tables=(warned,)),
        Section(name="measures", title=pair("应急处置", "Emergency response"), tables=(measures,)),
        Section(name="failures", title=pair("故障", "Failures"), tables=(failed, cells)),
    )


def _failures(activity: Activity, world: World) -> list[tuple[Cell, ...]]:
    found = list(activity.events("job_forfeited"))
    known = activity.jobs(entry["job"] for entry in found)
    return [
        (entry.at, entry["job"], world.name_of(known[entry["job"]].operator), entry["code"], str(entry.index))
        for entry in found
        if activity.mine(known[entry["job"]].operator)
    ]


def filing(licence: LicenceSeen, world: World) -> tuple[Section, ...]:
    """备案: the agreement as it stands, clause by clause, its versions, and everything that was done about it."""
    catalogue = Catalogue(tuple(seen.snapshot for seen in world.datasets.values() if seen.snapshot is not None))
    newest = licence.versions[-1]
    state = licence.state_at(world.moment)
    granted = next(entry for entry in reversed(licence.acts) if entry.kind in ("licence_granted", "licence_amended"))
    standing = Standing(newest.number, newest.document, state, granted["signed"], tuple(granted["vkeys"]))
    clauses = articles(newest.licence, catalogue, standing)
    facts: tuple[Fact, ...] = tuple(Fact(title=label, value=value) for article in clauses[:1] for label, value in article.rows)
    terms = Table(
        name="terms",
        title=pair("协议条款", "Clauses"),
        columns=(column("article", "条", "Article"), column("matter", "事项", "Matter"), column("content", "内容", "Content")),
        rows=tuple((article.title, label, value) for article in clauses[1:] for label, value in article.rows),
    )
    about = units.table(units.units(world, [newest.licence]))
    versions = Table(
        name="versions",
        title=pair("各版本", "Versions"),
        columns=(
            column("version", "版本", "Version", "count"),
            column("at", "时间", "Time", "moment"),
            column("by", "办理人", "By"),
            column("document", "文件 SHA-256", "SHA-256 of the document"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple((str(each.number), each.at, each.by, each.document, str(each.index)) for each in licence.versions),
    )
    consents = Table(
        name="consents",
        title=pair("来源部门同意", "Consents of source bodies"),
        columns=(
            column("at", "时间", "Time", "moment"),
            column("dataset", "数据集", "Dataset"),
            column("reference", "文号", "Document"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple(
            (entry.at, entry["dataset"], entry["reference"], str(entry.index)) for entry in licence.acts if entry.kind == "licence_consented"
        ),
    )
    acts = Table(
        name="acts",
        title=pair("办理过程", "What was done"),
        columns=(
            column("at", "时间", "Time", "moment"),
            column("act", "事项", "Act"),
            column("by", "办理人", "By"),
            column("reason", "理由", "Reason"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple(
            (entry.at, words.said(words.EVENTS, entry.kind), entry["by"], entry.get("reason"), str(entry.index)) for entry in licence.acts
        ),
    )
    return (
        Section(name="parties", title=clauses[0].title, facts=facts),
        Section(name="agreement", title=pair("协议内容", "The agreement"), tables=(terms, about)),
        Section(name="life", title=pair("授权过程", "How it was authorised"), tables=(versions, consents, acts)),
    )
