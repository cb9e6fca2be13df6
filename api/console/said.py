"""The words of the console: names of states, roles and events in both languages, and how numbers and times are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from api.console.said_events import EVENTS
from policies.disclosure.pack import words
from policies.problem import Language
from policies.roles import ROLE_TITLES

BEIJING = timezone(timedelta(hours=8), "UTC+8")  # the time of the bureau, whatever the server's
Tone = Literal["good", "busy", "warn", "bad", "calm"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the navigation, shown to whoever may do one of `acts`."""

    path: str
    zh: str
    en: str
    acts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    zh: str
    en: str
    places: tuple[Place, ...]


NAVIGATION: tuple[Group, ...] = (
    Group("", "", (Place("/console/", "总览", "Overview", ("me_show",)),)),
    Group(
        "作业与结果",
        "Jobs and results",
        (
            Place("/console/ask", "询价与提交", "Ask and submit", ("job_check",)),
            Place("/console/jobs", "作业", "Jobs", ("job_list",)),
            Place("/console/releases", "发布结果", "Releases", ("release_show",)),
            Place("/console/products", "数据产品", "Products", ("product_list",)),
            Place("/console/subscriptions", "订阅", "Subscriptions", ("webhook_manage",)),
            Place("/console/reviews", "结果审核", "Reviews", ("review_list",)),
            Place("/console/programs", "算法登记册", "Programs", ("program_list",)),
        ),
    ),
    Group(
        "授权与数据",
        "Licences and data",
        (
            Place("/console/licences", "授权运营协议", "Licences", ("licence_list",)),
            Place("/console/budgets", "隐私预算", "Privacy budgets", ("account_list",)),
            Place("/console/datasets", "数据目录", "Catalogue", ("dataset_list",)),
            Place("/console/destructions", "数据销毁", "Destruction", ("destruction_list",)),
            Place("/console/fees", "费用与收益", "Fees and revenue", ("fee_list", "revenue_show")),
        ),
    ),
    Group(
        "监管",
        "Supervision",
        (
            Place("/console/alerts", "监测预警", "Alerts", ("alert_list",)),
            Place("/console/alert-rules", "监测规则", "Alert rules", ("alert_rules_show",)),
            Place("/console/register", "登记册", "Register", ("events_read",)),
            Place("/console/duties", "值班与回避", "Duty and conflicts", ("duty_list",)),
            Place("/console/mailbox", "邮件通知", "Mail", ("mail_manage",)),
            Place("/console/reports", "报告", "Reports", ("report_list",)),
            Place("/console/freezes", "应急处置", "Freezes", ("freeze_list",)),
            Place("/console/policy", "策略", "Policy", ("policy_show",)),
            Place("/console/rules", "规则包", "Rule pack", ("pack_show",)),
            Place("/console/traces", "水印溯源", "Trace a copy", ("product_trace",)),
            Place("/console/people", "人员与密钥", "People and keys", ("principal_list",)),
        ),
    ),
)

# state → (中文, English, tone); one table for jobs, licences, datasets, keys, principals, freezes, programs
STATES: dict[str, tuple[str, str, Tone]] = {
    "running": ("运行中", "running", "busy"),
    "published": ("已发布", "published", "good"),
    "refused": ("已拒绝", "refused", "bad"),
    "cancelled": ("已取消", "cancelled", "calm"),
    "failed": ("已失败", "failed", "bad"),
    "held": ("待审核", "held for review", "warn"),
    "returned": ("已退回", "returned", "warn"),
    "rejected": ("不予发布", "rejected", "bad"),
    "applied": ("已申请", "applied for", "busy"),
    "consented": ("已获同意", "consent given", "busy"),
    "declined": ("不予授权", "declined", "bad"),
    "granted": ("已授予，未生效", "granted, not yet in force", "busy"),
    "active": ("有效", "active", "good"),
    "in_force": ("有效", "in force", "good"),
    "suspended": ("已暂停", "suspended", "warn"),
    "expired": ("已到期", "expired", "calm"),
    "revoked": ("已撤销", "revoked", "bad"),
    "closed": ("已注销", "closed", "calm"),
    "open": ("有效", "open", "good"),
    "set": ("应急暂停中", "frozen", "bad"),
    "current": ("现行", "current", "good"),
    "superseded": ("已有新版", "superseded", "calm"),
    "thawed": ("已解除", "thawed", "calm"),
    "thaw_proposed": ("待第二人解除", "thaw awaits confirmation", "warn"),
    "submitted": ("已提交", "submitted", "busy"),
    "assessed": ("审查中", "under review", "busy"),
    "approved": ("已批准", "approved", "good"),
    "withdrawn": ("已撤回", "withdrawn", "calm"),
    "invalidated": ("已失效", "invalid", "bad"),
    "proposed": ("已提议", "proposed", "busy"),
    "confirmed": ("已确认", "confirmed", "good"),
    "coded": ("已赋码", "coded", "good"),
    "published_notice": ("公示中", "on public notice", "busy"),
    "accepted": ("已受理", "accepted", "busy"),
    "examined": ("已审核", "examined", "busy"),
    "review_open": ("审核中", "under review", "busy"),
    "review_referred": ("第三人审核", "with a third reviewer", "busy"),
    "review_release": ("同意发布", "approved for release", "good"),
    "review_return": ("已退回", "returned", "warn"),
    "review_reject": ("不予发布", "rejected", "bad"),
    "review_withdrawn": ("已撤回", "withdrawn", "calm"),
    "standing_proposed": ("待第二人确认", "awaits confirmation", "busy"),
    "standing_in_force": ("有效", "in force", "good"),
    "standing_ended": ("已终止", "ended", "calm"),
    "alert_open": ("未确认", "not acknowledged", "bad"),
    "alert_acknowledged": ("处理中", "being handled", "busy"),
    "alert_closed": ("已办结", "closed", "calm"),
    "severity_serious": ("严重", "serious", "bad"),
    "severity_warning": ("警示", "warning", "warn"),
    "severity_info": ("提示", "notice", "calm"),
    "draft": ("草稿", "draft", "calm"),
    "registered": ("已登记", "registered", "busy"),
    "deprecated": ("已停更", "deprecated", "warn"),
    "recalled": ("已召回", "recalled", "bad"),
    "stopped": ("已停止", "stopped", "calm"),
    "gone": ("对方已退订", "gone", "calm"),
}
KINDS: dict[str, tuple[str, str]] = {
    "sql": ("SQL", "SQL"),
    "program": ("程序", "program"),
    "model": ("模型", "model"),
    "exact": ("精确汇总", "exact"),
    "synthetic": ("合成数据", "synthetic"),
}
ACCOUNTS: dict[str, tuple[str, str]] = {
    "population": ("人群", "population"),
    "dataset": ("数据集", "dataset"),
    "licence": ("协议", "licence"),
    "operator": ("运营单位", "operator"),
}
GRADES: dict[str, tuple[str, str]] = {"general": ("一般", "general"), "important": ("重要", "important"), "core": ("核心", "core")}
RENEWED: dict[str, tuple[str, str]] = {
    "once": ("一次性", "once"),
    "day": ("每日", "daily"),
    "week": ("每周", "weekly"),
    "month": ("每月", "monthly"),
    "quarter": ("每季", "quarterly"),
    "year": ("每年", "yearly"),
    "irregular": ("不定期", "irregularly"),
}
SHARES: dict[str, tuple[str, str]] = {
    "unconditional": ("无条件共享", "unconditional"),
    "conditional": ("有条件共享", "conditional"),
    "none": ("不予共享", "not shared"),
}


class Words:
    """One language's way of saying things. Templates have it as `w`, and `pick` as `t`."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def pick(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    def pair(self, value: Mapping[str, str] | None) -> str:
        """A text kept in both languages."""
        return "" if value is None else str(value.get(self.language) or value.get("zh") or value.get("en") or "")

    def state(self, name: str) -> str:
        zh, en, _ = STATES.get(name, (name, name.replace("_", " "), "calm"))
        return self.pick(zh, en)

    def tone(self, name: str) -> Tone:
        return STATES.get(name, ("", "", "calm"))[2]

    def kind(self, name: str) -> str:
        return self.pick(*KINDS.get(name, (name, name)))

    def account(self, name: str) -> str:
        return self.pick(*ACCOUNTS.get(name, (name, name)))

    def event(self, name: str) -> str:
        return self.pick(*EVENTS.get(name, (name, name.replace("_", " "))))

    def rule(self, kind: str) -> str:
        """A rule of disclosure control, by its kind."""
        told = words().get(kind)
        return kind if told is None else self.pick(told.title.zh, told.title.en)

    def renewal(self, name: str) -> str:
        return self.pick(*RENEWED.get(name, (name, name)))

    def share(self, name: str) -> str:
        return self.pick(*SHARES.get(name, (name, name)))

    def grade(self, name: str) -> str:
        """`important-2` is 重要数据二级, as graded by the catalogue."""
        level, _, number = name.partition("-")
        zh, en = GRADES.get(level, (level, level))
        return self.pick(f"{zh} {number}".strip(), f"{en} {number}".strip())

    def role(self, name: str) -> str:
        titles = ROLE_TITLES.get(name)  # type: ignore[call-overload]  # any text may be asked for
        return name if titles is None else self.pick(titles.zh, titles.en)

    def when(self, text: str | None) -> str:
        """A moment, to the second, in the time of the bureau.

        >>> Words("zh").when("2026-11-22T08:30:05.000000Z"), Words("en").when("2026-11-22T08:30:05.000000Z")
        ('2026年11月22日 16:30:05', '2026-11-22 16:30:05')
        """
        moment = _moment(text)
        if moment is None:
            return "—"
        return f"{self.day(text)} {moment:%H:%M:%S}"

    def day(self, text: str | None) -> str:
        moment = _moment(text)
        if moment is None:
            return "—"
        return f"{moment.year}年{moment.month}月{moment.day}日" if self.language == "zh" else f"{moment:%Y-%m-%d}"

    def number(self, value: Any) -> str:
        """A count, or a number with what it has behind the point.

        >>> Words("en").number(1234567), Words("en").number("0.500")
        ('1,234,567', '0.500')
        """
        return "—" if value is None else f"{Decimal(str(value)):,}"

    def short(self, value: Any, digits: int = 4) -> str:
        """To so many significant digits, never in powers of ten down to a millionth.

        >>> Words("en").short("0.016468352674"), Words("en").short("80"), Words("en").short("0")
        ('0.01647', '80', '0')
        """
        if value is None:
            return "—"
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            return str(value)
        if not number.is_finite() or number == 0:
            return "0" if number == 0 else str(number)
        rounded = (
            number.quantize(Decimal(1).scaleb(number.adjusted() - digits + 1))
            if number.adjusted() < digits - 1
            else number.quantize(Decimal(1))
        )
        text = f"{rounded:,f}" if number.adjusted() > -7 else f"{number:.2e}"
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text

    def percent(self, share: float | None) -> str:
        if share is None:
            return "—"
        return f"{share * 100:.1f}%" if share < 0.0995 else f"{share * 100:.0f}%"

    def bytes(self, size: int | None) -> str:
        """
        >>> Words("en").bytes(984), Words("en").bytes(2_500_000)
        ('984 B', '2.4 MiB')
        """
        if size is None:
            return "—"
        amount = float(size)
        for unit in ("B", "KiB", "MiB", "GiB"):
            if amount < 1024 or unit == "GiB":
                return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
            amount /= 1024
        raise AssertionError

    def yuan(self, text: Any) -> str:
        return "—" if text is None else f"¥ {Decimal(str(text)):,.2f}"

    def pico(self, amount: Any) -> str:
        """An amount in 1e-12 of rho, as rho."""
        return self.short(Decimal(str(amount)).scaleb(-12))

    def atto(self, amount: Any) -> str:
        return self.short(Decimal(str(amount)).scaleb(-18), 3)

    def slot(self, milliseconds: int | None) -> str:
        if milliseconds is None:
            return "—"
        seconds = milliseconds / 1000
        return f"{milliseconds} ms" if seconds < 1 else f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(BEIJING)
