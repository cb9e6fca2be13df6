"""What checking an exact table costs: safe patterns with every hidden cell audited, on three hierarchies; comparison with what was released."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from policies.disclosure.apply import outcome
from policies.disclosure.differencing import compare, entries
from policies.disclosure.index import ReleaseIndex
from policies.disclosure.mend import Suppress
from policies.disclosure.pack import shipped_pack
from tests.exact_tables import basis, random_counts

SIZES = {"2,000 cells": ((3, 4), (4, 2), (9,)), "10,000 cells": ((5, 5), (3, 3), (4, 5))}


def bench(sizes: tuple[str, ...] = tuple(SIZES), released: int = 100_000) -> dict[str, Any]:
    """Seconds, by size; and of a comparison of a thousand new cells with `released` earlier ones."""
    pack = shipped_pack("general")
    found: dict[str, Any] = {}
    for name in sizes:
        table = random_counts(SIZES[name], seed=0)
        started, worked = time.perf_counter(), time.process_time()
        made = outcome(table, [Suppress()], pack)
        taken, worked = time.perf_counter() - started, time.process_time() - worked
        assert made.audit is not None
        found[name] = {
            "cells": len(table.cells),
            "sensitive": len(made.primary),
            "hidden": len(made.hidden),
            "safe": made.audit.safe,
            "audit_programs": made.audit.programs,
            "toleranced": made.audit.toleranced,
            "gap_percent": round(100 * (made.cost - made.bound) / max(made.cost, 1e-9), 1),
            "seconds": round(taken, 1),
            "cpu_seconds": round(worked, 1),
        }
    found["differencing"] = differencing(released)
    return found


def differencing(released: int) -> dict[str, Any]:
    """A thousand new cells against `released` earlier ones, of tables over overlapping ages."""
    pack = shipped_pack("rounded")
    index = ReleaseIndex()
    number = 0
    while index.size < released:
        ages = {"and": [{"ge": ["visits.age", ["number", str(number % 37)]]}, {"le": ["visits.age", ["number", str(45 + number % 41)]]}]}
        table = replace(random_counts(((10,), (9,), (8,)), seed=number), basis=basis(ages if number % 3 else True, f"job-{number}"))
        for entry, _ in entries(outcome(table, [], pack)):
            index.add(entry)
        number += 1
    new = replace(random_counts(((10,), (9,), (8,)), seed=10**6), basis=basis({"ge": ["visits.age", ["number", "18"]]}, "new"))
    made = outcome(new, [], pack, earlier=index)
    rule = next(rule for rule in pack.rules if rule.kind == "differencing")
    best, worked = float("inf"), float("inf")
    for _ in range(3):
        started, before = time.perf_counter(), time.process_time()
        compared = compare(made, index, rule)
        best, worked = min(best, time.perf_counter() - started), min(worked, time.process_time() - before)
    return {
        "cells": len(new.cells),
        "released": index.size,
        "pairs": compared.pairs,
        "seconds": round(best, 2),
        "cpu_seconds": round(worked, 2),
    }
