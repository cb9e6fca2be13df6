"""How cells are written, in one language. Nothing here asks the machine for its time zone, locale or language."""

from __future__ import annotations

from decimal import Decimal

from jobs.reports.model import Cell, CellType, Report
from jobs.slots import parse_time
from policies.catalogue import Title
from policies.problem import Language
from policies.quota import CHINA

NOTHING = "—"


def pick(title: Title, language: Language) -> str:
    return title.zh if language == "zh" else title.en


def text(cell: Cell, type: CellType, language: Language) -> str:
    """A cell for people.

    >>> text("123456789", "fen", "zh"), text("16468352674", "rho", "en"), text("2026-11-30T16:00:00.000000Z", "moment", "zh")
    ('1,234,567.89', '0.016468352674', '2026年12月1日 00:00:00')
    >>> text("12345", "count", "en"), text("2026-11-05", "day", "zh"), text("1500", "ms", "en")
    ('12,345', '2026年11月5日', '1.5')
    """
    if cell is None:
        return NOTHING
    if isinstance(cell, Title):
        return pick(cell, language)
    match type:
        case "count" | "bytes":
            return f"{int(cell):,}"
        case "fen":
            whole, rest = divmod(int(cell), 100)
            return f"{whole:,}.{rest:02d}"
        case "rho":
            return _plain(Decimal(cell).scaleb(-12))
        case "ms":
            return _plain(Decimal(cell).scaleb(-3))
        case "day":
            year, month, day = cell.split("-")
            return f"{year}年{int(month)}月{int(day)}日" if language == "zh" else cell
        case "moment":
            moment = parse_time(cell).astimezone(CHINA)
            day = f"{moment.year}年{moment.month}月{moment.day}日" if language == "zh" else moment.date().isoformat()
            return f"{day} {moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
        case _:
            return cell


def value(cell: Cell, type: CellType, language: Language) -> str:
    """A cell for a spreadsheet: numbers as numbers, in yuan, rho and seconds, without separators; empty for null. A text that a spreadsheet
    would take for a formula (OWASP, CSV injection) has an apostrophe before it."""
    if cell is None:
        return ""
    if type in ("count", "bytes", "fen", "rho", "ms"):
        return text(cell, type, language).replace(",", "")
    written = text(cell, type, language)
    return f"'{written}" if written.startswith(("=", "+", "-", "@", "\t", "\r")) else written


def unit(type: CellType, language: Language) -> str:
    """What stands behind a column's title."""
    zh, en = {"fen": ("（元）", " (CNY)"), "bytes": ("（字节）", " (bytes)"), "ms": ("（秒）", " (s)")}.get(type, ("", ""))
    return zh if language == "zh" else en


def _plain(number: Decimal) -> str:
    written = f"{number:,f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def period(report: Report, language: Language) -> str:
    """
    >>> from jobs.reports.model import pair
    >>> [_period("2026", "zh"), _period("2026-Q4", "zh"), _period("2026-11", "zh"), _period("2026-11", "en")]
    ['2026年', '2026年第4季度', '2026年11月', '2026-11']
    """
    return NOTHING if report.period is None else _period(report.period, language)


def _period(written: str, language: Language) -> str:
    if language == "en":
        return written
    year, _, part = written.partition("-")
    if not part:
        return f"{year}年"
    return f"{year}年第{part[1:]}季度" if part.startswith("Q") else f"{year}年{int(part)}月"


def made_from(report: Report, language: Language) -> tuple[tuple[str, str], ...]:
    """Of what, of whom, and from which register: label and value."""
    subject = pick(report.subject_title, language) if report.subject_title else ""
    named = f"{subject} ({report.subject})" if report.subject and subject != report.subject else subject
    zh = language == "zh"
    rows = [
        ("报告对象" if zh else "About", named or ("全部" if zh else "all")),
        ("登记册" if zh else "Register", report.origin),
        ("登记册规模" if zh else "Register size", f"{report.size:,}"),
        ("根哈希" if zh else "Root hash", report.root),
        ("最新条目时间" if zh else "Newest entry", text(report.as_of, "moment", language)),
    ]
    if report.period is not None:
        rows.insert(1, ("周期" if zh else "Period", period(report, language)))
    return tuple(rows)


def unfinished(report: Report, language: Language) -> str | None:
    """What is said of a report whose period was not over."""
    if report.complete:
        return None
    return "周期尚未结束，本报告截至最新条目。" if language == "zh" else "The period is not over: this report goes up to the newest entry."
