"""Rules of replay: jobs."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    moves,
    require,
)


def _submitted(book: Book, event: Event, _index: int) -> None:
    require(event["job"] not in book.jobs, f"job {event['job']} is submitted twice")
    book.jobs[event["job"]] = "submitted"
    book.asked[event["job"]] = (event["operator"], event["licence"])
    if event["job_kind"] == "exact":
        book.lane.exact.add(event["job"])


def _refused(book: Book, event: Event, _index: int) -> None:
    if event["job"] is not None:
        book.step(event["job"], ("submitted", "attached", "admitted"), "refused")
        if event["charge"] is not None:
            book.move(event["charge"], ("reserved",), "released", event["job"])


def _attached(book: Book, event: Event, _index: int) -> None:
    leader = book.questions.get(event["question"])
    running = leader == event["follows"] and book.jobs.get(event["follows"]) in ("admitted", "reading", "spent", "staged")
    require(running, f"job {event['follows']} is not one that is answering this question")
    book.step(event["job"], ("submitted", "attached"), "attached")


def _admitted(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("submitted", "attached"), "admitted")
    book.questions[event["question"]] = event["job"]


def _cancelled(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("attached", "admitted", "reading", "spent", "staged", "held", "returned"), "cancelled")
    if event["charge"] is not None:
        free = event["charge"] in book.charges and book.charges[event["charge"]].state == "reserved"
        book.move(event["charge"], ("reserved", "reading", "spent"), "released" if free else "forfeited", event["job"])


def _reading(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("admitted",), "reading")
    book.move(event["charge"], ("reserved",), "reading", event["job"])


def _spent(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("reading",), "spent")
    book.move(event["charge"], ("reading",), "spent", event["job"])


def _forfeited(book: Book, event: Event, _index: int) -> None:
    book.step(event["job"], ("reading", "spent", "staged"), "forfeited")
    book.move(event["charge"], ("reading", "spent"), "forfeited", event["job"])


RULES: dict[str, Rule] = {
    "job_submitted": _submitted,
    "job_admitted": _admitted,
    "job_attached": _attached,
    "job_cancelled": _cancelled,
    "job_forfeited": _forfeited,
    "job_reading": _reading,
    "job_refused": _refused,
    "job_spent": _spent,
    "job_staged": moves("jobs", "job", ("spent",), "staged"),
}
