"""How many units have rows in one released cell and not in another: what only the raw side can tell of two populations.

Both cells are over the same relation, and the part's rows are among the whole's, so a unit has a row between exactly where it has more rows in
the whole. The numbers are evidence for reviewers; they are as confidential as the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from infra.vault import Vault
from policies.catalogue import KeyValue
from sandbox.plan.emit import constant
from sandbox.plan.exact_model import ExactPlan
from sandbox.raw.engine import query
from sandbox.raw.exact import code_of
from sandbox.raw.released import streamed
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, sources_of

Codes = Mapping[str, frozenset[str]]  # by canonical name of a key: the codes of its values that are in the cell


@dataclass(frozen=True, slots=True)
class Pair:
    """A whole and a part, by their keys' values; each is a cell of its own plan. `first`: the whole is the first plan's."""

    whole: str  # SQL over the rows of one plan
    part: str
    first: bool


@dataclass(frozen=True, slots=True)
class BetweenTask:
    plans: tuple[ExactPlan, ExactPlan]
    pairs: tuple[Pair, ...]
    seed: int = field(repr=False)
    sources: tuple[tuple[Source, ...], tuple[Source, ...]]
    memory_bytes: int


def condition(plan: ExactPlan, codes: Codes) -> str:
    """The cell's keys as SQL over the plan's rows. ValueError when a key is not one of the plan's."""
    by_name = {key.column: (place, key) for place, key in enumerate(plan.keys)}
    terms = []
    for column, wanted in codes.items():
        if column not in by_name:
            raise ValueError("a cell of another plan")
        place, key = by_name[column]
        values: list[KeyValue | None] = [value for value in key.domain if code_of(key, value) in wanted]
        known = ", ".join(constant(value) for value in values if value is not None)
        term = f"k{place} IN ({known})" if known else "FALSE"
        terms.append(f"({term} OR k{place} IS NULL)" if None in values else term)
    return " AND ".join(terms) or "TRUE"


def units_between(plans: tuple[ExactPlan, ExactPlan], pairs: Sequence[Pair], vault: Vault, workers: Pool, seed: int) -> list[int]:
    """For each pair, the units between. Raises `data_snapshot_refused`, `job_failed`, and ValueError when units have other names in one plan
    than in the other: nobody could tell who is in both."""
    if len({scan.pseudonym for plan in plans for scan in plan.scans if scan.private}) > 1:
        raise ValueError("units under other names")
    mine, theirs = (sources_of(plan.scans, vault) for plan in plans)
    shards = min(len(mine), len(theirs))
    merged = [(_merged(mine, shard, shards), _merged(theirs, shard, shards)) for shard in range(shards)]
    tasks = [BetweenTask(plans, tuple(pairs), seed, sources, workers.memory_bytes) for sources in merged]
    return constant_failure(lambda: _sum(list(streamed(workers, run_between, tasks)), len(pairs)))


def _merged(shards: Sequence[tuple[Source, ...]], at: int, count: int) -> tuple[Source, ...]:
    """The sources of shards at, at + count, …: units are partitioned by one keyed hash into powers of two."""
    own = shards[at::count]
    return tuple(
        Source(source.alias, tuple(dict.fromkeys(part for one in own for part in one[place].parts)), source.columns, source.window)
        for place, source in enumerate(own[0])
    )


def run_between(task: BetweenTask) -> list[int] | None:
    """One shard's numbers, or None for every failure."""
    try:
        rows = [
            query(plan.rows_sql, {source.alias: decrypted(source, task.memory_bytes) for source in sources}, {"seed": task.seed})
            for plan, sources in zip(task.plans, task.sources, strict=True)
        ]
        return [_between(pair, *(rows if pair.first else reversed(rows))) for pair in task.pairs]
    except Exception:
        return None


def _between(pair: Pair, whole: pa.Table, part: pa.Table) -> int:
    counted = query(
        f"SELECT count(*) AS n FROM (SELECT u, count(*) AS n FROM whole WHERE {pair.whole} GROUP BY u) AS w "
        f"LEFT JOIN (SELECT u, count(*) AS n FROM part WHERE {pair.part} GROUP BY u) AS p ON p.u = w.u WHERE w.n > COALESCE(p.n, 0)",
        {"whole": whole, "part": part},
    )
    return int(counted.column("n")[0].as_py())


def _sum(shards: Sequence[list[int] | None], pairs: int) -> list[int]:
    totals = [0] * pairs
    for shard in shards:
        if shard is None:
            raise ValueError("a shard failed")
        totals = [one + more for one, more in zip(totals, shard, strict=True)]
    return totals
