"""How events change the tables: reports issued. One that is of more entries than there were, or of nobody, does not fit."""

from __future__ import annotations

from sqlalchemy import String, bindparam, select

from infra.prepared import Prepared, Writer
from infra.tables import licences, principals, report_files, reports
from jobs import events as ev
from jobs.projections.table import projects
from jobs.rows import DoesNotFit, add

_key = bindparam("key_", type_=String)
_LICENCE = Prepared(select(licences.c.operator).where(licences.c.id == _key))
_OPERATOR = Prepared(select(principals.c.role).where(principals.c.id == _key))


@projects(ev.ReportIssued)
def _report_issued(writer: Writer, recorded: ev.Recorded, event: ev.ReportIssued) -> None:
    if event.size > recorded.index:
        raise DoesNotFit("reports", event.report)
    row = {"id": event.report, "entry": recorded.index, "kind": event.report_kind, "period": event.period, "subject": event.subject}
    made = {"size": event.size, "root": event.root, "document": event.document, "issued_by": event.by, "issued_at": recorded.at}
    add(writer, reports, **row, **made, owner=_owner(writer, event))
    for file in event.files:
        add(writer, report_files, report=event.report, form=file.form, language=file.language or "", sha256=file.sha256)


def _owner(writer: Writer, event: ev.ReportIssued) -> str | None:
    if event.subject is None:
        return None
    if event.report_kind == "filing":
        licence = writer.row(_LICENCE, {"key_": event.subject})
        if licence is None:
            raise DoesNotFit("licences", event.subject)
        return str(licence[0])
    found = writer.row(_OPERATOR, {"key_": event.subject})
    if found is None or found[0] != "operator":
        raise DoesNotFit("principals", event.subject)
    return event.subject
