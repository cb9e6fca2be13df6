"""How the console says things: states and events have words, numbers are written for people, charts bear anything."""

from __future__ import annotations

from api.console import charts
from api.console.frame import prepared
from api.console.said import STATES, Words
from api.console.said_events import EVENTS
from jobs import events as ev
from jobs.states import MEANING


def test_events_and_states_have_words() -> None:
    assert set(EVENTS) == set(ev.EVENT_KINDS)
    shown = {meaning.shown for meaning in MEANING.values()}
    assert shown <= set(STATES)


def test_numbers_are_written_for_people() -> None:
    words = Words("en")
    assert [words.short(value) for value in ("0.016468352674", 80, 0, "12345.6", None, 1e-9)] == [
        "0.01647",
        "80",
        "0",
        "12,346",
        "—",
        "1.00e-9",
    ]
    assert words.percent(0.034) == "3.4%"
    assert words.percent(0.85) == "85%"


def test_charts_escape_labels_and_bear_anything() -> None:
    drawn = charts.bars([charts.Bar("<b>", 3.0, 1.0), charts.Bar("x", float("nan")), charts.Bar("y", -2.0)], "<t>")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert "nan" not in drawn
    assert charts.bars([], "t") == ""
    assert charts.burn([], 1.0, "t") == ""
    assert "NaN" not in charts.burn([("2026-11-22", 0.0)], 0.0, "t")


def test_every_page_is_compiled_before_somebody_opens_it() -> None:
    steps = prepared()
    assert next(steps).endswith(".j2")  # one at a time
    assert {"base.html.j2", "workbench.html.j2", "report.html.j2"} <= set(steps)
