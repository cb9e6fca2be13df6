"""One report: what may be asked for, and the document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.database import reading
from jobs.register import ENTRY_UNKNOWN, Register
from jobs.reports import disclosure, others
from jobs.reports.activity import Activity
from jobs.reports.articles import BASIS
from jobs.reports.model import Report, ReportKind, Section, pair
from jobs.reports.money import Money
from jobs.reports.source import Source
from jobs.reports.world import World
from policies.catalogue import Title
from policies.period import Period, PeriodKind
from policies.problem import declare

REPORT_PERIOD = declare(
    "report_period",
    zh=("周期不适用于此类报告", "“{title_zh}”不能按周期 {period} 编制。", "请改用此类报告的周期：{wanted_zh}。"),
    en=(
        "This period does not suit the report",
        "“{title_en}” cannot be compiled for period {period}.",
        "Use one of this report's periods: {wanted_en}.",
    ),
)
REPORT_SUBJECT = declare(
    "report_subject_unknown",
    zh=(
        "没有报告对象",
        "没有可以作为此类报告对象的 {subject}。",
        "请核对编号：备案须写已授予的协议编号；其他报告写运营单位编号，不写则为全部。",
    ),
    en=(
        "No such subject",
        "There is no {subject} that can be the subject of such a report.",
        "Check the id: a filing needs a licence that was granted; other reports take an operator, or nothing for all.",
    ),
)

Build = Callable[[Activity, World, Money], tuple[Section, ...]]


@dataclass(frozen=True, slots=True)
class Kind:
    """`periods`: which it is made of, none for a filing; `early`: it may be issued before its period is over."""

    name: ReportKind
    title: Title
    about: Title
    periods: tuple[PeriodKind, ...]
    early: bool
    build: Build | None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "disclosure",
            pair("公共数据授权运营情况披露报告", "Disclosure of authorised operation"),
            pair("实施机构或一个运营单位一年的授权、使用、收益与监管情况", "a year of the implementing body, or of one operator"),
            ("year",),
            False,
            disclosure.build,
        ),
        Kind(
            "usage",
            pair("授权运营使用情况报告", "Report on usage"),
            pair("一个月（或一季、一年）的作业、发布、交付与费用", "jobs, releases, deliveries and fees of a month, quarter or year"),
            ("month", "quarter", "year"),
            False,
            others.usage,
        ),
        Kind(
            "revenue",
            pair("授权运营收益分配报告", "Report on revenue and its shares"),
            pair("一个周期的对账单与各分配方的份额", "statements of a period, and the share of each body"),
            ("month", "quarter", "year"),
            False,
            others.revenue,
        ),
        Kind(
            "filing",
            pair("公共数据授权运营备案表", "Filing of an authorisation"),
            pair("一份协议的条款、版本与授权过程", "the clauses, versions and life of one licence"),
            (),
            True,
            None,
        ),
        Kind(
            "incident",
            pair("授权运营安全事件与处置报告", "Report on incidents and response"),
            pair("一个周期的预警、应急暂停、召回、撤回与故障", "alerts, freezes, recalls, withdrawals and failures of a period"),
            ("month", "quarter", "year"),
            True,
            others.incident,
        ),
    )
}
PERIODS: Mapping[PeriodKind, tuple[str, str]] = {
    "month": ("月 2026-11", "a month, 2026-11"),
    "quarter": ("季 2026-Q4", "a quarter, 2026-Q4"),
    "year": ("年 2026", "a year, 2026"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is of. `subject`: the operator, None for all; of a filing, the licence."""

    kind: Kind
    period: Period | None
    subject: str | None

    @classmethod
    def of(cls, kind: str, period: str | None, subject: str | None) -> Asked:
        """`kind` is one of KINDS. REPORT_PERIOD, REPORT_SUBJECT."""
        found = KINDS[kind]
        parsed = None if period is None else Period.parse(period)
        if (parsed is None) != (not found.periods) or (parsed is not None and parsed.kind not in found.periods):
            zh = "、".join(PERIODS[each][0] for each in found.periods) or "不写周期"
            en = ", ".join(PERIODS[each][1] for each in found.periods) or "none"
            title = found.title
            raise REPORT_PERIOD(title_zh=title.zh, title_en=title.en, period=period or "—", wanted_zh=zh, wanted_en=en)
        if kind == "filing" and subject is None:
            raise REPORT_SUBJECT(subject="—")
        return cls(found, parsed, subject)


def make(register: Register, asked: Asked, size: int | None = None) -> Report:
    """The report as of the first `size` entries, None: all there are. ENTRY_UNKNOWN for more, REPORT_SUBJECT."""
    with reading(register.engine) as connection:
        there = register.size
        size = there if size is None else size
        if not 1 <= size <= there:
            raise ENTRY_UNKNOWN(index=size - 1, size=there)
        source = Source(connection, size, register.settings.log_origin)
        world = World(source, asked.period)
        title = _subject(world, asked)
        period = asked.period
        if asked.kind.build is None:
            made = others.filing(world.licences[str(asked.subject)], world)
        else:
            assert period is not None
            made = asked.kind.build(Activity(source, world, period, asked.subject), world, Money(source, world))
    return Report(
        kind=asked.kind.name,
        period=None if period is None else str(period),
        subject=asked.subject,
        subject_title=title,
        title=asked.kind.title,
        origin=source.origin,
        size=size,
        root=source.root,
        as_of=source.at,
        complete=period is None or source.moment >= period.end,
        basis=BASIS[asked.kind.name],
        sections=made,
        notes=NOTES,
    )


def _subject(world: World, asked: Asked) -> Title | None:
    subject = asked.subject
    if subject is None:
        return None
    if asked.kind.build is None:
        licence = world.licences.get(subject)
        if licence is None or not licence.versions:
            raise REPORT_SUBJECT(subject=subject)
        return licence.present.title
    if world.people.get(subject, ("",))[0] != "operator":
        raise REPORT_SUBJECT(subject=subject)
    return world.name_of(subject)


NOTES = (
    pair(
        "本报告只依据登记册（存证日志）编制：同一登记册规模、同一报告种类、周期与对象，任何时候重新编制，各文件逐字节相同。",
        "Made from the register alone: made again of the same size, kind, period and subject, every file is the same byte for byte.",
    ),
    pair(
        "周期已结束的，协议、产品、账户等的状态以周期末为准；关账、预警处置等以最新条目为准。",
        "Of a period that is over, the states of licences, products and accounts are those at its end; settlements and what came of alerts "
        "those at the newest entry.",
    ),
    pair(
        "报告不含原始数据，也不含任何发布结果中的数值；时间为北京时间（UTC+8），金额为人民币元。",
        "It holds no raw data and no number out of any release. Times are UTC+8, amounts yuan.",
    ),
)
