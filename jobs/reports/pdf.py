"""A report as PDF: A4, Noto Sans SC embedded, text that can be searched and copied, bookmarks, metadata from the report alone.

The bytes follow from the report, the font and the libraries that `requirements.lock` pins: no time but the newest entry's, no name of a
machine, nothing drawn by lot.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace
from pylopdf_fonts_zh_cn import sans_path

from jobs.reports import say
from jobs.reports.figures import HEIGHT, WIDTH, shapes
from jobs.reports.model import NUMBERS, Figure, Report, Section, Table
from jobs.slots import parse_time
from policies.problem import Language

FONT = "NotoSansSC"
INK, SOFT, LINE, HEAD, BAR = (27, 36, 48), (90, 102, 117), (205, 212, 221), (241, 244, 248), (59, 130, 196)
MARGIN_MM, BODY_PT, TABLE_PT = 16.0, 10.0, 8.0
WIDE = 7  # columns: a table with more turns the paper
_NOT_FIRST = frozenset("，。、；：！？）》」』】〕”’%,.;:!?)]}")
_NOT_LAST = frozenset("（《「『【〔“‘([{¥")


class _Paper(FPDF):
    """`foot`: what stands at the foot of each page, beside its number."""

    def __init__(self, foot: str, *, wide: bool) -> None:
        super().__init__(orientation="landscape" if wide else "portrait", format="A4", unit="mm")
        self._foot = foot
        self.add_font(FONT, "", str(sans_path()))
        self.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(True, margin=MARGIN_MM + 4)

    def footer(self) -> None:
        self.set_y(-MARGIN_MM)
        self.set_font(FONT, size=8)
        self.set_text_color(*SOFT)
        self.cell(self.epw - 20, 6, fitted(self, self._foot, self.epw - 22))
        self.cell(20, 6, str(self.page_no()), align="R")


def page(report: Report, language: Language) -> bytes:
    title = say.pick(report.title, language)
    wide = any(len(table.columns) > WIDE for section in report.sections for table in section.tables)
    foot = f"{title} · {say.period(report, language)} · {report.origin} · {report.size:,} · {report.root[:16]}"
    paper = _Paper(foot, wide=wide)
    paper.set_creation_date(parse_time(report.as_of))
    paper.set_title(f"{title} {report.period or report.subject or ''}".strip())
    paper.set_author(report.origin)
    paper.set_subject("; ".join(say.pick(each, language) for each in report.basis))
    paper.set_keywords(f"{report.kind} {report.period or ''} {report.subject or ''} size={report.size} root={report.root}")
    paper.set_producer("yunei")
    paper.set_creator(report.format)
    paper.set_lang("zh-CN" if language == "zh" else "en")
    paper.add_page()
    _words(paper, title, 20, INK, after=1)
    about = [say.period(report, language)] if report.period else []
    about += [say.pick(report.subject_title, language)] if report.subject_title else []
    lead = " · ".join(about)
    _words(paper, lead, 12, SOFT, after=3)
    early = say.unfinished(report, language)
    if early:
        _words(paper, early, BODY_PT, (160, 96, 0), after=2)
    _pairs(paper, say.made_from(report, language))
    for section in report.sections:
        _section(paper, section, language)
    paper.ln(5)
    _words(paper, "编制依据" if language == "zh" else "Made for", BODY_PT, SOFT, after=1)
    for each in (*report.basis, *report.notes):
        _words(paper, f"· {say.pick(each, language)}", 9, SOFT, after=0.5)
    return bytes(paper.output())


def _words(paper: FPDF, text: str, size: float, color: tuple[int, int, int], *, after: float, left: float = 0, width: float = 0) -> None:
    if text:
        paper.set_font(FONT, size=size)
        paper.set_text_color(*color)
        room = width or paper.epw - left
        for line in wrapped(paper, text, room - 2.5):
            paper.set_x(paper.l_margin + left)
            paper.cell(room, size * 0.55, line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.ln(after)


def _pairs(paper: FPDF, rows: tuple[tuple[str, str], ...]) -> None:
    paper.set_font(FONT, size=BODY_PT)
    left = min(70.0, max(paper.get_string_width(label) for label, _ in rows) + 6)
    for label, text in rows:
        paper.set_font(FONT, size=BODY_PT)
        paper.set_text_color(*SOFT)
        labels, texts = wrapped(paper, label, left - 3), wrapped(paper, text, paper.epw - left - 2.5)
        if paper.will_page_break(5.6 * max(len(labels), len(texts))):
            paper.add_page()
        top = paper.get_y()
        for number, line in enumerate(labels):
            paper.set_xy(paper.l_margin, top + number * 5.6)
            paper.cell(left, 5.6, line)
        paper.set_text_color(*INK)
        for number, line in enumerate(texts):
            paper.set_xy(paper.l_margin + left, top + number * 5.6)
            paper.cell(paper.epw - left, 5.6, line)
        paper.set_xy(paper.l_margin, top + 5.6 * max(len(labels), len(texts)))
    paper.ln(2)


def _heading(paper: FPDF, text: str, level: int) -> None:
    size = 14 if level == 0 else 11
    if paper.will_page_break(size * 0.55 + 16):  # no heading alone at the foot
        paper.add_page()
    paper.start_section(text, level=level)
    _words(paper, text, size, INK, after=1.2)
    if level == 0:
        paper.set_draw_color(*LINE)
        paper.set_line_width(0.4)
        paper.line(paper.l_margin, paper.get_y() - 0.8, paper.l_margin + paper.epw, paper.get_y() - 0.8)
        paper.ln(1)


def _section(paper: FPDF, section: Section, language: Language) -> None:
    paper.ln(3)
    _heading(paper, say.pick(section.title, language), 0)
    for word in section.words:
        _words(paper, say.pick(word, language), BODY_PT, INK, after=1)
    if section.facts:
        _pairs(
            paper,
            tuple(
                (say.pick(each.title, language) + say.unit(each.type, language), say.text(each.value, each.type, language))
                for each in section.facts
            ),
        )
    for figure in section.figures:
        _figure(paper, figure, language)
    for table in section.tables:
        _table(paper, table, language)


def _table(paper: FPDF, table: Table, language: Language) -> None:
    _heading(paper, say.pick(table.title, language), 1)
    if not table.rows:
        _words(paper, "无" if language == "zh" else "none", BODY_PT, SOFT, after=2)
        return
    paper.set_font(FONT, size=TABLE_PT)
    paper.set_text_color(*INK)
    paper.set_draw_color(*LINE)
    paper.set_line_width(0.15)
    head = [say.pick(column.title, language) + say.unit(column.type, language) for column in table.columns]
    body = [[say.text(cell, column.type, language) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    numbers = [column.type in NUMBERS for column in table.columns]
    widths = _widths(paper, [head, *body], numbers)
    with paper.table(
        width=paper.epw,
        col_widths=widths,
        line_height=TABLE_PT * 0.5,
        padding=0.8,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        cell_fill_mode=TableCellFillMode.NONE,
        headings_style=FontFace(emphasis="", color=INK, fill_color=HEAD),
        text_align=tuple("RIGHT" if number else "LEFT" for number in numbers),
        v_align="TOP",
    ) as drawn:
        for cells in (head, *body):
            row = drawn.row()
            for text, width in zip(cells, widths, strict=True):
                row.cell("\n".join(wrapped(paper, text, width - 4)))
    paper.ln(1)
    if table.note:
        _words(paper, say.pick(table.note, language), 8, SOFT, after=2)
    paper.ln(1)


def _widths(paper: FPDF, rows: list[list[str]], numbers: list[bool]) -> list[float]:
    """Of each column, in millimetres, all together the width of the paper: what is long is broken, numbers and headings' words are not."""
    least, most = [], []
    for place, number in enumerate(numbers):
        texts = [row[place] for row in rows]
        longest = max(paper.get_string_width(text) for text in texts) + 5
        words = max(paper.get_string_width(word) for text in texts[:1] for word in text.split()) + 5
        least.append(longest if number else min(longest, max(words, 16.0)))
        most.append(max(longest, words))
    room = paper.epw
    if sum(least) >= room:
        return [each * room / sum(least) for each in least]
    wanted = [high - low for high, low in zip(most, least, strict=True)]
    spare = room - sum(least)
    share = min(1.0, spare / sum(wanted)) if sum(wanted) else 0.0
    found = [low + each * share for low, each in zip(least, wanted, strict=True)]
    rest = (room - sum(found)) / len(found)
    return [each + rest for each in found]


def _figure(paper: FPDF, figure: Figure, language: Language) -> None:
    _heading(paper, say.pick(figure.title, language), 1)
    unit = min(paper.epw, 150.0) / WIDTH
    if paper.will_page_break(HEIGHT * unit):
        paper.add_page()
    left, top, drawn = paper.l_margin, paper.get_y(), shapes(figure)
    paper.set_draw_color(*LINE)
    paper.set_line_width(0.15)
    for line in drawn.lines:
        paper.line(left + 60 * unit, top + line.y * unit, left + (WIDTH - 8) * unit, top + line.y * unit)
    paper.set_fill_color(*BAR)
    for bar in drawn.bars:
        paper.rect(left + bar.x * unit, top + bar.y * unit, bar.width * unit, bar.height * unit, style="F")
    paper.set_fill_color(255, 255, 255)  # tables fill with whatever was last used
    paper.set_font(FONT, size=7)
    paper.set_text_color(*SOFT)
    for label in drawn.labels:
        long = paper.get_string_width(label.text)
        paper.text(left + label.x * unit - (long if label.anchor == "end" else long / 2), top + label.y * unit, label.text)
    paper.set_xy(left, top + HEIGHT * unit + 2)


def fitted(paper: FPDF, text: str, room: float) -> str:
    """As much of a line as there is room for."""
    while text and paper.get_string_width(text) > room:
        text = text[:-1]
    return text


def wrapped(paper: FPDF, text: str, room: float) -> list[str]:
    """Lines of at most `room` millimetres: broken at blanks and between Han characters, not before a closing mark nor after an opening one; a
    word too long for a line, such as a hash, where the line ends."""
    lines, line = [], ""
    for piece in _pieces(text):
        if paper.get_string_width((line + piece).rstrip()) <= room:
            line += piece
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = piece
        while paper.get_string_width(line.rstrip()) > room and len(line) > 1:
            cut = next(at for at in range(len(line) - 1, 0, -1) if at == 1 or paper.get_string_width(line[:at]) <= room)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str) -> list[str]:
    """What a line may be broken between.

    >>> _pieces("原始数据，不出域 made here (x)")
    ['原', '始', '数', '据，', '不', '出', '域 ', 'made ', 'here ', '(x)']
    """
    pieces: list[str] = []
    for character in text:
        glued = pieces and (character in _NOT_FIRST or character == " " or pieces[-1][-1] in _NOT_LAST)
        inside = pieces and pieces[-1][-1] != " " and not _wide(character) and not _wide(pieces[-1][-1])
        if glued or inside:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


@lru_cache(maxsize=8192)
def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
