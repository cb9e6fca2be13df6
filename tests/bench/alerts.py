"""False alarms of the rules as shipped, over months of simulated honest work; and what a look costs."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from jobs.watch.rules import shipped_rules
from tests.honest import honest_month

SEEDS = (1, 2, 3)
MEASURED = Path(__file__).parents[2] / "jobs" / "watch" / "measured.json"


def bench(folder: Path, seeds: tuple[int, ...] = SEEDS, days: int = 30) -> dict[str, Any]:
    """False alarms a month by rule, the mean of several months rounded up. Writes what stands beside the rules."""
    raised: Counter[str] = Counter()
    jobs = entries = looks = 0
    began = time.perf_counter()
    for seed in seeds:
        month = honest_month(folder / str(seed) / "home", days=days, seed=seed)
        raised.update(month.raised)
        jobs, entries, looks = jobs + month.jobs, entries + month.entries, looks + month.looks
    months = len(seeds) * month.days / 30
    alarms = {rule.id: -(-raised[rule.id] * 1000 // round(months * 1000)) for rule in shipped_rules().rules}
    found = {"operators": month.operators, "days": month.days, "months": round(months, 1), "jobs": jobs, "false_alarms": alarms}
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    took = time.perf_counter() - began
    return {**found, "entries": entries, "looks": looks, "raised": sum(raised.values()), "seconds": round(took, 1)}
