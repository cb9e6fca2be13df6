"""Who watches: reads the log on from where it was, applies the rules in force to what is new, and to how things stand.

Each entry is looked at once, in pages; what a rule needs of earlier ones is in the notes, by index. Notes come first, then alerts, then the
place up to which the log was looked through: after a crash between them a page is looked at again, and nothing is raised twice, for of one key
there is one alert at a time. Several server processes may watch one register.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection, select, update

from infra.database import reading, writing
from infra.rounds import Rounds
from infra.tables import watch_cursor
from jobs.events import ChargeReserved, Recorded, rfc3339
from jobs.register import Register
from jobs.sequencer import LogForked
from jobs.watch import auditing, conduct, gather, questions, standing
from jobs.watch.facts import Finding, Question, key_of
from jobs.watch.inforce import rules_in_force
from jobs.watch.notes import KINDS, Note, Notes, delivery, refusal, setback
from jobs.watch.raising import not_closed, over, raised
from jobs.watch.rules import RuleSet

log = structlog.get_logger("yunei.watch")
PAGE = 100
T = TypeVar("T")


class Watcher(Rounds):
    """Every `interval_s` seconds. What fails is tried again at the next look."""

    def __init__(self, register: Register, *, interval_s: float, audit_interval_h: float = 0, share: float = 1) -> None:
        """`share`: how much of a look through what is new it computes; the rest of the time others have the interpreter to themselves."""
        super().__init__("watcher", interval_s=interval_s, at_once=False)
        self._register = register
        self._audit_interval_h = audit_interval_h
        self._rests = 1 / share - 1
        self._notes = Notes(register)
        self._looked = False  # whether this process has looked at every account once
        self._pruned: datetime | None = None
        self._turn, self._auditing = threading.Lock(), threading.Lock()

    def once(self) -> list[str]:
        """One look, now, in the caller's thread: everything new. Returns the alerts that were raised. The register's own audit begins
        beside it when that is due."""
        made = self._look()
        if not self.stopping and self._audit_due():
            threading.Thread(target=self._audit, name="own-audit", daemon=True).start()
        return made

    def _look(self) -> list[str]:
        with self._turn:
            try:
                self._register.require_sound()
            except LogForked:  # nothing can be written; readiness and the gauges say so
                return []
            now = self._register.clock()
            with reading(self._register.engine) as connection:
                rules = rules_in_force(connection)[1]
            charged: dict[str, int | None] = {}
            made = []
            for page in self._pages(now - timedelta(days=rules.back_days)):
                charged |= {account: each.index for each in page if isinstance(each.event, ChargeReserved) for account in each.event.accounts}
                made += self._looked_through(rules, page)
                if self.stopping:  # the cursor stays: the next process looks at this page
                    return made
            made += self._standing(rules, charged, now)
            self._prune(now, rules)
            return made

    # ── what is new ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pages(self, oldest: datetime) -> Iterator[list[Recorded]]:
        """Entries of the kinds that rules look at, page by page; the cursor moves on when the caller comes back for the next."""
        while True:
            with reading(self._register.engine) as connection:
                position = int(connection.execute(select(watch_cursor.c.position)).scalar_one())
            end = self._register.size - 1
            if position >= end:
                return
            start = self._first_after(oldest, end) - 1 if position < 0 else position
            page = self._register.events(start, PAGE, KINDS)
            reached = page[-1].index if len(page) == PAGE else end
            yield page
            with writing(self._register.engine) as connection:
                connection.execute(update(watch_cursor).where(watch_cursor.c.position == position).values(position=reached))

    def _first_after(self, oldest: datetime, end: int) -> int:
        """The first entry that is not older than what any rule looks back to: a log that was written before anybody watched is not read."""
        low, high = 0, end
        while low < high:
            middle = (low + high) // 2
            if self._register.event(middle).at < rfc3339(oldest):
                low = middle + 1
            else:
                high = middle
        return low

    def _looked_through(self, rules: RuleSet, page: list[Recorded]) -> list[str]:
        notes: list[Note] = []
        for recorded in self._turns(page):
            notes += self._notes.made(recorded)
        if not notes:
            return []
        with writing(self._register.engine) as connection:
            self._notes.keep(connection, notes)
        with reading(self._register.engine) as connection:
            standing = not_closed(connection)
        findings: list[Finding] = []
        for note in self._turns(notes):
            with reading(self._register.engine) as connection:
                findings += self._found(connection, rules, note, standing)
        return raised(self._register, rules, findings)

    def _turns(self, of: Iterable[T]) -> Iterator[T]:
        """Each, until somebody wants to stop: a page may be seconds of looking. While this thread computes jobs wait: for one of these at most,
        and then they go first."""
        for each in of:
            if self.stopping:
                return
            began = time.monotonic()
            yield each
            if self._rests:
                self.pause((time.monotonic() - began) * self._rests)

    def _found(self, connection: Connection, rules: RuleSet, note: Note, standing: Collection[str]) -> Iterator[Finding]:
        if note["topic"] == "question":
            yield from self._of_question(connection, rules, note, standing)
        elif note["topic"] == "setback":
            yield from self._of_setback(connection, rules, note)
        elif note["topic"] == "refusal":
            for rule in rules.rules:
                if rule.kind == "refusals":
                    since = refusal(note).at - timedelta(hours=rule.window_h)
                    yield from conduct.refusals(rule, refusal(note), [refusal(each) for each in self._notes.before(connection, note, since)])
        elif note["topic"] == "delivery":
            for rule in rules.rules:
                if rule.kind == "volume":
                    since = conduct.day_begins(delivery(note).at, rule.history_days)
                    yield from conduct.volume(rule, delivery(note), [delivery(each) for each in self._notes.before(connection, note, since)])

    def _of_question(self, connection: Connection, rules: RuleSet, note: Note, standing: Collection[str]) -> Iterator[Finding]:
        new = self._notes.question(connection, note)
        alike: list[Question] | None = None
        nearby: list[Question] | None = None
        for rule in rules.rules:
            if rule.kind in ("averaging", "sweep", "differencing") and key_of(rule.id, questions.subject(new)) in standing:
                continue
            if rule.kind in ("averaging", "sweep", "differencing", "collusion"):
                since = new.at - timedelta(hours=rule.window_h)
                oldest = new.at - timedelta(days=rules.back_days)
                alike = self._notes.alike(connection, new, oldest) if alike is None else alike
                before = [each for each in alike if each.at >= since]
            match rule.kind:
                case "averaging":
                    yield from questions.averaging(rule, new, before)
                case "sweep":
                    yield from questions.sweep(rule, new, before)
                case "differencing":
                    yield from questions.differencing(rule, new, before)
                case "collusion":
                    if questions.few(new, rule.rows):
                        nearby = self._notes.nearby(connection, new, oldest) if nearby is None else nearby
                        before = list({(each.job, each.form): each for each in (*before, *nearby) if each.at >= since}.values())
                    yield from questions.collusion(rule, new, before)
                case "hours" if note["place"] == 0:
                    midnight = conduct.day_begins(new.at)
                    worked = self._notes.hours(connection, new.who, conduct.day_begins(new.at, rule.history_days), midnight)
                    yield from conduct.unusual_hours(rule, new, worked, partial(self._notes.by, connection, new, midnight))

    def _of_setback(self, connection: Connection, rules: RuleSet, note: Note) -> Iterator[Finding]:
        new = setback(note)
        for rule in rules.rules:
            if rule.kind not in ("probing", "failures"):
                continue
            since = new.at - timedelta(hours=rule.window_h)
            before = [setback(each) for each in self._notes.before(connection, note, since)]
            if rule.kind == "probing":
                yield from conduct.probing(rule, new, before, self._notes.admitted(connection, new.who, since, new.at))
            else:
                yield from conduct.failures(rule, new, before)

    # ── how things stand ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _standing(self, rules: RuleSet, charged: dict[str, int | None], now: datetime) -> list[str]:
        with reading(self._register.engine) as connection:
            names = dict.fromkeys(gather.accounts_of_alerts(connection)) | charged
            if not self._looked:
                names = dict.fromkeys(gather.every_account(connection)) | names
            budgets = gather.budgets(connection, names, now)
            late, frozen = gather.late_reviews(connection, now), gather.standing_freezes(connection)
            cells, audit = gather.cells(connection), gather.audit(connection)
        cosigning = gather.cosigning(self._register)
        found: list[Finding] = []
        for rule in rules.rules:
            match rule.kind:
                case "forecast":
                    found += [finding for budget in budgets for finding in standing.forecast(rule, budget, now)]
                case "exhaustion":
                    found += [finding for budget in budgets for finding in standing.exhaustion(rule, budget)]
                case "burn":
                    found += [finding for budget in budgets for finding in standing.burn(rule, budget, now)]
                case "cosigned":
                    found += standing.cosigned(rule, cosigning, now)
                case "audited":
                    found += standing.audited(rule, audit)
                case "overdue":
                    found += standing.overdue(rule, late, now)
                case "frozen":
                    found += standing.frozen(rule, frozen, now)
                case "degraded":
                    found += standing.degraded(rule, cells)
        made = raised(self._register, rules, found)
        over(self._register, rules, {finding.key for finding in found})
        self._looked = True
        return made

    def _prune(self, now: datetime, rules: RuleSet) -> None:
        if self._pruned is None or now - self._pruned >= timedelta(hours=1):
            with writing(self._register.engine) as connection:
                self._notes.forget(connection, now - timedelta(days=rules.back_days + 1))
            self._pruned = now

    # ── the audit ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _audit_due(self) -> bool:
        return not self._auditing.locked() and auditing.due(self._register, self._register.clock(), self._audit_interval_h)

    def _audit(self) -> None:
        if self._auditing.acquire(blocking=False):
            try:
                auditing.audited(self._register)
            except Exception as error:
                log.warning("audit_not_done", error=type(error).__name__)
            finally:
                self._auditing.release()
