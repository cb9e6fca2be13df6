"""What is in a report: its sections, the statements' money, the entries' use, of whom and of when."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from jobs import statements
from jobs.register import Register
from jobs.reports import KINDS, Asked, make
from jobs.reports.files import document
from policies.catalogue import Title
from policies.period import Period
from policies.problem import Problem
from tests.reports import NASTY, facts, made, rows

STRUCTURE = {
    "disclosure": {
        "overview": [], "licences": ["licences", "licence_acts"], "data": ["datasets"],
        "use": ["jobs_by_kind", "releases_by_licence", "refusals"], "products": ["products"], "privacy": ["units", "accounts"],
        "fees": ["statements", "bodies"], "oversight": ["reviews", "acts"], "alerts": ["alerts"],
    },
    "usage": {"use": ["jobs_by_kind", "releases_by_licence", "refusals"], "products": ["products"], "fees": ["statements", "bodies"]},
    "revenue": {"fees": ["statements", "bodies", "shares", "items"]},
    "filing": {"parties": [], "agreement": ["terms", "units"], "life": ["versions", "consents", "acts"]},
    "incident": {"overview": [], "alerts": ["alerts"], "measures": ["measures"], "failures": ["failures", "cells"]},
}  # fmt: skip
EACH = (
    ("disclosure", "2026", None),
    ("usage", "2026-11", "op-1"),
    ("revenue", "2026", None),
    ("filing", None, "L-1"),
    ("incident", "2026-Q4", None),
)


def test_there_are_five_kinds_and_each_says_what_it_serves() -> None:
    assert set(KINDS) == set(STRUCTURE) == {kind for kind, _, _ in EACH}


@pytest.mark.parametrize(("kind", "period", "subject"), EACH)
def test_a_report_has_its_sections_and_tables_in_both_languages(house: Register, kind: str, period: str | None, subject: str | None) -> None:
    report = made(house, kind, period, subject)
    assert {section.name: [each.name for each in section.tables] for section in report.sections} == STRUCTURE[kind]
    assert report.basis
    assert (report.size, report.origin) == (house.size, "log.example/register")
    texts = [value for value in _titles(report.model_dump()) if isinstance(value, str)]
    assert texts
    assert all(text.strip() for text in texts)


def _titles(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if value.keys() == {"zh", "en"}:
            yield from value.values()
        else:
            for each in value.values():
                yield from _titles(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _titles(each)


def test_the_root_is_that_of_the_checkpoint(house: Register) -> None:
    house.publish()
    _, size, root, *_ = house.checkpoint().split("\n")
    report = made(house, "incident", "2026")
    assert report.size == int(size)
    assert report.root == base64.b64decode(root).hex()


def test_money_is_what_the_statements_say(house: Register) -> None:
    report = made(house, "revenue", "2026")
    wanted = statements.statements_of(house, Period.parse("2026"), house.clock())
    got = rows(report, "statements")
    assert len(got) == len(wanted) == 4
    for row, said in zip(got, wanted, strict=True):
        assert (row["licence"], row["period"], row["state"].en == "closed") == (said.licence, str(said.period), said.closed_at is not None)
        amounts = [int(row[name]) for name in ("posted", "brought", "payable", "carried")]
        assert amounts == [said.posted, said.brought, said.payable, said.carried]
        assert (int(row["fees"]), int(row["allowed"])) == (said.fees, said.allowed)
    shares = {
        (row["licence"], row["period"], row["body"].zh): (row["posted"], row["payable"], row["carried"]) for row in rows(report, "shares")
    }
    assert shares == {
        (said.licence, str(said.period), body.title.zh): (str(body.posted), str(body.payable), str(body.carried))
        for said in wanted
        for body in said.bodies
    }
    bodies = [(row["body"].zh, int(row["posted"]), int(row["payable"]), int(row["carried"])) for row in rows(report, "bodies")]
    assert bodies == [(each.title.zh, each.posted, each.payable, each.carried) for each in statements.revenue_of(wanted)]
    assert facts(report, "fees")["Payable in all"] == str(sum(said.payable for said in wanted)) == "63000"
    items = {(row["licence"], row["period"], row["item"].en): (row["charged"], row["free"], row["fen"]) for row in rows(report, "items")}
    assert items == {
        (said.licence, str(said.period), item.item): (str(item.quantity), str(item.free), str(item.fen))
        for said in wanted
        for item in said.items
    }


def test_use_is_counted_by_the_entries(house: Register) -> None:
    """Counted again from the events themselves, by their times."""
    november = [
        recorded.event
        for recorded in house.events(limit=1000, kinds=("release_published",))
        if "2026-10-31T16" <= recorded.at < "2026-11-30T16"
    ]
    told = facts(made(house, "usage", "2026-11"), "use")
    assert told["Releases published"] == str(len(november)) == "6"
    assert told["Rows released"] == str(sum(getattr(event, "rows") for event in november)) == "7003"  # noqa: B009
    assert told["Privacy loss ρ"] == str(6 * 10**9)
    figure = next(figure for section in made(house, "disclosure", "2026").sections for figure in section.figures)
    assert dict(zip(figure.labels, figure.values, strict=True)) == {
        **{f"2026-{month:02d}": 0 for month in range(1, 13)},
        "2026-11": 6,
        "2026-12": 1,
    }


def test_an_operators_report_is_of_that_operator_alone(house: Register) -> None:
    report = made(house, "disclosure", "2026", "op-2")
    assert [row["licence"] for row in rows(report, "licences")] == ["L-2"]
    assert facts(report, "use")["Releases published"] == "0"
    assert rows(report, "acts") == []  # the freeze of the other one is none of theirs
    for said in ("op-1", "L-1", "r-both"):
        assert said not in document(report).decode()
    first = made(house, "disclosure", "2026", "op-1")
    assert [row["reason"] for row in rows(first, "acts")] == [NASTY]
    assert "op-2" not in document(first).decode()


def test_what_came_after_the_period_is_not_in_it(house: Register) -> None:
    year = made(house, "disclosure", "2026")
    assert year.complete
    assert [row["reason"] for row in rows(year, "acts")] == [NASTY]
    assert facts(year, "overview")["Licences in force"] == "2"  # at its end; a moment later both had expired
    assert not made(house, "incident", "2027").complete
    assert [row["reason"] for row in rows(made(house, "incident", "2027"), "measures")] == ["=1+1 明年"]


def test_a_filing_says_what_the_agreement_settles(house: Register) -> None:
    report = made(house, "filing", None, "L-1")
    terms = "\n".join(row["content"].zh for row in rows(report, "terms"))
    for said in ("visits", "city-health", "晋发改价格〔2026〕1号", "300.00 元"):
        assert said in terms
    assert rows(report, "acts")[0]["act"].en == "granted"
    assert rows(report, "versions")[0]["document"] == house.licence("L-1").document  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "period", "subject", "code"),
    [
        ("disclosure", "2026-11", None, "report_period"),
        ("usage", None, None, "report_period"),
        ("filing", "2026", "L-1", "report_period"),
        ("filing", None, None, "report_subject_unknown"),
        ("filing", None, "L-9", "report_subject_unknown"),
        ("usage", "2026", "li", "report_subject_unknown"),
        ("usage", "2026", "nobody", "report_subject_unknown"),
    ],
)
def test_what_cannot_be_asked_for(house: Register, kind: str, period: str | None, subject: str | None, code: str) -> None:
    with pytest.raises(Problem) as caught:
        made(house, kind, period, subject)
    assert caught.value.code == code


def test_of_more_entries_than_there_are_there_is_no_report(house: Register) -> None:
    with pytest.raises(Problem) as caught:
        make(house, Asked.of("usage", "2026", None), house.size + 1)
    assert caught.value.code == "log_entry_unknown"


def test_a_title_is_in_both_languages() -> None:
    assert all(isinstance(kind.title, Title) for kind in KINDS.values())
