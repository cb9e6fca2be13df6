"""How often the rules shipped raise a false alarm in a month of simulated honest work: what `make bench` measured, kept beside the rules.

`measured.json`: operators, jobs and days of the simulation, and by rule how many alerts it raised, every one of them false. A test runs a
smaller month and holds it to this.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.watch.rules import Rule, shipped_rules


@lru_cache(maxsize=1)
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("measured.json").read_text(encoding="utf-8"))
    return found


def simulated(rule: Rule) -> int | None:
    """False alarms a month of this very rule; None for one with other numbers, which nobody has measured."""
    if rule not in shipped_rules().rules:
        return None
    return int(measured()["false_alarms"].get(rule.id, 0))
