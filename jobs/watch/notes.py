"""Entries of the log, read once and kept as facts for as long as a rule looks back.

Notes are the server's own: they stand in the database and in no entry, and can be made again from the log. A question's text is read from the
sealed request, taken apart (`sketch`) and not kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, String, bindparam, delete, func, select

from infra.database import insert_ignoring, reading
from infra.prepared import Prepared, fetch
from infra.tables import jobs, metering, openings, product_versions, schedule_runs, watch_notes
from jobs import directory
from jobs import events as ev
from jobs.register import Register
from jobs.slots import parse_time
from jobs.watch.facts import Delivery, Question, Refusal, Setback
from jobs.watch.sizes import Sizes
from jobs.watch.sketch import sketch
from policies.catalogue import Dataset
from policies.disclosure.predicate import Population, population

KINDS = ("job_admitted", "job_refused", "job_forfeited", "access_refused", "product_delivered", "charge_reserved")
MOST = 300  # notes a rule is given: the newest
Note = dict[str, Any]


class Notes:
    """Reads entries into notes, and notes into facts."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._key = register.key_ring.derive("watch", b"forms")
        self._datasets: dict[tuple[str, int], tuple[Dataset, str] | None] = {}
        self._sizes: dict[str, Sizes] = {}
        self._questions: dict[tuple[int, int], Question] = {}
        self._populations: dict[str, Population] = {}
        self._hours: dict[tuple[str, datetime, datetime], tuple[datetime, ...]] = {}

    # ── from entries ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def made(self, recorded: ev.Recorded) -> list[Note]:
        """What rules will want to know of an entry."""
        with reading(self._register.engine) as connection:
            return list(self._of(connection, recorded))

    def _of(self, connection: Connection, recorded: ev.Recorded) -> Iterator[Note]:
        event = recorded.event
        if isinstance(event, ev.JobAdmitted):
            yield from self._question(connection, recorded, event)
        elif isinstance(event, ev.JobRefused):
            who = event.operator or _operator(connection, event.job)
            if who is not None:
                yield _note(recorded, 0, "setback", who, event.job or "", body={"failed": False})
        elif isinstance(event, ev.JobForfeited):
            who = _operator(connection, event.job)
            if who is not None and event.code == "job_failed":
                yield _note(recorded, 0, "setback", who, event.job, body={"failed": True})
        elif isinstance(event, ev.AccessRefused):
            counts: dict[tuple[str, bool], int] = {}
            for each in event.refusals:
                caller = each.principal or each.prefix or each.source
                if caller is not None:
                    known = each.principal is not None
                    counts[caller, known] = counts.get((caller, known), 0) + each.count
            for place, ((who, known), count) in enumerate(sorted(counts.items())):
                yield _note(recorded, place, "refusal", who, "", body={"known": known, "count": count})
        elif isinstance(event, ev.ProductDelivered):
            subject = event.product or event.release
            yield _note(recorded, 0, "delivery", event.recipient, subject, body={"bytes": _bytes(connection, event)})

    def _question(self, connection: Connection, recorded: ev.Recorded, event: ev.JobAdmitted) -> Iterator[Note]:
        rows = fetch(connection, _SUBMITTED, {"job_": event.job})
        if not rows:
            return
        row = rows[0]
        try:
            sealed = json.loads(bytes(row.content))
            versions = {str(name): int(version) for name, version in sealed.get("versions", {}).items()}
        except (ValueError, AttributeError, TypeError):
            return
        found = {name: self._dataset(connection, name, version) for name, version in versions.items()}
        datasets = {name.casefold(): each[0] for name, each in found.items() if each is not None}
        private = [each for each in datasets.values() if each.unit is not None]
        if not private:
            return
        taken = sketch(sealed, datasets, self._key)
        reads = sorted(each[1] for each in found.values() if each is not None)
        body = {
            "where": taken.where,
            "reads": sorted(versions.items()),
            "snapshots": hashlib.sha256(json.dumps(reads).encode()).hexdigest()[:32],
            "scheduled": row.schedule is not None,
        }
        unit = private[0].unit
        assert unit is not None
        for place, form in enumerate(taken.forms):
            yield _note(recorded, place, "question", row.operator, event.job, form=form, space=unit.space, body=body)

    def _dataset(self, connection: Connection, name: str, version: int) -> tuple[Dataset, str] | None:
        """With the digest of its content. What was ingested never changes."""
        if (name, version) not in self._datasets:
            found = directory.snapshot(connection, name, version)
            if len(self._datasets) >= 256:
                self._datasets.clear()
            self._datasets[name, version] = None if found is None else (found.dataset, found.digest)
        return self._datasets[name, version]

    # ── kept, and forgotten ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def keep(connection: Connection, notes: Iterable[Note]) -> None:
        """A note that is there already stays as it is: after a crash entries are read again."""
        insert_ignoring(connection, watch_notes, *notes)

    @staticmethod
    def forget_audits(connection: Connection) -> None:
        """Before a newer one is noted."""
        connection.execute(delete(watch_notes).where(watch_notes.c.topic == "audit"))

    @staticmethod
    def forget(connection: Connection, before: datetime) -> None:
        """Notes from before a moment, but not what the newest audit found."""
        old = watch_notes.c.at < ev.rfc3339(before)
        connection.execute(delete(watch_notes).where(old, watch_notes.c.topic != "audit"))

    # ── to facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def question(self, connection: Connection, note: Note) -> Question:
        """What was read once is kept for a while: rules ask for the same questions again and again."""
        place = note["entry"], note["place"]
        if place not in self._questions:
            if len(self._questions) >= 20_000:
                self._questions.clear()
                self._populations.clear()
            self._questions[place] = self._question_of(connection, note)
        return self._questions[place]

    def _question_of(self, connection: Connection, note: Note) -> Question:
        body = json.loads(note["body"])
        where, sizes = self._population(body["where"]), self._sized(connection, body["reads"])
        rows = sizes.rows_of(where)
        return Question(
            entry=note["entry"],
            at=parse_time(note["at"]),
            who=note["who"],
            job=note["subject"],
            space=note["space"],
            form=note["form"],
            snapshots=body["snapshots"],
            where=where,
            sizes=sizes,
            rows=None if rows is None else float(rows),
            scheduled=body["scheduled"],
        )

    def _population(self, where: Any) -> Population:
        """One object for all questions about it: as keys, two of them are compared by looking through both."""
        key = json.dumps(where)
        if key not in self._populations:
            self._populations[key] = population(where)
        return self._populations[key]

    def _sized(self, connection: Connection, reads: list[list[Any]]) -> Sizes:
        key = json.dumps(reads)
        if key not in self._sizes:
            if len(self._sizes) >= 64:
                self._sizes.clear()
            found = [self._dataset(connection, name, version) for name, version in reads]
            self._sizes[key] = Sizes({each[0].name.casefold(): each[0] for each in found if each is not None})
        return self._sizes[key]

    def alike(self, connection: Connection, new: Question, since: datetime) -> list[Question]:
        """Questions of the same form before it, by anybody: the newest of them, the oldest first."""
        return self._asked(connection, _ALIKE, new, since, form_=new.form)

    def nearby(self, connection: Connection, new: Question, since: datetime) -> list[Question]:
        """Questions of the same population before it, of any form; one a job."""
        return self._asked(connection, _NEARBY, new, since, space_=new.space)

    def by(self, connection: Connection, new: Question, since: datetime) -> list[Question]:
        """What the operator asked before it; one a job."""
        return self._asked(connection, _BY, new, since, who_=new.who)

    def _asked(self, connection: Connection, sought: Sought, new: Question, since: datetime, **by: str) -> list[Question]:
        """The newest of them, the oldest first. Mostly each was read before, and where it stands is enough."""
        values = {**by, "since": ev.rfc3339(since), "until": ev.rfc3339(new.at), "before_": new.entry}
        known = [self._questions.get((entry, place)) for entry, place in reversed(fetch(connection, sought.places, values))]
        found = [each for each in known if each is not None]
        if len(found) == len(known):
            return found
        return [self.question(connection, dict(row._mapping)) for row in reversed(fetch(connection, sought.notes, values))]

    def hours(self, connection: Connection, who: str, since: datetime, until: datetime) -> tuple[datetime, ...]:
        """The hours of a time that is over, by their beginnings, in which somebody asked a question that no schedule asked. Read once: no
        note is added to a time before the newest."""
        asked = who, since, until
        if asked not in self._hours:
            if len(self._hours) >= 1000:
                self._hours.clear()
            hour = func.substr(watch_notes.c.at, 1, len("2026-01-01T00"))
            where = [*_asked_by(who), watch_notes.c.body.not_like('%"scheduled":true}'), watch_notes.c.at >= ev.rfc3339(since)]
            query = select(hour).where(*where, watch_notes.c.at < ev.rfc3339(until)).distinct()
            self._hours[asked] = tuple(parse_time(f"{each}:00:00.000000Z") for each in connection.execute(query).scalars())
        return self._hours[asked]

    def admitted(self, connection: Connection, who: str, since: datetime, until: datetime) -> int:
        span = watch_notes.c.at >= ev.rfc3339(since), watch_notes.c.at <= ev.rfc3339(until)
        return int(connection.execute(select(func.count()).select_from(watch_notes).where(*_asked_by(who), *span)).scalar_one())

    @staticmethod
    def before(connection: Connection, note: Note, since: datetime, most: int = 5000) -> list[Note]:
        """Notes of the same topic about the same caller before it."""
        where = [watch_notes.c.topic == note["topic"], watch_notes.c.who == note["who"]]
        return _rows(connection, [*where, *_span(since, parse_time(note["at"]), note["entry"])], most)


def setback(note: Note) -> Setback:
    return Setback(note["entry"], parse_time(note["at"]), note["who"], note["subject"] or None, json.loads(note["body"])["failed"])


def refusal(note: Note) -> Refusal:
    body = json.loads(note["body"])
    return Refusal(note["entry"], parse_time(note["at"]), note["who"], body["known"], body["count"])


def delivery(note: Note) -> Delivery:
    return Delivery(note["entry"], parse_time(note["at"]), note["who"], note["subject"], json.loads(note["body"])["bytes"])


def _note(recorded: ev.Recorded, place: int, topic: str, who: str, subject: str, *, form: str = "", space: str = "", body: Any) -> Note:
    made = {"entry": recorded.index, "place": place, "topic": topic, "at": recorded.at, "who": who, "subject": subject}
    return {**made, "form": form, "space": space, "body": json.dumps(body, ensure_ascii=False, separators=(",", ":"))}


def _asked_by(who: str) -> list[Any]:
    return [*_ONE_A_JOB, watch_notes.c.who == who]


def _span(since: datetime, until: datetime, entry: int) -> list[Any]:
    return [watch_notes.c.at >= ev.rfc3339(since), watch_notes.c.at <= ev.rfc3339(until), watch_notes.c.entry < entry]


@dataclass(frozen=True, slots=True)
class Sought:
    """Two queries for the same questions, the newest before another one: for where they stand, and for all of each note."""

    places: Prepared
    notes: Prepared

    @classmethod
    def of(cls, *where: ColumnElement[bool]) -> Self:
        at, entry = watch_notes.c.at, watch_notes.c.entry
        span = at >= bindparam("since", type_=String), at <= bindparam("until", type_=String), entry < bindparam("before_", type_=BigInteger)
        whole = [*where, *span]
        return cls(Prepared(_newest([entry, watch_notes.c.place], whole, MOST)), Prepared(_newest([watch_notes], whole, MOST)))


def _rows(connection: Connection, where: list[Any], most: int) -> list[Note]:
    return [dict(row._mapping) for row in connection.execute(_newest([watch_notes], where, most))][::-1]


def _newest(of: list[Any], where: list[Any], most: int) -> Select[Any]:
    return select(*of).where(*where).order_by(watch_notes.c.at.desc(), watch_notes.c.entry.desc(), watch_notes.c.place).limit(most)


def _operator(connection: Connection, job: str | None) -> str | None:
    return None if job is None else connection.execute(select(jobs.c.operator).where(jobs.c.id == job)).scalar_one_or_none()


def _bytes(connection: Connection, event: ev.ProductDelivered) -> int:
    """Of the version or table as it is kept: what a delivery is metered by."""
    if event.product is not None:
        where = (product_versions.c.product == event.product, product_versions.c.version == event.version)
        return int(connection.execute(select(product_versions.c.bytes).where(*where)).scalar_one_or_none() or 0)
    query = select(metering.c.bytes).where(metering.c.release == event.release)
    return int(connection.execute(query).scalar_one_or_none() or 0)


_SUBMITTED = Prepared(
    select(jobs.c.operator, openings.c.content, schedule_runs.c.schedule)
    .join(openings, openings.c.commitment == jobs.c.request)
    .outerjoin(schedule_runs, schedule_runs.c.job == jobs.c.id)
    .where(jobs.c.id == bindparam("job_", type_=String))
)
_ONE_A_JOB = watch_notes.c.topic == "question", watch_notes.c.place == 0
_ALIKE = Sought.of(watch_notes.c.form == bindparam("form_", type_=String))
_NEARBY = Sought.of(*_ONE_A_JOB, watch_notes.c.space == bindparam("space_", type_=String))
_BY = Sought.of(*_ONE_A_JOB, watch_notes.c.who == bindparam("who_", type_=String))
