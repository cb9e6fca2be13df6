"""What the parser lets through, how fast, and how it says no."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.problem import Problem
from sandbox.plan import compile_job, tables_in
from sandbox.sql.parse import parse
from tests.questions import CATALOGUE, ask, plan_for
from tests.spec.cases import cases
from tests.timing import least


def code(sql: str) -> str:
    with pytest.raises(Problem) as caught:
        plan_for(sql)
    return caught.value.code


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT COUNT(*) FROM visits WHERE dept IN (" + ", ".join(["12345"] * 3000) + ")", "sql_too_long"),
        ("SELECT COUNT(*) FROM visits WHERE dept IN (" + ",".join(["1"] * 2500) + ")", "sql_too_large"),
        ("SELECT COUNT(*) FROM visits WHERE " + "(" * 4000 + "urgent" + ")" * 4000, "sql_too_large"),
        ("SELECT COUNT(*) FROM visits WHERE " + "(" * 100 + "urgent" + ")" * 100, "sql_too_deep"),
        ("SELECT SUM(" + "+".join(["dept"] * 200) + ") FROM visits", "sql_too_deep"),
        ("SELECT COUNT(*) FROM visits WHERE " + "NOT " * 200 + "urgent", "sql_too_deep"),
        ("SELECT COUNT(*) FROM visits WHERE dept = " + "-" * 0 + "- " * 150 + "1", "sql_too_deep"),
        ("SELECT CASE WHEN urgent THEN " * 40 + "1" + " END" * 40, "sql_too_deep"),
        ("SELECT SUM(" + "round(" * 25 + "fee * 0.5" + ", 1) * 0.37" * 25 + ") FROM visits", "sql_too_large"),
        ("SELECT COUNT(*) FROM visits WHERE note = 'a\x00b'", "sql_bad_character"),
        ("SELECT COUNT(*) FROM visits WHERE note = '\ud800'", "sql_bad_character"),
        ("SELECT COUNT(*) FROM visits WHERE note = 'a\u202eb'", "sql_bad_character"),
        ("SELECT COUNT(*) FROM visits, hospitals AS visits", "sql_duplicate_alias"),
        ("SELECT 'abc", "sql_syntax"),
        ("SELECT", "sql_empty"),
        ("SELECT COUNT(*) FROM visits WHERE dept = 1e999999999", "sql_literal"),
        ("SELECT COUNT(*) FROM visits WHERE dept = 1e400", "sql_literal"),
        ("SELECT COUNT(*) FROM visits WHERE dept = " + "9" * 100, "sql_literal"),
        ("EXPLAIN SELECT 1", "sql_not_select"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_limits(sql: str, wanted: str) -> None:
    assert code(sql) == wanted
    assert least(3, lambda: code(sql)) < 1


def test_long_chains_are_fine() -> None:
    assert plan_for("SELECT COUNT(*) AS n FROM visits WHERE " + " AND ".join(f"dept <> {n}" for n in range(300)))


def test_typical_queries_take_milliseconds() -> None:
    accepted = [case for case in cases() if case.refused is None]

    def compile_all() -> None:
        for case in accepted:
            compile_job(case.sql, CATALOGUE, case.ask)

    assert least(2, compile_all) / len(accepted) < 0.05


def test_tables_in() -> None:
    assert tables_in('SELECT COUNT(*) FROM Visits v JOIN "hospitals" USING (hospital), visits') == ("visits", "hospitals")
    with pytest.raises(Problem):
        tables_in("SELECT 1; SELECT 2")


def test_a_plan_is_a_function_of_its_arguments() -> None:
    for case in cases():
        if case.refused is None:
            assert compile_job(case.sql, CATALOGUE, case.ask).digest == compile_job(case.sql, CATALOGUE, case.ask).digest
    assert plan_for("SELECT COUNT(*) AS n FROM visits").digest != compile_job("SELECT COUNT(*) AS n FROM visits", CATALOGUE, ask("2")).digest


WORDS = [
    "SELECT",
    "FROM",
    "visits",
    "city",
    "pid",
    "COUNT",
    "(",
    ")",
    "*",
    ",",
    "GROUP BY",
    "WHERE",
    "AND",
    "NOT",
    "'x'",
    "1",
    "fee",
    "SUM",
    "AVG",
    "=",
    "<",
    "JOIN",
]
WORDS += [
    "hospitals",
    "USING",
    "hospital",
    "ORDER BY",
    "LIMIT",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "IN",
    "BETWEEN",
    "LIKE",
    "::",
    "INT",
    ".",
    ";",
    "DISTINCT",
    "OVER",
    "AS",
]
WORDS += [
    "INTERVAL",
    "FILTER",
    "ALL",
    "HAVING",
    "DATE",
    "NULL",
    "IS",
    "+",
    "-",
    "/",
    "||",
    "[",
    "]",
    "{",
    "}",
    "->",
    "$1",
    "UNION",
    "--",
    "/*",
    '"',
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_plan_or_a_problem(text: str) -> None:
    for sql in (text, "SELECT COUNT(*) FROM visits WHERE " + text, "SELECT " + text + " FROM visits GROUP BY 1"):
        with suppress(Problem):  # anything else that is raised fails the test
            assert plan_for(sql).loss.pico_rho > 0


def test_what_is_quoted_is_the_operators_text() -> None:
    sql = "SELECT city,\n  sum( distinct   fee ) FROM visits GROUP BY city"
    with pytest.raises(Problem) as caught:
        plan_for(sql)
    assert caught.value.fields["fragment"] == "sum( distinct fee )"


def test_comments_do_not_reach_the_record() -> None:
    assert "secret" not in parse("SELECT /* secret */ COUNT(*) -- secret\nFROM visits").sql(comments=False)
    assert "secret" not in plan_for("SELECT /* secret */ COUNT(*) AS n -- secret\nFROM visits").query
