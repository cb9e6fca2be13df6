"""A report as spreadsheets: one CSV for each table, UTF-8 with a byte order mark so that Excel reads Chinese, in one ZIP.

The ZIP holds its members as they are, uncompressed and all of the same moment: compressors differ between machines, and the bytes may not.
"""

from __future__ import annotations

import csv
import io
import zipfile

from jobs.reports import say
from jobs.reports.model import Report, Table
from policies.problem import Language

BOM = "\ufeff"
WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP can say


def sheets(report: Report, language: Language) -> bytes:
    """`about.csv` says what the report is of, then a file for each table, in order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "about.csv", _about(report, language))
        number = 0
        for section in report.sections:
            for table in section.tables:
                number += 1
                _put(archive, f"{number:02d}-{table.name}.csv", _table(table, language))
    return out.getvalue()


def _put(archive: zipfile.ZipFile, name: str, rows: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)  # RFC 4180
    member = zipfile.ZipInfo(name, WHEN)
    member.create_system, member.external_attr = 3, 0o100644 << 16
    archive.writestr(member, (BOM + written.getvalue()).encode())


def _about(report: Report, language: Language) -> list[list[str]]:
    rows = [[say.value(say.pick(report.title, language), "text", language), ""]]
    rows += [[label, say.value(text, "text", language)] for label, text in say.made_from(report, language)]
    for section in report.sections:
        rows += [
            [say.pick(fact.title, language) + say.unit(fact.type, language), say.value(fact.value, fact.type, language)]
            for fact in section.facts
        ]
    rows += [["编制依据" if language == "zh" else "Made for", say.pick(each, language)] for each in report.basis]
    return rows


def _table(table: Table, language: Language) -> list[list[str]]:
    head = [say.pick(column.title, language) + say.unit(column.type, language) for column in table.columns]
    return [
        head,
        *([say.value(cell, column.type, language) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows),
    ]
