"""Pydantic's errors in both languages, located."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType

from policies.catalogue import Model, Name
from policies.reasons import CHINESE, PATTERNS, Reason, reasons_of


class Shelf(Model):
    name: Name
    widths: frozenset[int] = frozenset()
    parts: tuple[Shelf, ...] = ()
    odd: int = 1

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: int, info: ValidationInfo) -> int:
        if value % 2 == 0:
            raise ValueError("even")
        return value


def reasons(document: object) -> list[Reason]:
    with pytest.raises(ValidationError) as caught:
        Shelf.model_validate(document)
    return list(reasons_of(caught.value, document))


def test_an_error_pydantic_alone_has_words_for_is_said_in_english_inside_chinese() -> None:
    assert reasons({"name": "a", "widths": 3}) == [
        Reason("widths", "值不合要求（input should be a valid frozenset）", "input should be a valid frozenset")
    ]
    (odd,) = reasons({"name": "a", "odd": 2})
    assert "even" in odd.zh


def test_places_in_lists_show_names() -> None:
    document = {"name": "a", "parts": [{"name": "b"}, {"name": "c", "parts": [{"odd": "x"}, "plank"]}]}
    assert [(reason.path, reason.zh) for reason in reasons(document)] == [
        ("parts[1](c).parts[0].name", "缺少此项"),
        ("parts[1](c).parts[0].odd", "须为整数"),
        ("parts[1](c).parts[1]", "须为一组键值"),
    ]


def test_the_place_is_told_even_without_the_document() -> None:
    with pytest.raises(ValidationError) as caught:
        Shelf.model_validate({"name": "a", "parts": [{"name": "1"}]})
    (reason,) = reasons_of(caught.value)
    assert reason == Reason("parts[0].name", *next(iter(PATTERNS.values())))


def test_a_document_of_another_shape() -> None:
    assert reasons(["x"]) == [Reason(".", "须为一组键值", "input should be a valid dictionary or instance of Shelf")]


def test_a_reason_never_quotes_the_value() -> None:
    secret = "0451-secret"
    document = {"name": secret, "widths": [secret], "parts": secret, "odd": secret}
    assert len(reasons(document)) == 4
    assert secret not in str(reasons(document))


def test_the_table_names_errors_that_exist() -> None:
    assert set(CHINESE) <= set(get_args(ErrorType))


@pytest.mark.parametrize("kind", sorted(kind for kind, text in CHINESE.items() if "{" in text))
def test_the_facts_in_a_text_are_those_of_its_error(kind: ErrorType) -> None:
    facts = set(re.findall(r"{(\w+)}", CHINESE[kind]))
    samples: dict[str, object] = {"expected": "'a'", "pattern": "x", "field_type": "Tuple", "actual_length": 0}
    context = {name: samples.get(name, 1) for name in facts | ({"field_type", "actual_length"} if kind in ("too_short", "too_long") else set())}
    message = PydanticKnownError(kind, context).message()  # TypeError when the error has other facts
    assert all(str(context[name]) in message for name in facts)
