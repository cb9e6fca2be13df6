"""A report as one HTML page that needs nothing else: its own style, figures as SVG, no script, no address. Everything people wrote is text."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup, escape

from jobs.reports import say
from jobs.reports.figures import HEIGHT, WIDTH, shapes
from jobs.reports.model import NUMBERS, Figure, Report, Section, Table
from policies.problem import Language

STYLE = """:root{color-scheme:light dark;--ink:light-dark(#1b2430,#e6ebf2);--soft:light-dark(#5a6675,#9fabbb);--line:light-dark(#d5dbe3,#354252);--head:light-dark(#f1f4f8,#1c2632);--bar:light-dark(#3b82c4,#5d9fdd)}
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:2rem 1.4rem 4rem;color:var(--ink);background:light-dark(#fff,#121922);font:15px/1.6 "Noto Sans CJK SC","Noto Sans SC","PingFang SC","Microsoft YaHei",system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.3;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-bottom:.2rem;border-bottom:2px solid var(--line)}h3{font-size:1rem;margin:1.3rem 0 .4rem}
.lead{color:var(--soft);margin:0 0 1.2rem}.early{border-left:4px solid #c98a17;padding:.4rem .9rem;margin:0 0 1rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem 1.2rem;margin:0 0 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.wrap{overflow-x:auto;margin:0 0 .6rem}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.32rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}thead th{background:var(--head);font-weight:600}
.n{text-align:right;white-space:nowrap}.note,.none{color:var(--soft);font-size:.9rem;margin:.2rem 0 1rem}ul{margin:.2rem 0;padding-left:1.2rem}
svg{display:block;width:100%;max-width:46rem;height:auto;margin:0 0 1rem}svg .bar{fill:var(--bar)}svg .grid{stroke:var(--line)}svg text{fill:var(--soft);font-size:11px}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem;color:var(--soft);font-size:.9rem}
@media print{body{padding:0;max-width:none;font-size:10pt}tr,svg{break-inside:avoid}thead{display:table-header-group}h2,h3{break-after:avoid}}
"""  # noqa: E501
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page(report: Report, language: Language) -> bytes:
    """UTF-8."""
    title = escape(say.pick(report.title, language))
    body = [Markup("<h1>{}</h1>\n").format(title), _lead(report, language)]
    early = say.unfinished(report, language)
    if early:
        body.append(Markup('<p class="early">{}</p>\n').format(early))
    body.append(_pairs(say.made_from(report, language)))
    body += [_section(section, language) for section in report.sections]
    body.append(_foot(report, language))
    tag = "zh-CN" if language == "zh" else "en"
    head = Markup(
        '<!doctype html>\n<html lang="{}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n"
    ).format(tag, title, Markup(STYLE))  # noqa: S704  # our own
    return (str(head) + "".join(map(str, body)) + "</main>\n</body>\n</html>\n").encode()


def _lead(report: Report, language: Language) -> Markup:
    parts = [say.period(report, language)] if report.period else []
    if report.subject_title:
        parts.append(say.pick(report.subject_title, language))
    return Markup('<p class="lead">{}</p>\n').format(" · ".join(parts)) if parts else Markup("")


def _pairs(rows: tuple[tuple[str, str], ...]) -> Markup:
    inside = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>\n").format(label, value) for label, value in rows)
    return Markup("<dl>\n{}</dl>\n").format(inside)


def _section(section: Section, language: Language) -> Markup:
    made = [Markup('<section id="{}">\n<h2>{}</h2>\n').format(section.name, say.pick(section.title, language))]
    made += [Markup("<p>{}</p>\n").format(say.pick(word, language)) for word in section.words]
    if section.facts:
        made.append(
            _pairs(
                tuple(
                    (say.pick(each.title, language) + say.unit(each.type, language), say.text(each.value, each.type, language))
                    for each in section.facts
                )
            )
        )
    made += [_figure(figure, language) for figure in section.figures]
    made += [_table(table, language) for table in section.tables]
    return Markup("").join([*made, Markup("</section>\n")])


def _table(table: Table, language: Language) -> Markup:
    title = Markup("<h3>{}</h3>\n").format(say.pick(table.title, language))
    note = Markup('<p class="note">{}</p>\n').format(say.pick(table.note, language)) if table.note else Markup("")
    if not table.rows:
        return title + Markup('<p class="none">{}</p>\n').format("无" if language == "zh" else "none")
    kinds = [Markup(' class="n"') if column.type in NUMBERS else Markup("") for column in table.columns]
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(kind, say.pick(column.title, language) + say.unit(column.type, language))
        for kind, column in zip(kinds, table.columns, strict=True)
    )
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(kind, say.text(cell, column.type, language))
                for kind, column, cell in zip(kinds, table.columns, row, strict=True)
            )
        )
        for row in table.rows
    )
    inside = Markup("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>").format(heads, rows)
    region = Markup('<div class="wrap" tabindex="0" role="region" aria-label="{}">{}</div>\n').format(say.pick(table.title, language), inside)
    return title + region + note


def _figure(figure: Figure, language: Language) -> Markup:
    drawn, title = shapes(figure), say.pick(figure.title, language)
    parts = [Markup('<line class="grid" x1="60" x2="{}" y1="{}" y2="{}"/>').format(WIDTH - 8, line.y, line.y) for line in drawn.lines]
    parts += [
        Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(bar.x, bar.y, bar.width, bar.height) for bar in drawn.bars
    ]
    parts += [Markup('<text class="{}" x="{}" y="{}">{}</text>').format(label.anchor, label.x, label.y, label.text) for label in drawn.labels]
    return Markup('<h3>{}</h3>\n<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>\n').format(
        title, WIDTH, HEIGHT, title, Markup("").join(parts)
    )


def _foot(report: Report, language: Language) -> Markup:
    def listed(items: tuple[str, ...]) -> Markup:
        return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(item) for item in items))

    basis = "编制依据" if language == "zh" else "Made for"
    made_for, notes = (tuple(say.pick(each, language) for each in each_of) for each_of in (report.basis, report.notes))
    return Markup("<footer>\n<p>{}</p>\n{}\n{}\n</footer>\n").format(basis, listed(made_for), listed(notes))
