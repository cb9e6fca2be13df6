"""Exact tables made up from a seed, and what somebody who tries every table of whole numbers can work out of hidden cells."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product

from policies.disclosure.table import Amount, Basis, Cell, Dimension, ExactTable, Level, Measure

FACTS = {"title": "就诊人次（按城市）", "population": "全部参保人员", "purpose": "医疗资源布局研究"}


def dimension(name: str, fan: Sequence[int]) -> Dimension:
    """A total, and below each level as many as `fan` says, level by level."""
    levels, front = [Level(f"{name}-total")], [0]
    for many in fan:
        below = []
        for parent in front:
            for _ in range(many):
                levels.append(Level(f"{name}{len(levels)}", parent))
                below.append(len(levels) - 1)
        front = below
    return Dimension(name, f"visits.{name}", tuple(levels))


def flat(name: str, codes: Sequence[str], total: str | None = "total") -> Dimension:
    parent = None if total is None else len(codes)
    levels = [Level(code, parent) for code in codes]
    return Dimension(name, f"visits.{name}", tuple(levels if total is None else [*levels, Level(total)]))


def basis(where: object = True, job: str = "job-1", snapshot: str = "s1") -> Basis:
    return Basis("person", "visits", snapshot, where, "L-1", "shape", job)


def counted(
    dimensions: Sequence[Dimension], finest: Mapping[tuple[int, ...], int], of: Basis | None = None, facts: Mapping[str, str] | None = None
) -> ExactTable:
    """A table of counts of units with every margin, from its finest cells by levels."""
    cells = []
    for at in product(*(range(len(one.levels)) for one in dimensions)):
        leaves = product(*(one.leaves(place) for one, place in zip(dimensions, at, strict=True)))
        value = sum(finest.get(leaf, 0) for leaf in leaves)
        cells.append(Cell(at, value, (Amount(value, value),)))
    return ExactTable(of or basis(), tuple(dimensions), (Measure("n", "count"),), tuple(cells), facts=FACTS if facts is None else facts)


def grid(rows: Sequence[Sequence[int]], **more: object) -> ExactTable:
    """A two-way table with totals."""
    one, two = flat("row", [f"r{at}" for at in range(len(rows))]), flat("column", [f"c{at}" for at in range(len(rows[0]))])
    return counted([one, two], {(r, c): value for r, line in enumerate(rows) for c, value in enumerate(line)}, **more)  # type: ignore[arg-type]


def random_counts(fans: Sequence[Sequence[int]], seed: int, zero: float = 0.1, small: float = 0.08, mean: int = 25) -> ExactTable:
    rng = random.Random(seed)
    dimensions = [dimension("abcd"[at], fan) for at, fan in enumerate(fans)]
    leaves = [[place for place in range(len(one.levels)) if place not in one.children] for one in dimensions]
    finest = {}
    for at in product(*leaves):
        luck = rng.random()
        finest[at] = 0 if luck < zero else rng.randint(1, 9) if luck < zero + small else 10 + int(rng.expovariate(1 / mean))
    return counted(dimensions, finest)


def random_sums(fans: Sequence[Sequence[int]], seed: int) -> ExactTable:
    """Enterprises with a count and a sum each; the largest three contributions of each cell, with holders."""
    rng = random.Random(seed)
    dimensions = [dimension("abcd"[at], fan) for at, fan in enumerate(fans)]
    leaves = [[place for place in range(len(one.levels)) if place not in one.children] for one in dimensions]
    finest: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    who = 0
    for at in product(*leaves):
        finest[at] = []
        for _ in range(rng.choice((0, 1, 2, 8, 12, 15, 20))):
            who += 1
            finest[at].append((int(rng.lognormvariate(5, 0.8)), who))
    cells = []
    for at in product(*(range(len(one.levels)) for one in dimensions)):
        held = [one for leaf in product(*(d.leaves(place) for d, place in zip(dimensions, at, strict=True))) for one in finest[leaf]]
        largest = sorted(held, reverse=True)[:3]
        tops, holders = tuple(value for value, _ in largest), tuple(holder for _, holder in largest)
        total = sum(value for value, _ in held)
        cells.append(Cell(at, len(held), (Amount(len(held), len(held)), Amount(total, len(held), tops, holders))))
    measures = (Measure("n", "count"), Measure("turnover", "sum", of="firms.turnover"))
    return ExactTable(basis(), tuple(dimensions), measures, tuple(cells), facts=FACTS)


def brute(table: ExactTable, hidden: frozenset[int], most: int, place: int = 0) -> dict[int, tuple[int, int]]:
    """The least and the largest each hidden number can be, trying every whole number up to `most` for the hidden ones at the finest levels;
    sums say the rest. Only for tables whose margins follow from their finest cells."""
    truth = [int(cell.amounts[place].total) for cell in table.cells]
    where = table.where
    finest = [
        number
        for number, cell in enumerate(table.cells)
        if all(level not in one.children for one, level in zip(table.dimensions, cell.at, strict=True))
    ]
    open_ = [number for number in finest if number in hidden]
    makes: dict[int, list[int]] = {}
    for number, cell in enumerate(table.cells):
        leaves = product(*(one.leaves(level) for one, level in zip(table.dimensions, cell.at, strict=True)))
        makes[number] = [where[leaf] for leaf in leaves]
    checks = [number for number in range(len(table.cells)) if number not in hidden and set(makes[number]) & set(open_) and number not in finest]
    found: dict[int, tuple[int, int]] = {}
    value = dict(enumerate(truth))

    def possible(done: set[int], last: bool) -> bool:
        for number in checks:
            parts = makes[number]
            if last or all(part not in open_ or part in done for part in parts):
                if sum(value[part] for part in parts) != truth[number]:
                    return False
            elif sum(value[part] for part in parts if part not in open_ or part in done) > truth[number]:
                return False
        return True

    def visit(at: int, done: set[int]) -> None:
        if not possible(done, at == len(open_)):
            return
        if at == len(open_):
            for number in hidden:
                here = sum(value[part] for part in makes[number])
                low, high = found.get(number, (here, here))
                found[number] = min(low, here), max(high, here)
            return
        for number in range(most + 1):
            value[open_[at]] = number
            visit(at + 1, done | {open_[at]})
        value[open_[at]] = truth[open_[at]]

    visit(0, set())
    return found
