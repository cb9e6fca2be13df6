"""Sections that several kinds of report have."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from jobs.reports import units, words
from jobs.reports.activity import Activity, Sums
from jobs.reports.model import Cell, Fact, Figure, Section, Table, column, fact, pair
from jobs.reports.money import Account, Money
from jobs.reports.world import World
from policies.catalogue import Title
from policies.period import Period
from policies.quota import CHINA

_SUMMED = (
    column("releases", "发布", "Releases", "count"),
    column("rows", "行数", "Rows", "count"),
    column("bytes", "字节", "Bytes", "bytes"),
    column("compute", "计算时长", "Compute", "ms"),
    column("rho", "隐私损失 ρ", "Privacy loss ρ", "rho"),
)


def use(activity: Activity, world: World) -> Section:
    """Jobs and releases of the period: what was asked, what became of it, what left."""
    work = activity.work
    by_kind = {kind: each for (kind,), each in activity.total(3).items()}
    count, rows, size, compute, rho = activity.released.cells
    facts: tuple[Fact, ...] = (
        fact("提交作业", "Jobs submitted", sum(work.submitted.values()), "count"),
        fact("发布结果", "Releases published", count, "count"),
        fact("重复提问（免费）", "Answered again, free", work.reused, "count"),
        fact("拒绝", "Refused", work.refused, "count"),
        fact("取消", "Cancelled", work.cancelled, "count"),
        fact("作废", "Forfeited", work.forfeited, "count"),
        fact("发布的行数", "Rows released", rows, "count"),
        fact("发布的字节", "Bytes released", size, "bytes"),
        fact("计算时长（公开时点）", "Compute, by public slots", compute, "ms"),
        fact("隐私损失 ρ", "Privacy loss ρ", rho, "rho"),
        units.told(units.units(world, units.granted(activity, world))),
    )
    months = activity.by_month()
    monthly = activity.period.kind == "month"
    figure = Figure(
        name="releases_by_time",
        title=pair("各日发布结果数", "Releases by day") if monthly else pair("各月发布结果数", "Releases by month"),
        labels=tuple(label[8:] if monthly else label for label, _ in months),
        values=tuple(value for _, value in months),
    )
    kinds = Table(
        name="jobs_by_kind",
        title=pair("按作业类型", "By kind of job"),
        columns=(column("kind", "种类", "Kind"), column("submitted", "提交", "Submitted", "count"), *_SUMMED),
        rows=tuple(
            (words.job_kind(kind), str(work.submitted[kind]), *by_kind.get(kind, Sums()).cells)
            for kind in sorted(set(work.submitted) | set(by_kind))
        ),
    )
    licences = Table(
        name="releases_by_licence",
        title=pair("按运营单位、协议与应用场景", "By operator, licence and scenario"),
        columns=(
            column("operator", "运营单位", "Operator"),
            column("licence", "协议", "Licence"),
            column("scenario", "应用场景", "Scenario"),
            *_SUMMED,
        ),
        rows=tuple((world.name_of(maker), *of, *each.cells) for (maker, *of), each in activity.total(0, 1, 2).items()),
    )
    return Section(
        name="use", title=pair("作业与发布", "Jobs and releases"), facts=facts, figures=(figure,), tables=(kinds, licences, refusals(activity))
    )


def refusals(activity: Activity) -> Table:
    """Which rules were broken: of the policy by rule, else by code."""
    return Table(
        name="refusals",
        title=pair("拒绝的依据", "Why jobs were refused"),
        columns=(column("rule", "规则或错误代码", "Rule or code"), column("times", "次数", "Times", "count")),
        rows=tuple((code, str(times)) for code, times in sorted(activity.work.codes.items())),
        note=pair("一个作业可同时违反多条规则。", "One job can break several rules at once."),
    )


def products(activity: Activity, world: World) -> Section:
    """Products as they stand, with what was delivered in the period."""
    delivered, recipients = Counter[str](), Counter[str]()
    for each in activity.deliveries:
        if each.product is not None:
            delivered[each.product] += each.times
            recipients[each.product] += 1
    mine = [product for product in world.products.values() if activity.mine(product.operator)]
    rows = tuple(
        (
            product.code or "—", product.id, product.description.title if product.description else product.id, world.name_of(product.operator),
            words.product_state(product.state), str(product.versions), str(delivered[product.id]),
            str(recipients[product.id]),
        )
        for product in mine
    )  # fmt: skip
    table = Table(
        name="products",
        title=pair("数据产品和服务", "Data products and services"),
        columns=(
            column("code", "登记编码", "Code"),
            column("product", "产品", "Product"),
            column("title", "名称", "Title"),
            column("operator", "运营单位", "Operator"),
            column("state", "状态", "State"),
            column("versions", "版本数", "Versions", "count"),
            column("deliveries", "本期交付", "Delivered in the period", "count"),
            column("recipients", "本期取用单位", "Recipients in the period", "count"),
        ),
        rows=rows,
    )
    facts = (
        fact("已登记的产品", "Products registered", sum(1 for product in mine if product.code), "count"),
        fact("本期交付", "Deliveries in the period", sum(each.times for each in activity.deliveries), "count"),
    )
    return Section(name="products", title=pair("产品登记与交付", "Products and deliveries"), facts=facts, tables=(table,))


_MONEY = (
    column("posted", "入账", "Posted", "fen"),
    column("brought", "上期结转", "Brought in", "fen"),
    column("payable", "应付", "Payable", "fen"),
    column("carried", "结转下期", "Carried on", "fen"),
)


def fees(money: Money, world: World, period: Period, operator: str | None, *, detailed: bool) -> Section:
    """Statements of every settlement period that lies in `period`, and shares by body. Bodies are one when their Chinese name is."""
    accounts = list(money.accounts(period, operator))
    statements = Table(
        name="statements",
        title=pair("对账单", "Statements"),
        columns=(
            column("licence", "协议", "Licence"),
            column("operator", "运营单位", "Operator"),
            column("period", "结算周期", "Period"),
            column("state", "关账", "Closed"),
            column("fees", "费用笔数", "Fees", "count"),
            column("free", "其中无偿", "Of them free", "count"),
            column("allowed", "准许收入", "Allowed", "fen"),
            *_MONEY,
        ),
        rows=tuple(_statement(each, world) for each in accounts),
        note=pair(
            "应付与结转之和等于入账与上期结转之和。未关账的，按此刻关账计算，不含按月费用。",
            "Payable and carried on add up to posted and brought in. A period not closed is told as if closed now, without fees by the month.",
        ),
    )
    found = [statements, _bodies(accounts)]
    if detailed:
        found += [_shares(accounts), _items(accounts)]
    facts = tuple(
        fact(zh, en, sum(each.sum(name) for each in accounts), "fen")
        for name, zh, en in (("posted", "入账合计", "Posted in all"), ("payable", "应付合计", "Payable in all"))
    )
    free = fact("无偿使用（笔）", "Free of charge", sum(each.free for each in accounts), "count")
    return Section(name="fees", title=pair("费用与收益分配", "Fees and revenue"), facts=(*facts, free), tables=tuple(found))


def _statement(each: Account, world: World) -> tuple[Cell, ...]:
    closed = pair("已关账", "closed") if each.closed is not None else pair("未关账", "open")
    allowed = None if each.allowed is None else str(each.allowed)
    amounts = (str(each.sum(name)) for name in ("posted", "brought", "payable", "carried"))
    return (each.licence, world.name_of(each.operator), str(each.period), closed, str(each.fees), str(each.free), allowed, *amounts)


def _bodies(accounts: list[Account]) -> Table:
    """Carried is what is carried out of the last settlement period of each licence."""
    total: dict[str, list[int]] = {}
    title: dict[str, tuple[Title, Title]] = {}
    last: dict[tuple[str, str], int] = {}
    for each in accounts:
        for body in each.bodies:
            name = body.body.title.zh
            title.setdefault(name, (body.body.title, words.said(words.BODIES, body.body.role)))
            sum_ = total.setdefault(name, [0, 0])
            sum_[0] += body.posted
            sum_[1] += body.payable
            last[name, each.licence] = body.carried
    carried: Counter[str] = Counter()
    for (name, _), fen in last.items():
        carried[name] += fen
    return Table(
        name="bodies",
        title=pair("按分配方合计", "By body"),
        columns=(
            column("body", "分配方", "Body"),
            column("role", "类别", "Role"),
            column("posted", "入账", "Posted", "fen"),
            column("payable", "应付", "Payable", "fen"),
            column("carried", "期末结转", "Carried at the end", "fen"),
        ),
        rows=tuple((*title[name], str(total[name][0]), str(total[name][1]), str(carried[name])) for name in sorted(total)),
    )


def _shares(accounts: list[Account]) -> Table:
    return Table(
        name="shares",
        title=pair("各协议的分配", "Shares by licence"),
        columns=(column("licence", "协议", "Licence"), column("period", "结算周期", "Period"), column("body", "分配方", "Body"), *_MONEY),
        rows=tuple(
            (each.licence, str(each.period), body.body.title, str(body.posted), str(body.brought), str(body.payable), str(body.carried))
            for each in accounts
            for body in each.bodies
        ),
    )


def _items(accounts: list[Account]) -> Table:
    return Table(
        name="items",
        title=pair("各协议的计费项目", "Items of each licence"),
        columns=(
            column("licence", "协议", "Licence"),
            column("period", "结算周期", "Period"),
            column("item", "项目", "Item"),
            column("measure", "计量", "Measure"),
            column("charged", "计费数量", "Charged", "count"),
            column("free", "无偿数量", "Free", "count"),
            column("fen", "金额", "Amount", "fen"),
        ),
        rows=tuple(
            (each.licence, str(each.period), item.title, words.measure(item.measure), str(item.charged), str(item.free), str(item.fen))
            for each in accounts
            for item in each.items
        ),
        note=pair(
            "数量以计量的最小单位计：ρ 为 1e-12，ε 为 1e-6，计算时长为毫秒。",
            "Quantities are whole counts of the finest unit: 1e-12 of ρ, 1e-6 of ε, milliseconds of compute.",
        ),
    )


def day_of(moment: datetime) -> str:
    """The day of China."""
    return moment.astimezone(CHINA).date().isoformat()
