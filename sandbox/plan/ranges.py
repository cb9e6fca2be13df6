"""The job's ranges: which column each means, and that none is wider than what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from sqlglot import exp

from policies.catalogue import NUMERIC, Catalogue
from sandbox.plan import problems as refusals
from sandbox.plan.ask import Range
from sandbox.plan.scope import Shared
from sandbox.plan.totals import shown
from sandbox.sql.types import Type


def stored_ranges(ranges: Mapping[str, Range], tree: exp.Expr, catalogue: Catalogue) -> tuple[dict[tuple[str, str], Range], dict[str, Range]]:
    """The ranges of stored columns by dataset and column, and the others by name. Raises `plan_range_widened`."""
    found: dict[tuple[str, str], Range] = {}
    loose: dict[str, Range] = {}
    tables = [(node.alias_or_name, snapshot.dataset) for node in tree.find_all(exp.Table) if (snapshot := catalogue.get(node.name)) is not None]
    for name, asked in ranges.items():
        place, _, last = name.rpartition(".")
        hits = [
            (dataset, column)
            for called, dataset in tables
            if (column := dataset.get(last)) is not None and column.type in NUMERIC and _is(place, (called, dataset.name))
        ]
        if not hits:
            loose[name] = asked
        for dataset, column in hits:
            low, high = column.low, column.high
            if isinstance(low, Decimal) and isinstance(high, Decimal) and not low <= asked.low <= asked.high <= high:
                raise refusals.RANGE_WIDENED(column=name, asked=f"{asked.low} – {asked.high}", limit=f"{low} – {high}")
            found[dataset.name.casefold(), column.name.casefold()] = asked
    return found, loose


def derived_range(shared: Shared, table: str, name: str, kind: Type) -> Type:
    """The type of a derived column of that name with the job's range for it, if there is one. Raises `plan_range_widened`."""
    for asked_name, asked in shared.loose.items():
        place, _, last = asked_name.rpartition(".")
        if last.casefold() == name.casefold() and _is(place, (table,)) and kind.numeric:
            shared.taken.add(asked_name)
            low, high = Fraction(asked.low), Fraction(asked.high)
            if (kind.low is not None and low < kind.low) or (kind.high is not None and high > kind.high):
                limit = " – ".join("…" if end is None else shown(end) for end in (kind.low, kind.high))
                raise refusals.RANGE_WIDENED(column=asked_name, asked=f"{asked.low} – {asked.high}", limit=limit)
            return replace(kind, low=low, high=high)
    return kind


def all_taken(shared: Shared) -> None:
    """Raises `plan_range_unknown` for a range that no column of the query took."""
    for name in shared.loose:
        if name not in shared.taken:
            raise refusals.RANGE_UNKNOWN(name=name)


def _is(place: str, names: Iterable[str]) -> bool:
    return not place or place.casefold() in {name.casefold() for name in names}
