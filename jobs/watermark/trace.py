"""Whose copy a found file is, and how improbable it would be to say so of somebody who had no part in it.

What is seen in a cell is how far its value was moved, in amplitudes, from the table as released. Where the file is rounded, a cell in which
both letters would have been rounded to one number says nothing and is left out; in the others rounding has decided for one of the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.watermark.cells import Marked, amplitudes, numbers, row_names
from jobs.watermark.code import Code, Floats, Words, chance, named, scores, together
from jobs.watermark.match import matched, rounding_of

FALSE_ACCUSATION = 1e-6  # for a whole trace: over all recipients asked about


@dataclass(frozen=True, slots=True)
class Named:
    """A recipient's score; `log10_chance`: of a bound on the probability that one who had no part would score as much."""

    recipient: str
    score: float
    log10_chance: float
    accused: bool


@dataclass(frozen=True, slots=True)
class Traced:
    """`rows` of the file, those found again, the cells in which something is seen, and every recipient, the likeliest first."""

    rows: int
    found: int
    cells: int
    recipients: tuple[Named, ...]

    @property
    def accused(self) -> tuple[str, ...]:
        return tuple(each.recipient for each in self.recipients if each.accused)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is seen, cell by cell."""

    rows: int
    found: int
    cells: Words
    seen: Floats


def evidence(table: pa.Table, file: pa.Table, columns: Sequence[Marked], secret: bytes) -> Evidence:
    """Of a file beside the table as released. Columns are known by name, in any order; columns that only one has do not matter."""
    file = file.rename_columns(_known(table.schema.names, file.schema.names))
    moved = [column for column in columns if column.name in file.schema.names]
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=table.schema)
    reach = [amplitudes(column, batch) for column in moved]
    fixed = _fixed(table, file, {column.name for column in columns})
    mine, theirs = matched(table, file, fixed, moved, reach)
    names = row_names(batch, secret)[mine]
    cells, seen = [], []
    for column, size in zip(moved, reach, strict=True):
        released, other = numbers(batch.column(column.place))[mine], numbers(file.column(column.name).combine_chunks())
        far, rounding = size[mine], rounding_of(other)
        value = other[theirs]
        up, down = rounding.of(released + far), rounding.of(released - far)
        there = (far > 0) & np.isfinite(value) & (up > down)
        middle, half = (up[there] + down[there]) / 2, (up[there] - down[there]) / 2
        seen.append(np.clip((value[there] - middle) / half, -1.0, 1.0))
        cells.append(named(names[there], column.place))
    return Evidence(file.num_rows, len(mine), np.concatenate(cells) if cells else np.zeros((0, 2), dtype=np.uint64), together(seen))


def accuse(evidence: Evidence, code: Code, recipients: Iterable[str], *, limit: float = FALSE_ACCUSATION) -> Traced:
    """Score everybody asked about. Accused is whoever's bound, times how many are asked about, is below `limit`: so the probability that
    anybody innocent is accused is below it, whatever was done to the file and by how many."""
    asked = sorted(set(recipients))
    biases = code.biases(evidence.cells)
    most = math.log10(limit) - math.log10(max(1, len(asked)))
    found = []
    for recipient in asked:
        score = scores(evidence.seen, code.letters(recipient, evidence.cells), biases)
        bound = chance(score, evidence.seen, biases)
        found.append(Named(recipient, score, bound, bound < most))
    ranked = sorted(found, key=lambda each: (-each.score, each.recipient))
    return Traced(evidence.rows, evidence.found, int(np.count_nonzero(evidence.seen)), tuple(ranked))


def _known(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """The file's column names as the table spells them."""
    spelled = {name.casefold(): name for name in ours}
    named = [spelled.get(name.strip().strip("\ufeff").casefold(), name) for name in theirs]
    return [name if name not in named[:place] else f"{name} {place}" for place, name in enumerate(named)]


def _fixed(table: pa.Table, file: pa.Table, moved: set[str]) -> list[str]:
    """Columns of both that tell rows apart and survive any file format: all but those moved and other fractions."""
    kinds = {field.name: field.type for field in table.schema}
    return [
        name
        for name, kind in kinds.items()
        if name in file.schema.names and name not in moved and not pa.types.is_floating(kind) and not pa.types.is_decimal(kind)
    ]
