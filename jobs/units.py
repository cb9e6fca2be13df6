"""Whom a promise is about, in words, where it is not about persons: a unit and a period (docs/proofs/blocks.md)."""

from __future__ import annotations

from typing import Any

from jobs.work import Work
from policies.catalogue import Catalogue, Dataset
from policies.catalogue.blocks import WORDS, label_of

NOTE = (
    "隐私单元是“{unit}”（{space}），不是个体本身：保护的是其在一{period}之内的全部行；在多{period}都有行的，总损失随之增加，至多按平方。"
    "读取并计入 {first} 至 {last}，共 {count} 期。",
    "The privacy unit is a {unit} ({space}) and no more: what is protected is all rows of one within one {period}; the loss of somebody with "
    "rows in several grows with their number, up to its square. It reads, and is charged to, {first} to {last}: {count} in all.",
)


def unit_said(dataset: Dataset) -> dict[str, str] | None:
    """What the unit of a dataset with budgets by period is called; None of others."""
    title = dataset.unit_title
    return None if dataset.block is None or title is None else {"space": str(dataset.space), "zh": title.zh, "en": title.en}


def with_unit(explanation: dict[str, Any], plan: Work, catalogue: Catalogue) -> dict[str, Any]:
    """A quote's explanation that says first whom it protects and which periods it reads, where budgets are by period; else as it was."""
    windows = [scan.window for scan in plan.scans if scan.window is not None]
    said = next((unit for scan in plan.scans if scan.window is not None and (unit := unit_said(catalogue[scan.dataset].dataset))), None)
    if not windows or said is None:
        return explanation
    kind, numbers = windows[0].period, sorted({number for window in windows for number in window})
    first, last = label_of(kind, numbers[0]), label_of(kind, numbers[-1])
    more: dict[str, Any] = {"unit": said, "periods": {"first": first, "last": last, "count": len(numbers)}}
    for place, language in enumerate(("zh", "en")):
        note = NOTE[place].format(
            unit=said[language], space=said["space"], period=WORDS[kind][place], first=first, last=last, count=len(numbers)
        )
        more[language] = [note, *explanation.get(language, [])]
    return {**explanation, **more}
