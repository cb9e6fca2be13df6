"""Rules over questions: averaging, sweeping, subtracting, circling. Each is given the question that just came and those it may belong with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from operator import itemgetter

from jobs.events import AlertFact
from jobs.watch.facts import Finding, Question, newest, numbers, things
from jobs.watch.rules import Averaging, Collusion, Differencing, Sweep
from jobs.watch.sizes import MOST_PAIRS
from policies.disclosure.predicate import Population

ROUNDING = 1  # sizes are compared in about before they are compared exactly, and no rounding is worth a row


def subject(new: Question) -> str:
    """What averaging, sweeping and subtracting are found of: one operator, and whom it asks about."""
    return f"{new.who}/{new.space}"


def averaging(rule: Averaging, new: Question, before: Sequence[Question]) -> list[Finding]:
    """`before`: questions of the same form by the same operator, within the window."""
    size = new.sizes.rows_of(new.where)
    most = None if size is None else size * rule.percent / 100
    about = float("inf") if most is None else float(most)
    alike = {new.job: new}
    for other in before:
        if other.who != new.who or other.snapshots != new.snapshots:
            continue
        if _unlike(new, other, about):
            continue
        apart = new.sizes.apart(new.where, other.where)
        if apart is not None and (apart == 0 or (most is not None and apart <= most)):
            alike.setdefault(other.job, other)
    if len(alike) < rule.questions:
        return []
    facts = numbers(questions=len(alike), window_h=rule.window_h, percent=rule.percent)
    return [_finding(rule, subject(new), list(alike.values()), facts, rule.questions)]


def sweep(rule: Sweep, new: Question, before: Sequence[Question]) -> list[Finding]:
    """`before`: as for averaging."""
    if not few(new, rule.rows):
        return []
    found: dict[Population, Question] = {}
    for each in (new, *before):
        if each.who == new.who and few(each, rule.rows):
            found.setdefault(each.where, each)
    if len(found) < rule.populations:
        return []
    facts = numbers(populations=len(found), rows=rule.rows, window_h=rule.window_h)
    return [_finding(rule, subject(new), list(found.values()), facts, rule.populations)]


def differencing(rule: Differencing, new: Question, before: Sequence[Question]) -> list[Finding]:
    """`before`: questions of the same form by the same operator, within the window. A pair counts once, whatever it was asked with."""
    asked = {each.where: each for each in (*before, new) if each.who == new.who and each.snapshots == new.snapshots}
    populations = list(asked.values())
    if not any(_between(new, other, rule.rows) for other in populations):
        return []
    pairs = [(one, other) for one, other in _close(populations, rule.rows) if one.job != other.job and _between(one, other, rule.rows)]
    if len(pairs) < rule.pairs:
        return []
    members = {each.job: each for pair in pairs for each in pair}
    facts = numbers(pairs=len(pairs), rows=rule.rows, window_h=rule.window_h)
    return [_finding(rule, subject(new), list(members.values()), facts, rule.pairs)]


def collusion(rule: Collusion, new: Question, before: Sequence[Question]) -> list[Finding]:
    """`before`: questions of the same form by anybody, and questions about few by anybody, of the same space, within the window."""
    others = [each for each in before if each.who != new.who]
    if not any(_circles(new, other, rule.rows) for other in others):
        return []
    circle: dict[str, dict[str, Question]] = defaultdict(dict)
    for mine in (new, *(each for each in before if each.who == new.who)):
        for other in others:
            if _circles(mine, other, rule.rows):
                circle[mine.who][mine.job] = mine
                circle[other.who][other.job] = other
    active = {who: found for who, found in circle.items() if len(found) >= rule.questions}
    if new.who not in active or len(active) < rule.operators:
        return []
    members = [each for found in active.values() for each in found.values()]
    facts = numbers(operators=len(active), questions=len(members), rows=rule.rows, window_h=rule.window_h)
    subject = "+".join([new.space, *sorted(active)])
    return [_finding(rule, subject, members, facts, rule.questions * rule.operators)]


def _close(populations: Sequence[Question], rows: int) -> Iterator[tuple[Question, Question]]:
    """Pairs, each once, but for those whose sizes say that more rows than these lie between: in the order of sizes the others are near."""
    known = sorted(((each.rows, each) for each in populations if each.rows is not None), key=itemgetter(0))
    unknown = [each for each in populations if each.rows is None]
    for place, (size, one) in enumerate(known):
        for larger, other in islice(known, place + 1, None):
            if larger - size > rows + ROUNDING:
                break
            yield one, other
    yield from combinations(unknown, 2)
    yield from ((one, other) for one in unknown for _, other in known)


def _between(one: Question, other: Question, rows: int) -> bool:
    """Whether one population lies within the other, with some rows between them, as far as can be expected, and few. The same questions are
    held against each other whenever another one comes, so it is remembered."""
    if _unlike(one, other, rows):
        return False
    if one.sizes is not other.sizes:
        return _lies_between(one, other, rows)
    pair, known = (one.where, other.where, rows), one.sizes.compared
    if pair not in known:
        if len(known) >= MOST_PAIRS:
            known.clear()
        known[pair] = _lies_between(one, other, rows)
    return known[pair]


def _lies_between(one: Question, other: Question, rows: int) -> bool:
    if one.where == other.where:
        return False
    for inner, outer in ((one, other), (other, one)):
        if inner.where.within(outer.where):
            gap = one.sizes.gap(inner.where, outer.where)
            return gap is not None and 0 < gap <= rows
    return False


def _unlike(one: Question, other: Question, rows: float) -> bool:
    """Whether their sizes alone say that more rows than these are in one of them only: quicker than to compare whom they are about."""
    mine, theirs = one.rows, other.rows
    return mine is not None and theirs is not None and abs(mine - theirs) > rows + ROUNDING


def _circles(one: Question, other: Question, rows: int) -> bool:
    """Two questions about one small population, or about two that differ by few."""
    if one.form == other.form and one.snapshots == other.snapshots and _between(one, other, rows):
        return True
    return few(one, rows) and few(other, rows) and not (one.where & other.where).nobody


def few(question: Question, rows: int) -> bool:
    if question.rows is None or question.rows > rows + ROUNDING:
        return False
    size = question.sizes.rows_of(question.where)
    return size is not None and size <= rows


def _finding(
    rule: Averaging | Sweep | Differencing | Collusion, subject: str, members: Sequence[Question], facts: tuple[AlertFact, ...], least: int
) -> Finding:
    members = sorted(members, key=lambda each: each.entry)[-100:]
    about = things("principal", sorted({each.who for each in members})) + things("job", [each.job for each in members][-40:])
    about += things("space", sorted({each.space for each in members}))
    return Finding(rule.id, rule.severity, subject, about, newest(each.entry for each in members), facts, least)
