"""Versions whose table is not what was released but the sum of it: running totals, put together from the nodes of a tree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from policies.problem import declare
from policies.product.running import Costs, Running
from sandbox.finish.finish import HALF_WIDTH
from sandbox.finish.summed import TablesDiffer, summed, table_of
from sandbox.plan.additive import Added, half_width

RUNNING_KEYS = declare(
    "product_running_keys",
    zh=(
        "各期结果的分组不同，不能相加",
        "组成累计的发布结果不是同一组列、同一组公开取值的结果，或有缺值。",
        "公开取值或列有变后，此前各期的结果没有新取值的数；请停止此项累计，另设一项，并为其另列预算。",
    ),
    en=(
        "The groups of the periods differ and cannot be added",
        "The releases that make up the total do not have the same columns and public keys, or a value is missing.",
        "Where keys or columns have changed, earlier releases have no figures for the new values: stop this running total and set up "
        "another with its own budget.",
    ),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A release that is added: the period it ends with, what it reads, and the scale of the noise of each column added."""

    release: str
    period: int
    first: date
    before: date
    scales: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Total:
    """How a version's table follows from its releases. `half_widths`, by column of half-widths, where there are several."""

    keys: tuple[str, ...]
    half_widths: Mapping[str, float]
    columns: Mapping[str, Mapping[str, Any]]  # what becomes of what is said of a column, where there are several
    said: Mapping[str, Any]  # in the version's record

    @classmethod
    def of(cls, plan: Running, period: int, nodes: Sequence[Node], keys: tuple[str, ...], added: Sequence[Added], *, pure: bool) -> Total:
        """The total at the end of `period`. Noise of different nodes is independent: variances add up (docs/proofs/running.md)."""
        several = len(nodes) > 1
        widths = {each.label + HALF_WIDTH: half_width(_scales(nodes, each.label), each.unit, pure=pure) for each in added} if several else {}
        spread = {each.label: math.hypot(*_scales(nodes, each.label)) for each in added} if several else {}
        noise = "discrete Laplace" if pure else "discrete Gaussian"
        said = {
            "mechanism": "binary tree" if plan.way == "tree" else "anew",
            "dataset": plan.dataset,
            "step": plan.step,
            "first": plan.first.isoformat(),
            "before": plan.begins(period + 1).isoformat(),
            "period": period,
            "periods": plan.periods,
            "charges_at_most": Costs(plan.periods, 1).charges if plan.way == "tree" else plan.periods,
            "nodes": [
                {
                    "release": node.release,
                    "period": node.period,
                    "first": node.first.isoformat(),
                    "before": node.before.isoformat(),
                    "scales": {each.label: node.scales[each.label] for each in added},
                }
                for node in nodes
            ],
            "keys": list(keys),
            "half_widths": widths,
        }
        return cls(
            keys,
            widths,
            {label: {"mechanism": f"{noise}, {len(nodes)} nodes of a binary tree added", "scale": scale} for label, scale in spread.items()},
            said,
        )

    @classmethod
    def recorded(cls, document: Mapping[str, Any]) -> Total | None:
        """As a version's record has it: enough to make its table again. None of a version that is no total."""
        said = document.get("total")
        if said is None:
            return None
        return cls(tuple(said["keys"]), {name: float(width) for name, width in said["half_widths"].items()}, {}, said)


def added_up(sources: Sequence[Path], total: Total) -> pa.Table:
    """The table of staged releases, given as folders, added up. Raises product_running_keys."""
    try:
        return summed([table_of(source / "table.arrow") for source in sources], total.keys, total.half_widths)
    except TablesDiffer:
        raise RUNNING_KEYS() from None


def _scales(nodes: Sequence[Node], label: str) -> list[float]:
    return [node.scales[label] for node in nodes]
