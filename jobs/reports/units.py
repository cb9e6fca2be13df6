"""Whom a report's losses are about: the privacy unit of the data, a unit or a unit and a period (docs/proofs/blocks.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.reports import words
from jobs.reports.activity import Activity
from jobs.reports.model import Fact, Table, column, pair
from jobs.reports.world import World
from policies.catalogue import Title
from policies.catalogue.blocks import WORDS
from policies.licence import Licence

TITLE = pair("隐私单元（隐私损失所关于的对象）", "Privacy unit (whom privacy loss is about)")


@dataclass(frozen=True, slots=True)
class Unit:
    """`title`: what one is called; `period`: what of budgets by period, None where the unit is whole."""

    space: str
    title: Title
    period: Title | None
    datasets: tuple[str, ...]


def units(world: World, licences: Iterable[Licence]) -> tuple[Unit, ...]:
    """Of the protected data that any of these licences grants, as its newest version declares it; in order of the spaces."""
    granted = {grant.dataset.casefold() for licence in licences for grant in licence.datasets}
    found: dict[tuple[str, Title], list[str]] = defaultdict(list)
    periods: dict[str, Title | None] = {}
    for name, seen in world.datasets.items():
        dataset = seen.snapshot.dataset if seen.snapshot else None
        if name in granted and dataset is not None and dataset.space is not None and dataset.unit_title is not None:
            found[dataset.space, dataset.unit_title].append(dataset.name)
            periods[dataset.space] = None if dataset.block is None else pair(*WORDS[dataset.block.period])
    ordered = sorted(found, key=lambda key: (key[0], found[key]))
    return tuple(Unit(space, title, periods[space], tuple(found[space, title])) for space, title in ordered)


def granted(activity: Activity, world: World) -> list[Licence]:
    """Every version of the licences of whom the report is about: what a loss may have come of."""
    return [version.licence for seen in world.licences.values() if activity.mine(seen.operator) for version in seen.versions]


def told(found: tuple[Unit, ...]) -> Fact:
    """In one line, beside a loss."""
    if not found:
        return Fact(title=TITLE, value=pair("没有受保护的数据集", "no protected data"))
    zh, en = [], []
    for unit in found:
        names = words.many(unit.datasets)
        zh.append(f"{unit.title.zh}{'' if unit.period is None else '（仅限一期之内）'}：{names.zh}")
        en.append(f"{unit.title.en}{'' if unit.period is None else ' (within one period only)'}: {names.en}")
    return Fact(title=TITLE, value=pair("；".join(zh), "; ".join(en)))


def table(found: tuple[Unit, ...]) -> Table:
    whole = pair("不分期", "none")
    return Table(
        name="units",
        title=TITLE,
        columns=(
            column("unit", "隐私单元", "Privacy unit"),
            column("space", "单元空间", "Unit space"),
            column("period", "按期预算", "Budgets by period"),
            column("datasets", "数据集", "Datasets"),
        ),
        rows=tuple((unit.title, unit.space, unit.period or whole, words.many(unit.datasets)) for unit in found),
        note=pair(
            "ρ、δ 与 ε 所说的损失，都是关于一个隐私单元的。预算按期的，单元是个体与一期：保护的是其在一期之内的全部行，不是个体本身；"
            "在多期都有行的，总损失随期数增加，至多按平方。",
            "Every loss in ρ, δ or ε is about one privacy unit. Where budgets are by period that is a unit and a period: all rows of one "
            "within one period are protected, no more; the loss of somebody with rows in several grows with that number, to its square.",
        ),
    )
