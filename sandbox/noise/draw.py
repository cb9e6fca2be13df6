"""The draw: exact totals in, a table that may be shown out. One call is one release of noise; nothing here draws twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sandbox.noise import keys as wire
from sandbox.noise.chain import by_product, by_released, taken
from sandbox.noise.choose import best
from sandbox.noise.space import Bounded, Database, Totals
from sandbox.noisy import NoisyTable
from sandbox.plan.model import Draw, Part
from sandbox.raw.failure import JOB_FAILED


def draw(part: Part, totals: Totals) -> NoisyTable:
    """Draw the noise that a part of a plan prices, once.

    The measurement invoked is the object whose map was compared with the price, at admission or just now (`plan_price_disagrees` otherwise,
    before the totals are touched). Whatever goes wrong after that is `job_failed`, constant, without cause or context.
    """
    chain = taken(part)
    with suppress(Exception):
        answer = chain.measurement(Database(totals))
        if chain.first is None:
            drawn = {name: column for draw, found in zip(part.draws, answer, strict=True) for name, column in named(part, draw, found).items()}
            return NoisyTable.of(part, wire.product(part.keys), drawn)
        chosen = answer(chain.first)
        released, keys = wire.read_sorted(part.keys, list(chosen))
        drawn = {part.draws[0].total: [chosen[text] for text in released]}
        for later in part.draws[1:]:
            drawn |= named(part, later, answer(chain.rest(later, released)))
        return NoisyTable.of(part, keys, drawn)
    raise JOB_FAILED()  # outside any handler: no traceback keeps what was in hand


def named(part: Part, draw: Draw, found: Any) -> dict[str, list[int]]:
    """The columns that a draw gives to the noisy table."""
    total = part.total(draw.total)
    return dict(zip(total.shares, found, strict=True)) if total.branching else {total.name: list(found)}


def unnoised(part: Part, totals: Totals) -> NoisyTable:
    """What would be drawn if nothing were added and no key left out: for the desk, on files one already holds, alone."""
    bounded = Bounded.of(part, totals.table)
    names = wire.product(part.keys) if part.public_keys else totals.table.select([key.name for key in part.keys])
    size, place = by_product(part) if part.public_keys else by_released(bounded.written)
    rows, at = place(bounded)
    drawn: dict[str, list[int]] = {}
    for total in part.totals:
        for one in total.apart:
            values = [total.low if total.kind == "quantile" else 0] * size
            for row, position in zip(rows.tolist(), at.tolist(), strict=True):
                binned = total.kind == "quantile"
                values[position] = best(one, *bounded.bins[total.name].row(row)) if binned else int(bounded.totals[total.name][row])
            drawn[one.name] = values
    return NoisyTable.of(part, names, drawn)
