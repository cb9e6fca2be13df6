"""How events change the tables: the algorithm registry."""

from __future__ import annotations

from sqlalchemy import String, bindparam, func, literal_column, select

from infra.prepared import Prepared, Writer
from infra.tables import program_reviews, programs
from jobs import events as ev
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add, move

_key = bindparam("key_", type_=String)
_OPEN = Prepared(select(programs.c.author).where(programs.c.digest == _key, programs.c.state == literal_column("'submitted'")))
_APPROVALS = Prepared(select(func.count()).where(program_reviews.c.program == _key, program_reviews.c.verdict == literal_column("'approve'")))


@projects(ev.ProgramSubmitted)
def _submitted(writer: Writer, recorded: ev.Recorded, event: ev.ProgramSubmitted) -> None:
    row = {"digest": event.program, "name": event.name, "version": event.version, "author": event.by, "document": event.document}
    add(writer, programs, **row, state="submitted", entry=recorded.index, submitted_at=recorded.at, changed_at=recorded.at)


@projects(ev.ProgramReviewed)
def _reviewed(writer: Writer, recorded: ev.Recorded, event: ev.ProgramReviewed) -> None:
    """One verdict a reviewer, never the author's."""
    author = writer.row(_OPEN, {"key_": event.program})
    if author is None or author[0] == event.by:
        raise DoesNotFit("programs", event.program)
    row = {"program": event.program, "reviewer": event.by, "verdict": event.verdict}
    add(writer, program_reviews, **row, entry=recorded.index, reviewed_at=recorded.at)
    if event.verdict == "reject":
        move(writer, programs, event.program, ["submitted"], "rejected", recorded.at)


@projects(ev.ProgramApproved)
def _approved(writer: Writer, recorded: ev.Recorded, event: ev.ProgramApproved) -> None:
    count = writer.row(_APPROVALS, {"key_": event.program})
    if count is None or int(count[0]) < 2:
        raise DoesNotFit("program_reviews", event.program)
    move(writer, programs, event.program, ["submitted"], "approved", recorded.at)
    if event.supersedes is not None:
        move(writer, programs, event.supersedes, ["approved"], "superseded", recorded.at)


@projects(ev.ProgramWithdrawn)
def _withdrawn(writer: Writer, recorded: ev.Recorded, event: ev.ProgramWithdrawn) -> None:
    move(writer, programs, event.program, ["submitted", "approved"], "withdrawn", recorded.at)


@projects(ev.ProgramInvalidated)
def _invalidated(writer: Writer, recorded: ev.Recorded, event: ev.ProgramInvalidated) -> None:
    move(writer, programs, event.program, ["approved", "superseded"], "invalidated", recorded.at)


projects(ev.CellsProbed)(nothing)
