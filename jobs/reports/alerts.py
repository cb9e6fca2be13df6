"""Alerts of a period, with what came of each."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.reports import words
from jobs.reports.activity import Activity
from jobs.reports.model import Cell, Table, column, pair
from jobs.reports.source import Entry
from jobs.reports.world import World


def table(activity: Activity, world: World) -> Table:
    """Raised in the period; acknowledgement and outcome as far as the register has them."""
    later: dict[str, dict[str, Entry]] = {}
    for entry in world.source.entries(("alert_acknowledged", "alert_closed")):
        later.setdefault(entry["alert"], {})[entry.kind] = entry

    def rows() -> Iterator[tuple[Cell, ...]]:
        for entry in activity.events("alert_raised"):
            things = [(str(thing["kind"]), str(thing["id"])) for thing in entry.get("things") or ()]
            if activity.operator is not None and not _touches(things, activity.operator, world):
                continue
            after = later.get(entry["alert"], {})
            seen, closed = after.get("alert_acknowledged"), after.get("alert_closed")
            yield (
                entry.at,
                words.said(words.SEVERITIES, str(entry["severity"])),
                str(entry["rule"]),
                words.many([id for _, id in things]),
                None if seen is None else seen.at,
                None if closed is None else words.said(words.OUTCOMES, str(closed["outcome"])),
                str(entry.index),
            )

    return Table(
        name="alerts",
        title=pair("监测预警", "Alerts"),
        columns=(
            column("at", "时间", "Time", "moment"),
            column("severity", "级别", "Severity"),
            column("rule", "规则", "Rule"),
            column("about", "对象", "About"),
            column("acknowledged", "确认时间", "Acknowledged", "moment"),
            column("outcome", "处置结果", "Outcome"),
            column("entry", "日志条目", "Entry", "count"),
        ),
        rows=tuple(rows()),
    )


def _touches(things: list[tuple[str, str]], operator: str, world: World) -> bool:
    for kind, id in things:
        if (kind == "principal" and id == operator) or (kind == "licence" and id in world.licences and world.licences[id].operator == operator):
            return True
        if kind == "product" and id in world.products and world.products[id].operator == operator:
            return True
    return False
