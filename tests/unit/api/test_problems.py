"""Every problem has a status, and a document in both languages."""

from __future__ import annotations

import json
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import problems
from api.problems import answer, document, invalid, language_of
from api.reference import import_every_room
from api.schemas import ProblemView
from api.statuses import ROOMS, STATUS, status_of
from policies.problem import KINDS, VOCABULARIES, Problem

import_every_room()


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_problem_has_a_status_and_a_document(code: str) -> None:
    kind = KINDS[code]
    fields = {name: "x" for words in (kind.zh, kind.en) for name in words.fields()}
    assert 400 <= status_of(code) < 600
    seen = ProblemView.model_validate(document(kind(**fields), "zh", instance="00"))
    assert (seen.code, seen.status, seen.title) == (code, status_of(code), seen.zh.title)


@pytest.mark.parametrize("code", sorted(KINDS))
def test_codes_are_said_in_words_of_a_vocabulary_that_there_is(code: str) -> None:
    """The same field in both languages; a field that names a state or a role is never shown as its code."""
    kind = KINDS[code]
    specs = []
    for words in (kind.zh, kind.en):
        found = [(name, spec) for text in (words.detail, words.remedy) for _, name, spec, _ in Formatter().parse(text) if name]
        assert {spec for _, spec in found if spec} <= VOCABULARIES.keys()
        assert not [name for name, spec in found if not spec and name in ("state", "role", "needed")], code
        specs.append({each for each in found if each[1]})
    assert specs[0] == specs[1]


def test_no_status_is_given_to_a_code_that_is_not() -> None:
    assert set(STATUS) <= set(KINDS)
    assert set(ROOMS) == {code.partition("_")[0] for code in KINDS}


def test_parts_keep_their_own_words() -> None:
    whole = problems.REQUEST_INVALID().with_parts((problems.REQUEST_MALFORMED(), problems.REQUEST_KEY_REUSED()))
    body = json.loads(bytes(answer(whole, "en", instance="00").body))
    assert [part["code"] for part in body["parts"]] == ["request_malformed", "request_key_reused"]


def test_a_fault_is_located_and_its_value_is_not_quoted() -> None:
    secret = "SELECT name FROM patients"
    errors = [{"type": "string_type", "loc": ("body", "privacy", "epsilon"), "msg": "Input should be a valid string", "input": secret}]
    found: Problem = invalid(errors)  # type: ignore[arg-type]  # as FastAPI hands them on
    assert found.parts[0].fields["path"] == "privacy.epsilon"
    assert secret not in json.dumps(found.as_data(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "zh"), ("en", "en"), ("zh-Hant-TW", "zh"), ("en;q=0.1, zh;q=0.2", "zh"), ("en;q=0", "zh"), ("fr", "zh"), ("en;q=x, zh;q=0.1", "zh")],
)
def test_the_language_is_the_callers(header: str, language: str) -> None:
    assert language_of(header, "zh") == language


@given(st.text(max_size=200))
def test_any_accept_language_gives_a_language(header: str) -> None:
    assert language_of(header, "en") in ("zh", "en")
