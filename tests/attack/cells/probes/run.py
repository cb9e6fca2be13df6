"""What a cell runs: the probes that the block's rows name, one after the other, and a fixed frame that tells of each."""

from __future__ import annotations

import importlib
import json
from typing import Any

WIDTH = 64  # numbers for each probe: how it ended, then its text, a letter each
BATCH = 32
NOTHING, GOT, REFUSED = 1.0, 2.0, 3.0


def attack(rows: Any, world: dict[str, Any]) -> list[float]:
    """Rows have `probe` (`module:function`) and `aim` (JSON on top of the parameters)."""
    frame: list[float] = []
    for name, aim in zip(rows["probe"].to_pylist(), rows["aim"].to_pylist(), strict=True):
        frame += carry_out(name, {**world, **json.loads(aim)})
    return frame + [0.0] * (BATCH * WIDTH - len(frame))


def carry_out(name: str, world: dict[str, Any]) -> list[float]:
    module, _, function = name.partition(":")
    try:
        got = getattr(importlib.import_module(f"probes.{module}"), function)(world)
        how, text = (NOTHING, "") if got is None else (GOT, str(got))
    except BaseException as refusal:
        how, text = REFUSED, f"{type(refusal).__name__}: {refusal}"
    letters = [float(ord(letter)) for letter in text[: WIDTH - 1]]
    return [how, *letters, *[0.0] * (WIDTH - 1 - len(letters))]
