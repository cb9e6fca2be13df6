"""Rules of replay: the algorithm registry."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Contradiction,
    Event,
    Program,
    Rule,
    acts_as,
    require,
)


def _known(book: Book, event: Event, *states: str) -> Program:
    program = book.programs.get(event["program"])
    if program is None or program.state not in states:
        raise Contradiction(f"program {event['program']} is {'unknown' if program is None else program.state}")
    return program


def _submitted(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "operator")
    require(event["program"] not in book.programs, f"program {event['program']} is submitted twice")
    book.programs[event["program"]] = Program(event["by"], event["name"])


def _reviewed(book: Book, event: Event, index: int) -> None:
    acts_as(book, event, "reviewer")
    program = _known(book, event, "submitted")
    require(event["by"] != program.author, f"{event['by']} reviews a program of their own")
    require(event["by"] not in program.reviewers, f"{event['by']} reviews a program twice")
    program.reviewers[event["by"]] = index
    if event["verdict"] != "approve":
        program.state = "rejected"


def _approved(book: Book, event: Event, _index: int) -> None:
    program = _known(book, event, "submitted")
    told = set(event["reviews"])
    require(len(told) == 2 and told <= set(program.reviewers.values()), f"program {event['program']} is approved without two reviews")
    program.state = "approved"
    if event["supersedes"] is not None:
        older = book.programs.get(event["supersedes"])
        same = older is not None and older.state == "approved" and (older.author, older.name) == (program.author, program.name)
        require(same, f"program {event['program']} supersedes another's")
        book.programs[event["supersedes"]].state = "superseded"


def _withdrawn(book: Book, event: Event, _index: int) -> None:
    program = _known(book, event, "submitted", "approved")
    require(event["by"] == program.author, f"{event['by']} withdraws another's program")
    program.state = "withdrawn"


def _invalidated(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    _known(book, event, "approved", "superseded").state = "invalidated"


def _probed(_book: Book, event: Event, _index: int) -> None:
    require(event["by"] == "system", f"{event['by']} writes what cells found")
    require(set(event["accepted"]) <= set(event["missing"]), "cells do without a safeguard that is there")


RULES: dict[str, Rule] = {
    "cells_probed": _probed,
    "program_approved": _approved,
    "program_invalidated": _invalidated,
    "program_reviewed": _reviewed,
    "program_submitted": _submitted,
    "program_withdrawn": _withdrawn,
}
