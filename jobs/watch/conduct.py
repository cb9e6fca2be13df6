"""Rules over how people behave: failing, being refused, working at odd hours, fetching much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta

from jobs.watch.facts import Delivery, Finding, Question, Refusal, Setback, newest, numbers, things
from jobs.watch.rules import Failures, Probing, Refusals, UnusualHours, Volume
from policies.review import CHINA

MEGABYTE = 10**6


def probing(rule: Probing, new: Setback, before: Sequence[Setback], admitted: int) -> list[Finding]:
    """`before`: setbacks of the same operator within the window; `admitted`: jobs of it that were admitted in that time."""
    refused = [each for each in (*before, new) if not each.failed]
    if new.failed or len(refused) < rule.refused or len(refused) * 100 < rule.percent * (len(refused) + admitted):
        return []
    facts = numbers(refused=len(refused), admitted=admitted, window_h=rule.window_h)
    about = things("principal", [new.who]) + things("job", [each.job for each in refused])
    return [Finding(rule.id, rule.severity, new.who, about, newest(each.entry for each in refused), facts, rule.refused)]


def failures(rule: Failures, new: Setback, before: Sequence[Setback]) -> list[Finding]:
    failed = [each for each in (*before, new) if each.failed]
    if not new.failed or len(failed) < rule.failed:
        return []
    facts = numbers(failed=len(failed), window_h=rule.window_h)
    about = things("principal", [new.who]) + things("job", [each.job for each in failed])
    return [Finding(rule.id, rule.severity, new.who, about, newest(each.entry for each in failed), facts, rule.failed)]


def refusals(rule: Refusals, new: Refusal, before: Sequence[Refusal]) -> list[Finding]:
    """`before`: of the same caller within the window."""
    found = (*before, new)
    attempts = sum(each.count for each in found)
    if attempts < rule.attempts:
        return []
    about = things("principal", [new.who]) if new.known else ()
    facts = numbers(attempts=attempts, window_h=rule.window_h, caller=None if new.known else new.who[:16])
    return [Finding(rule.id, rule.severity, new.who[:64], about, newest(each.entry for each in found), facts, 1)]


def unusual_hours(rule: UnusualHours, new: Question, worked: Collection[datetime], today: Callable[[], Sequence[Question]]) -> list[Finding]:
    """`worked`: the hours, by their beginnings, in which the operator asked something itself on the `history_days` before this one; `today`:
    what it asked on this one before. Days are weekdays or not; an hour is usual when the operator worked at it, or at one beside it, on an
    earlier day of the same sort."""
    if new.scheduled:
        return []
    hours = [_local(each) for each in worked]
    if len({each.date() for each in hours}) < rule.active_days:
        return []
    usual = {(_working(each.date()), (each.hour + more) % 24) for each in hours for more in (-1, 0, 1)}
    now = _local(new.at)
    sort, day = _working(now.date()), now.date().isoformat()
    if (sort, now.hour) in usual:
        return []
    odd = {each.job: each for each in (*today(), new) if not each.scheduled and (sort, _local(each.at).hour) not in usual}
    if len(odd) < rule.questions:
        return []
    facts = numbers(questions=len(odd), day=day, from_hour=min(_local(each.at).hour for each in odd.values()))
    about = things("principal", [new.who]) + things("job", odd)
    return [Finding(rule.id, rule.severity, f"{new.who}/{day}", about, newest(each.entry for each in odd.values()), facts, rule.questions)]


def volume(rule: Volume, new: Delivery, before: Sequence[Delivery]) -> list[Finding]:
    """`before`: all that the builder had delivered in `history_days`."""
    today = _local(new.at).date()
    counts: dict[date, int] = defaultdict(int)
    sizes: dict[date, int] = defaultdict(int)
    for each in (*before, new):
        day = _local(each.at).date()
        counts[day] += 1
        sizes[day] += each.bytes
    known = [day for day in counts if day < today]
    most, largest = max((counts[day] for day in known), default=0), max((sizes[day] for day in known), default=0)
    many = counts[today] >= rule.deliveries and counts[today] > rule.factor * most
    large = sizes[today] >= rule.megabytes * MEGABYTE and sizes[today] > rule.factor * largest
    if not many and not large:
        return []
    found = [each for each in (*before, new) if _local(each.at).date() == today]
    facts = numbers(
        deliveries=counts[today], usual=most, megabytes=sizes[today] // MEGABYTE, usual_megabytes=largest // MEGABYTE, day=today.isoformat()
    )
    about = things("principal", [new.who]) + things("product", sorted({each.subject for each in found}))
    return [Finding(rule.id, rule.severity, f"{new.who}/{today}", about, newest(each.entry for each in found), facts, 1)]


def _local(at: datetime) -> datetime:
    return at.astimezone(CHINA)


def _working(day: date) -> bool:
    """Monday to Friday: holidays and the working weekends that make up for them are not known here."""
    return day.weekday() < 5


def day_begins(at: datetime, days_before: int = 0) -> datetime:
    """Midnight in China before a moment, and so many days earlier."""
    return _local(at).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_before)
