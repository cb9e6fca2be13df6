"""Mends put to work: the table as it would leave, and the proof of what it leaves open.

`outcome` reshapes the table, rounds what is shown, hides what the pack's rules find sensitive with complements, and audits the result as an
attacker would; `apply` gives what may leave. The same table, mends and pack give the same outcome everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from policies.disclosure import reshape
from policies.disclosure.attack import Audit, audit
from policies.disclosure.bound import least
from policies.disclosure.exact import cheapest
from policies.disclosure.index import ReleaseIndex
from policies.disclosure.mend import Drop, Mend, Merge, Midpoint, Recount, Round, Suppress
from policies.disclosure.moves import Need
from policies.disclosure.pack import RulePack
from policies.disclosure.relations import Seen
from policies.disclosure.rounding import controlled, rounded, window
from policies.disclosure.rules import Rounded, Sensitive, Subject, sensitive
from policies.disclosure.suppress import Pattern, Task, pattern
from policies.disclosure.system import Linked, link
from policies.disclosure.table import Exact, ExactTable, ReleasedCell, ReleasedTable, Shown

MOST_WINDOWS = 300  # cells of a table whose rounding is reckoned with where others are hidden
REPAIRS = 6  # rounds of hiding more where the audit finds a breach


@dataclass(frozen=True)
class Outcome:
    """A table after its mends. `table`: reshaped; `hidden`: cells not shown, `absent` of them not even as hidden ones (dropped); `values`:
    what is shown of each rounded measure, by cell; `audit`: of everything hidden, None when nothing is; `cost`, `bound`: what the pattern
    loses and the least that any safe one does; `additive`: measures whose rounded numbers still add up."""

    table: ExactTable
    pack: RulePack
    hidden: frozenset[int]
    absent: frozenset[int]
    rounded: Mapping[str, Rounded]
    values: Mapping[str, Mapping[int, Exact]] = field(repr=False)
    linked: Linked = field(repr=False)
    audit: Audit | None = field(default=None, repr=False)
    primary: frozenset[int] = frozenset()
    cost: float = 0.0
    bound: float = 0.0
    additive: frozenset[str] = frozenset()
    known: frozenset[int] = frozenset()  # cells whose exact numbers an earlier release shows: hiding them hides nothing

    @property
    def subject(self) -> Subject:
        return Subject(self.table, self.pack, self.hidden, self.rounded)

    def shown(self, number: int, place: int) -> Shown:
        """One number as it leaves."""
        measure = self.table.measures[place]
        if number in self.hidden:
            return Shown(None)
        how = self.rounded.get(measure.name)
        amount = self.table.cells[number].amounts[place]
        if how is not None:
            return Shown(_decimal(self.values[measure.name][number], measure.decimals), how.base)
        if measure.kind == "mean":
            return Shown(_decimal(Fraction(amount.total) / amount.values, measure.decimals) if amount.values else None)
        return Shown(_decimal(amount.total, measure.decimals))

    def released(self) -> ReleasedTable:
        cells = tuple(
            ReleasedCell(self.table.codes(number), tuple(self.shown(number, place) for place in range(len(self.table.measures))))
            for number in range(len(self.table.cells))
            if number not in self.absent
        )
        basis = self.table.basis
        return ReleasedTable(basis, self.table.dimensions, self.table.measures, cells, tuple(self._notes()))

    def _notes(self) -> Iterable[tuple[str, str]]:
        for name, how in self.rounded.items():
            what = f"{how.base} 的倍数" if how.method == "round" else f"每 {how.base} 个数的中点"
            said = f"multiples of {how.base}" if how.method == "round" else f"the middle of runs of {how.base}"
            sums = (
                ("，合计与分项相等", ", and still adds up")
                if name in self.additive
                else ("，合计可能与分项不等", "; parts may not add up to their whole")
            )
            yield f"{name} 已取整为{what}{sums[0]}", f"{name} is rounded to {said}{sums[1]}"
        hidden = len(self.hidden - self.absent)
        if hidden:
            yield f"{hidden} 个单元格未显示", f"{hidden} cells are not shown"


def apply(table: ExactTable, mends: Sequence[Mend], pack: RulePack) -> ReleasedTable:
    """The table as it would leave. Whether it may is `examine`'s evidence and two people's decision, not this function's."""
    return outcome(table, mends, pack).released()


def outcome(
    table: ExactTable, mends: Sequence[Mend], pack: RulePack, beside: Sequence[ExactTable] = (), earlier: ReleaseIndex | None = None
) -> Outcome:
    """The table after its mends, audited. `beside`: other tables of the same bundle, released as they are: cells they show are known; so are
    those that `earlier` has shown exactly. Raises `data_mend_invalid`, `data_mend_recount`."""
    absent: frozenset[int] = frozenset()
    for mend in mends:
        if isinstance(mend, Recount):
            raise reshape.data_mend_recount(what=mend.rule)
        if isinstance(mend, Merge):
            table = reshape.merged(table, mend)
        if isinstance(mend, Drop) and mend.measures:
            table = reshape.without_measures(table, mend.measures)
        if isinstance(mend, Drop) and mend.dimension is not None and not mend.levels:
            table = reshape.without_dimension(table, mend.dimension)
    for mend in mends:
        if isinstance(mend, Drop):
            absent |= reshape.dropped(table, mend)
    rounding = _rounding(table, mends)
    linked = link((table, *beside))
    values, how_rounded, additive = _rounded(table, linked, rounding)
    known = frozenset() if earlier is None else earlier.shown(table)
    made = Outcome(table, pack, absent, absent, how_rounded, values, linked, additive=additive, known=known)
    wanted = [mend for mend in mends if isinstance(mend, Suppress)]
    refused = {rule.id for rule in pack.rules if rule.severity == "refuse"}
    found = [one for one in sensitive(table, pack) if one.rule in refused and not _rounded_away(one, pack, table, how_rounded)]
    if wanted:
        return _suppressed(made, found, wanted)
    return replace(made, audit=_audited(made, found)) if absent else made


def _rounded_away(one: Sensitive, pack: RulePack, table: ExactTable, how: Mapping[str, Rounded]) -> bool:
    done = how.get(table.measures[one.measure].name)
    return done is not None and table.measures[one.measure].kind == "count" and done.method in pack.rule(one.rule).remedies


def _rounding(table: ExactTable, mends: Sequence[Mend]) -> dict[str, Rounded]:
    found: dict[str, Rounded] = {}
    for mend in mends:
        if isinstance(mend, Round | Midpoint):
            names = mend.measures or tuple(measure.name for measure in table.measures if measure.kind == "count")
            for name in names:
                if name not in {measure.name for measure in table.measures if measure.kind != "mean"}:
                    raise reshape.data_mend_invalid(reason_zh=f"{name} 不能取整", reason_en=f"{name} cannot be rounded")
                method = "round" if isinstance(mend, Round) else "midpoint"
                found[name] = Rounded(method, mend.base, isinstance(mend, Round) and mend.controlled)
    return found


def _rounded(
    table: ExactTable, linked: Linked, rounding: Mapping[str, Rounded]
) -> tuple[dict[str, dict[int, Exact]], dict[str, Rounded], frozenset[str]]:
    values: dict[str, dict[int, Exact]] = {}
    done, additive = dict(rounding), set()
    for name, how in rounding.items():
        place = table.measure(name)
        if how.controlled:
            system = next(system for system in linked.systems if system.measure.name == name)
            found = controlled(system, how.base) if table.measures[place].additive else None
            if found is not None:
                values[name] = {number: found[linked.slot[0, number]] for number in range(len(table.cells))}
                additive.add(name)
                continue
            done[name] = how = replace(how, controlled=False)
        values[name] = {number: rounded(cell.amounts[place].total, how) for number, cell in enumerate(table.cells)}
    return values, done, frozenset(additive)


def _suppressed(made: Outcome, found: Sequence[Sensitive], wanted: Sequence[Suppress]) -> Outcome:
    forced = frozenset().union(*(reshape.cells_at(made.table, mend.cells) for mend in wanted)) | made.absent
    keep = frozenset().union(*(reshape.cells_at(made.table, mend.keep) for mend in wanted))
    weight = next((mend.weight for mend in wanted if mend.weight is not None), made.pack.suppression.weight)
    primary = frozenset(one.cell for one in found)
    slots = made.linked.slot
    task = Task(
        made.linked,
        _needs(made, found, frozenset(slots[0, number] for number in primary | forced)),
        _weights(made, weight),
        frozenset(slots[0, number] for number in forced | primary),
        frozenset(slots[0, number] for number in keep),
        _windows(made),
        _alone(made),
        made.pack.suppression.own == "protection",
        _others(made) | frozenset(slots[0, number] for number in made.known),
    )
    best: tuple[Outcome, Pattern] | None = None
    effort = made.pack.suppression.effort
    for repair in range(REPAIRS):
        chosen = pattern(task, effort // (1 + 4 * min(repair, 1)))
        hidden = frozenset(number for number in range(len(made.table.cells)) if slots[0, number] in chosen.hidden)
        result = replace(made, hidden=hidden, primary=primary, cost=chosen.cost)
        checked = _audited(result, found)
        result = replace(result, audit=checked)
        if best is None or len(checked.breaches) < len(best[0].audit.breaches if best[0].audit else ()):
            best = result, chosen
        more = frozenset(unknown for breach in checked.breaches for unknown in _line(made.linked, breach.system, breach.unknown, chosen.hidden))
        if checked.safe or not more - task.forced:
            break
        task = replace(task, forced=task.forced | more)
    assert best is not None
    return _cheaper(best[0], task, found)


def _cheaper(result: Outcome, task: Task, found: Sequence[Sensitive]) -> Outcome:
    """The outcome with its bound; with the optimal pattern instead where the table is small enough to have it, and the audit agrees."""
    bound = least(task)
    if result.audit is None or not result.audit.safe:
        return replace(result, bound=bound)
    optimal = cheapest(task, result.cost)
    if optimal is None:
        return replace(result, bound=bound)
    pattern_, below = optimal
    result = replace(result, bound=min(max(bound, below), result.cost))
    if pattern_ is None:
        return result
    slots = result.linked.slot
    hidden = frozenset(number for number in range(len(result.table.cells)) if slots[0, number] in pattern_)
    other = replace(result, hidden=hidden, cost=sum(task.weights[unknown] for unknown in pattern_))
    checked = _audited(other, found)
    return replace(other, audit=checked, bound=min(result.bound, other.cost)) if checked.safe else result


def _line(linked: Linked, system: int, unknown: int, hidden: frozenset[int]) -> tuple[int, ...]:
    """The smallest sum the unknown is a part of that is not wholly hidden yet: hiding all of its parts is the next thing to try."""
    lines = [linked.systems[system].sums[number].parts for number in linked.systems[system].touching.get(unknown, ())]
    lines = [parts for parts in lines if unknown in parts and not hidden.issuperset(parts)]
    return min(lines, key=lambda parts: (sum(linked.units(part) for part in parts), parts), default=())


def _needs(made: Outcome, found: Sequence[Sensitive], hidden: frozenset[int]) -> list[dict[int, Need]]:
    """Per system, what must be held possible of each hidden number that a rule found sensitive."""
    needs: list[dict[int, Need]] = [{} for _ in made.linked.systems]
    number_of = _systems(made)
    for one in found:
        slot = made.linked.slot[0, one.cell]
        if slot in hidden:
            number = number_of[made.table.measures[one.measure].name]
            need = Need(one.below, one.above)
            needs[number][slot] = needs[number][slot].with_(need) if slot in needs[number] else need
    return needs


def _systems(made: Outcome) -> dict[str, int]:
    """The system of each measure of the table."""
    found = {}
    for measure in made.table.measures:
        for number, system in enumerate(made.linked.systems):
            mine = (system.measure.kind == "count") == (measure.kind == "count") and system.measure.of == measure.of
            if system.measure.name == measure.name or (mine and measure.of and system.measure.additive == measure.additive):
                found[measure.name] = number
                break
    return found


def _weights(made: Outcome, weight: str) -> list[float]:
    """What is lost with each unknown; a table beside cannot lose any."""
    linked, found = made.linked, []
    for slot in range(len(linked.cells)):
        table, cell = linked.cells[slot][0]
        one = linked.tables[table].cells[cell]
        value = max((float(amount.weight) for amount in one.amounts), default=0.0)
        found.append({"cells": 1.0, "units": 1.0 + one.units, "value": 1.0 + value}[weight])
    middle = sum(found) / max(len(found), 1)
    return [item / middle * 10 for item in found]


def _others(made: Outcome) -> frozenset[int]:
    """Unknowns that only the tables beside hold: they are released as they are."""
    return frozenset(slot for slot, where in enumerate(made.linked.cells) if all(table for table, _ in where))


def _windows(made: Outcome) -> list[dict[int, tuple[Exact, Exact]]]:
    """Per system, what is left open of each number that is shown rounded (whether or not the cell is hidden later). Of a large table: nothing,
    as if it were shown exactly; who knows more than there is to know is held off all the more, and programs stay small."""
    windows: list[dict[int, tuple[Exact, Exact]]] = [{} for _ in made.linked.systems]
    if len(made.linked.cells) > MOST_WINDOWS:
        return windows
    number_of = _systems(made)
    for name, how in made.rounded.items():
        measure = made.table.measures[made.table.measure(name)]
        grid = Fraction(1, 10**measure.decimals)
        for number, value in made.values[name].items():
            windows[number_of[name]][made.linked.slot[0, number]] = window(value, how, grid, measure.signed)
    return windows


def _alone(made: Outcome) -> list[frozenset[int]]:
    """What each unit that is alone in cells knows: all of those cells, where holders say they are the same unit's."""
    if made.pack.suppression.own == "ignore":
        return []
    groups: dict[object, set[int]] = {}
    for number, cell in enumerate(made.table.cells):
        if cell.units == 1:
            holder = next((amount.holders[0] for amount in cell.amounts if amount.holders), None)
            groups.setdefault(("cell", number) if holder is None else ("unit", holder), set()).add(made.linked.slot[0, number])
    return [frozenset(group) for group in groups.values()]


def _audited(made: Outcome, found: Sequence[Sensitive]) -> Audit:
    linked = made.linked
    hidden = frozenset(linked.slot[0, number] for number in made.hidden)
    shown_before = frozenset(linked.slot[0, number] for number in made.known)
    windows = _windows(made)
    seen = []
    for number, system in enumerate(linked.systems):
        shown: dict[int, tuple[Exact, Exact]] = {}
        for unknown, value in enumerate(system.truth):
            if value is not None and unknown in shown_before:
                shown[unknown] = (value, value)
            elif value is not None and unknown not in hidden:
                shown[unknown] = windows[number].get(unknown, (value, value))
        seen.append(Seen(shown))
    needs = [{unknown: (need.below, need.above) for unknown, need in each.items()} for each in _needs(made, found, hidden)]
    assert all(each.keys() <= hidden for each in needs)
    alone = [group & hidden for group in _alone(made) if group & hidden]
    return audit(linked, seen, needs, alone, made.pack.suppression.own == "protection")


def _decimal(value: Exact, decimals: int) -> Decimal:
    """To the last place shown, ties to even."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(Fraction(value).numerator) / Decimal(Fraction(value).denominator)
        return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
