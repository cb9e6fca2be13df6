"""What people read: an error bar is never understated, text lines up, nothing from the server steers a terminal or a page."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunei.models import Column, short
from yunei.problem import KINDS, YuneiProblem, from_response, problem
from yunei.render import as_html, as_text, cell, grid


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [
        (1234, 16.46, "1,234 ± 17"),
        (1234567, 98765.4, "1,234,567 ± 98,766"),
        (3.14159, 0.0234, "3.142 ± 0.024"),
        (2.0, 1.0, "2.0 ± 1.0"),
        (0.5, float("inf"), "0.5 ± ∞"),
        (0.5, float("nan"), "0.5"),
        (5, 0, "5 ± 0"),
        (Decimal("12.50"), None, "12.50"),
        (None, 3.0, "–"),
        (True, None, "True"),
        ("太原", None, "太原"),
        ("甲\u3000乙", None, "甲\u3000乙"),
        ("a\u202eb", None, "a\ufffdb"),
        ("a\x1b[2Jb\r\n", None, "a\ufffd[2Jb\ufffd\ufffd"),
    ],
)
def test_cells(value: object, half_width: object, text: str) -> None:
    assert cell(value, half_width) == text


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_an_error_bar_is_never_rounded_down_and_has_two_digits(value: float, half_width: float) -> None:
    shown = float(cell(value, half_width).split(" ± ")[1].replace(",", ""))
    assert shown >= half_width * (1 - 1e-6)
    assert shown <= max(half_width * 1.1 + 1e-9, half_width + 1)


def test_chinese_lines_up() -> None:
    columns = [Column.read({"label": label, "kind": kind}) for label, kind in (("市", "key"), ("n", "value"))]
    table = grid(columns, [{"市": "太原", "n": 5}, {"市": "a", "n": 12345}], 7)
    assert as_text(table, ["note"], "en").split("\n") == [
        "市         n",
        "────  ──────",
        "太原       5",
        "a     12,345",
        "… and 5 more rows",
        "",
        "note",
    ]
    assert "另有 5 行" in as_html(table, [], "zh")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0.00000001", "1e-8"),
        ("0.000001", "1e-6"),
        ("0.0000123456", "1.235e-5"),
        ("2500000", "2.5e6"),
        ("0.621693", "0.6217"),
        ("3", "3"),
        ("12345", "12345"),
        ("0", "0"),
        ("0.1000", "0.1"),
        ("1234.5678", "1235"),
    ],
)
def test_amounts_are_short(number: str, text: str) -> None:
    assert short(Decimal(number)) == text


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_problem_of_the_client_has_words_and_a_remedy_in_both_languages(code: str) -> None:
    _, zh, en = KINDS[code]
    fields = {name for text in (*zh, *en) for name in re.findall(r"{(\w+)}", text)} - {"status"}
    made = problem(code, status=404, **dict.fromkeys(fields, "F"))
    for words in (made.zh, made.en):
        assert all((words.title, words.detail, words.remedy))
        assert "{" not in words.title + words.detail + words.remedy
    assert re.search(r"[\u4e00-\u9fff]", made.zh.title + made.zh.detail)
    assert {name for text in zh for name in re.findall(r"{(\w+)}", text)} == {name for text in en for name in re.findall(r"{(\w+)}", text)}


def test_every_problem_of_the_client_is_raised_somewhere() -> None:
    from pathlib import Path

    import yunei

    source = "\n".join(path.read_text(encoding="utf-8") for path in Path(str(yunei.__file__)).parent.rglob("*.py") if path.name != "problem.py")
    source += "client_not_yunei"  # raised by problem.py itself
    assert [code for code in KINDS if f'"{code}"' not in source and code != "client_not_yunei"] == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_at_all_becomes_a_problem(body: object) -> None:
    made = from_response(500, body, "zh")
    assert isinstance(made, YuneiProblem)
    assert str(made)
    everywhere = dict.fromkeys(("parts", "fields", "zh", "en", "title", "remedy"), body)
    assert isinstance(from_response(500, {"code": "x", **everywhere}, "en"), YuneiProblem)
