"""The rows that frontiers give: one query over their noisy tables, for the answer itself or for a table that other queries read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.plan.answer import HALF_WIDTH
from sandbox.plan.branch import Branch
from sandbox.plan.emit import cut, finish_sql, ordered
from sandbox.plan.model import Output
from sandbox.plan.outer import STORED_AS
from sandbox.sql.expr import Expr, emit, quoted

Columns = Callable[[Branch], list[tuple[str, str]]]  # (SQL, name) of each column


@dataclass(eq=False)
class Noised:
    """`branches` of one query, one for each of its grouping sets, the same one twice where a set is asked twice."""

    branches: list[Branch]
    limit: int | None
    offset: int | None

    @property
    def sets(self) -> list[Branch]:
        return list(dict.fromkeys(self.branches))

    def answer_sql(self) -> str:
        """The answer: every column, then the half-widths of values."""
        return self._sql(_shown)

    def table_sql(self) -> str:
        """A table: c0, c1, … as they are kept, then the half-widths w0, w1, … of those that are values."""
        return self._sql(_kept)

    def outputs(self) -> tuple[Output, ...]:
        described = [
            [item.output(branch.totals, branch.noise, branch.expected_rows, branch.fitted) for item in branch.select] for branch in self.sets
        ]
        return tuple(_merged(column) for column in zip(*described, strict=True))

    def _sql(self, columns: Columns) -> str:
        if len(self.branches) == 1:
            (branch,) = self.branches
            by = [f"{sql} {way}" for sql, way in branch.order] + [f"noisy.{key.name} ASC NULLS LAST" for key in branch.made]
            return finish_sql(columns(branch), branch.noisy_sql, branch.having, by, self.limit, self.offset)
        names = [name for _, name in columns(self.branches[0])]
        sides = " UNION ALL ".join(self._side(branch, columns) for branch in self.branches)
        ties = [f"y{place} {way}" for place, (_, way) in enumerate(self.branches[0].order)]
        ties += [f"z{place} ASC NULLS LAST" for place in range(len(_keys(self.branches[0])))] + ["g ASC"]
        shown = ", ".join(f"x{place} AS {quoted(name)}" for place, name in enumerate(names))
        return f"SELECT {shown} FROM ({sides}) AS sets{ordered(ties)}{cut(self.limit, self.offset)}"

    def _side(self, branch: Branch, columns: Columns) -> str:
        """One set's rows, with what they are put in order by: the asked values, every key, and which keys the set leaves out."""
        made = [(sql, f"x{place}") for place, (sql, _) in enumerate(columns(branch))]
        made += [(sql, f"y{place}") for place, (sql, _) in enumerate(branch.order)]
        made += [(sql, f"z{place}") for place, sql in enumerate(_keys(branch))]
        return finish_sql([*made, (f"{self.sets.index(branch)}::BIGINT", "g")], branch.noisy_sql, branch.having, (), None, None)


def _keys(branch: Branch) -> list[str]:
    """Every key of the query as SQL: NULL where the set leaves it out. In the same order for every set: by how keys are spelled."""
    present = [(repr(key.expr), f"noisy.{made.name}") for key, made in zip(branch.keys, branch.made, strict=True)]
    left_out = [(repr(key.expr), f"CAST(NULL AS {STORED_AS[key.expr.type.kind]})") for key in branch.absent]
    return [sql for _, sql in sorted([*present, *left_out])]


def _shown(branch: Branch) -> list[tuple[str, str]]:
    values = [(item.sql(), item.label) for item in branch.select]
    return values + [(item.width(branch.noise), item.label + HALF_WIDTH) for item in branch.select if item.form is not None]


def _kept(branch: Branch) -> list[tuple[str, str]]:
    values = [(kept(item.expr), f"c{place}") for place, item in enumerate(branch.select)]
    return values + [(item.width(branch.noise), f"w{place}") for place, item in enumerate(branch.select) if item.form is not None]


def kept(expr: Expr) -> str:
    """A value as a table keeps it: numbers in 64 bits, exact ones in units of their scale."""
    return f"TRY_CAST({emit(expr)} AS {STORED_AS[expr.type.kind]})"


def _merged(described: Sequence[Output]) -> Output:
    """What holds of a column in every grouping set."""
    first = described[0]
    if all(output == first for output in described):
        return first
    known = [output.expected_half_width for output in described if output.expected_half_width is not None]
    same: dict[str, Any] = {
        name: getattr(first, name) if all(getattr(output, name) == getattr(first, name) for output in described) else None
        for name in ("scale", "low", "high", "half_width", "spacing")
    }
    ranks = [output.rank_error for output in described if output.rank_error is not None]
    kind: Literal["key", "value"] = "value" if any(output.kind == "value" for output in described) else "key"
    return dataclasses.replace(first, kind=kind, expected_half_width=max(known, default=None), rank_error=max(ranks, default=None), **same)
