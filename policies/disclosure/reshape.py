"""Merging and dropping: another table of the same people. What is dropped is not gone: its cells stay known to the audit as hidden ones,
because a total less the levels that are shown would tell them."""

from __future__ import annotations

from dataclasses import replace

from policies.disclosure.mend import Drop, Merge
from policies.disclosure.table import Amount, Cell, Dimension, ExactTable, Level
from policies.problem import declare

data_mend_invalid = declare(
    "data_mend_invalid",
    zh=("处理方式不适用", "{reason_zh}。", "请核对处理方式中的名称与类别。"),
    en=("The treatment does not fit", "{reason_en}.", "Check the names and levels in the treatment (mend)."),
)
data_mend_recount = declare(
    "data_mend_recount",
    zh=("须由原始侧重新计数", "{what}须在原始数据侧重新计数后才能得出。", "请以合并后的类别（或剔除后的记录）重新提交作业。"),
    en=(
        "The raw data must be counted again",
        "{what} can only be obtained by counting the raw data again.",
        "Submit the job again with the levels merged, or without those records.",
    ),
)


def merged(table: ExactTable, mend: Merge) -> ExactTable:
    """The table with several levels of one parent made one. Raises `data_mend_invalid`; `data_mend_recount` when a unit may be in several of
    the cells, so that units do not add up."""
    axis = _axis(table, mend.dimension)
    dimension = table.dimensions[axis]
    places = [_level(dimension, code) for code in mend.levels]
    if len({dimension.levels[place].parent for place in places}) != 1:
        raise data_mend_invalid(
            reason_zh=f"{mend.dimension} 的这些类别不属于同一上级", reason_en=f"these levels of {mend.dimension} do not have one parent"
        )
    if mend.into in {level.code for at, level in enumerate(dimension.levels) if at not in places}:
        raise data_mend_invalid(reason_zh=f"{mend.into} 已是另一类别的名称", reason_en=f"{mend.into} is another level's name")
    if not table.disjoint or any(not measure.additive for measure in table.measures):
        raise data_mend_recount(what=f"{mend.dimension}: {mend.into}")
    levels, place_of = _joined(dimension, places, mend.into)
    made = replace(dimension, levels=levels)
    cells: dict[tuple[int, ...], list[Cell]] = {}
    for cell in table.cells:
        at = (*cell.at[:axis], place_of[cell.at[axis]], *cell.at[axis + 1 :])
        cells.setdefault(at, []).append(cell)
    new = place_of[places[0]]
    kept = {at: parts for at, parts in cells.items() if at[axis] != new or len(parts) == len(places)}
    dimensions = (*table.dimensions[:axis], made, *table.dimensions[axis + 1 :])
    return replace(table, dimensions=dimensions, cells=tuple(_sum(at, parts) for at, parts in kept.items()))


def _joined(dimension: Dimension, places: list[int], into: str) -> tuple[tuple[Level, ...], dict[int, int]]:
    """The levels after the merge, and where each old one is now. Children of the merged levels are all children of the new one."""
    first = min(places)
    kept = [at for at in range(len(dimension.levels)) if at == first or at not in places]
    place_of = {old: new for new, old in enumerate(kept)} | {old: kept.index(first) for old in places}
    parented = any(place in dimension.children for place in places)
    codes = () if parented else tuple(sorted(code for place in places for code in dimension.codes(place)))
    levels = []
    for old in kept:
        level = dimension.levels[old]
        parent = None if level.parent is None else place_of[level.parent]
        if old == first:
            levels.append(Level(into, parent, all(dimension.levels[place].whole for place in places), codes))
        else:
            levels.append(replace(level, parent=parent))
    return tuple(levels), place_of


def _sum(at: tuple[int, ...], parts: list[Cell]) -> Cell:
    if len(parts) == 1:
        return replace(parts[0], at=at)
    amounts = []
    for place in range(len(parts[0].amounts)):
        several = [part.amounts[place] for part in parts]
        # a list that ends before its cell's units do ranks no further than its own length
        cut = [len(one.largest) for one, part in zip(several, parts, strict=True) if part.units > len(one.largest)]
        shortest = min(cut, default=sum(len(one.largest) for one in several))
        known = all(one.holders or not one.largest for one in several)
        ranked = sorted(
            ((value, one.holders[rank] if known and one.holders else 0) for one in several for rank, value in enumerate(one.largest)),
            key=lambda item: -item[0],
        )[:shortest]
        amounts.append(
            Amount(
                sum(one.total for one in several),
                sum(one.values for one in several),
                tuple(value for value, _ in ranked),
                tuple(holder for _, holder in ranked) if known else (),
                sum(one.weight for one in several),
            )
        )
    return Cell(at, sum(part.units for part in parts), tuple(amounts))


def without_measures(table: ExactTable, names: tuple[str, ...]) -> ExactTable:
    """The table without some of its measures."""
    for name in names:
        if name not in {measure.name for measure in table.measures}:
            raise data_mend_invalid(reason_zh=f"没有度量 {name}", reason_en=f"there is no measure {name}")
    kept = [place for place, measure in enumerate(table.measures) if measure.name not in names]
    if not kept:
        raise data_mend_invalid(reason_zh="度量不能全部删去", reason_en="a table keeps at least one measure")
    cells = tuple(replace(cell, amounts=tuple(cell.amounts[place] for place in kept)) for cell in table.cells)
    return replace(table, measures=tuple(table.measures[place] for place in kept), cells=cells)


def without_dimension(table: ExactTable, name: str) -> ExactTable:
    """The table of the dimension's total alone, without the dimension."""
    axis = _axis(table, name)
    total = table.dimensions[axis].everything
    if total is None:
        raise data_mend_invalid(reason_zh=f"{name} 没有合计类别，不能删去", reason_en=f"{name} has no total that could stand for it")
    cells = tuple(replace(cell, at=(*cell.at[:axis], *cell.at[axis + 1 :])) for cell in table.cells if cell.at[axis] == total)
    return replace(table, dimensions=(*table.dimensions[:axis], *table.dimensions[axis + 1 :]), cells=cells)


def dropped(table: ExactTable, mend: Drop) -> frozenset[int]:
    """Cells of the levels dropped, and of all that is below them."""
    if mend.dimension is None or not mend.levels:
        return frozenset()
    axis = _axis(table, mend.dimension)
    dimension = table.dimensions[axis]
    gone = {_level(dimension, code) for code in mend.levels}
    while more := {part for level in gone for part in dimension.children.get(level, ())} - gone:
        gone |= more
    return frozenset(number for number, cell in enumerate(table.cells) if cell.at[axis] in gone)


def cells_at(table: ExactTable, wanted: tuple[tuple[str, ...], ...]) -> frozenset[int]:
    """Numbers of the cells at these levels, dimension by dimension. Raises `data_mend_invalid`."""
    where, found = table.where, set()
    for codes in wanted:
        if len(codes) != len(table.dimensions):
            raise data_mend_invalid(reason_zh="单元格的类别数与维度数不符", reason_en="a cell names as many levels as there are dimensions")
        at = tuple(_level(dimension, code) for dimension, code in zip(table.dimensions, codes, strict=True))
        if at not in where:
            raise data_mend_invalid(reason_zh=f"表中没有单元格 {'、'.join(codes)}", reason_en=f"the table has no cell {', '.join(codes)}")
        found.add(where[at])
    return frozenset(found)


def _axis(table: ExactTable, name: str) -> int:
    for axis, dimension in enumerate(table.dimensions):
        if dimension.name == name:
            return axis
    raise data_mend_invalid(reason_zh=f"没有维度 {name}", reason_en=f"there is no dimension {name}")


def _level(dimension: Dimension, code: str) -> int:
    try:
        return dimension.at(code)
    except KeyError:
        raise data_mend_invalid(reason_zh=f"{dimension.name} 没有类别 {code}", reason_en=f"{dimension.name} has no level {code}") from None
