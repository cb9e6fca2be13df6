"""Errors as data."""

from __future__ import annotations

import pickle

import pytest

from policies import problem
from policies.problem import KINDS, Kind, Problem, Words, adopt, declare, vocabulary

FRUIT = Kind("test_fruit", Words("果", "{name} 坏了", "换 {other}"), Words("Fruit", "{name} is bad", "take {other}"))


def test_a_problem_renders_its_fields_in_both_languages() -> None:
    problem = FRUIT(name="apple", other=3, extra="kept")
    assert problem.code == "test_fruit"
    assert problem.words("zh") == Words("果", "apple 坏了", "换 3")
    assert problem.words("en") == Words("Fruit", "apple is bad", "take 3")
    assert problem.as_data() == {
        "code": "test_fruit",
        "fields": {"name": "apple", "other": "3", "extra": "kept"},
        "zh": {"title": "果", "detail": "apple 坏了", "remedy": "换 3"},
        "en": {"title": "Fruit", "detail": "apple is bad", "remedy": "take 3"},
    }


def test_a_code_is_said_in_the_words_of_its_vocabulary_and_stays_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "VOCABULARIES", {})
    vocabulary("ripeness", {"green": ("未熟", "not ripe"), "red": ("熟", "ripe")})
    kind = Kind(
        "test_ripe", Words("果", "现为{state:ripeness}", "须{needed:ripeness}"), Words("Fruit", "it is {state:ripeness}", "{needed:ripeness}")
    )
    found = kind(state="green", needed="red/green/blue")
    assert found.words("zh") == Words("果", "现为“未熟”", "须“熟”或“未熟”或“blue”")
    assert found.words("en") == Words("Fruit", "it is “not ripe”", "“ripe” or “not ripe” or “blue”")
    assert found.fields == {"state": "green", "needed": "red/green/blue"}
    assert pickle.loads(pickle.dumps(found)).words("zh") == found.words("zh")
    with pytest.raises(ValueError, match="twice"):
        vocabulary("ripeness", {})


def test_a_field_may_hold_braces() -> None:
    assert FRUIT(name="{other}", other="{0}").words("en").detail == "{other} is bad"


def test_a_problem_needs_the_fields_of_its_words() -> None:
    with pytest.raises(TypeError, match="other"):
        FRUIT(name="apple")


def test_several_problems_in_one() -> None:
    whole = FRUIT(name="basket", other="box").with_parts((FRUIT(name="a", other="b"), FRUIT(name="c", other="d")))
    assert [part["fields"] for part in whole.as_data()["parts"]] == [{"name": "a", "other": "b"}, {"name": "c", "other": "d"}]  # type: ignore[attr-defined, index]  # JSON-ready data
    assert str(whole).splitlines() == [
        "test_fruit: Fruit. basket is bad take box",
        "  test_fruit: Fruit. a is bad take b",
        "  test_fruit: Fruit. c is bad take d",
    ]


def test_a_problem_crosses_between_processes() -> None:
    sent = FRUIT(name="a", other="b").with_parts((FRUIT(name="c", other="d"),))
    got = pickle.loads(pickle.dumps(sent))
    assert isinstance(got, Problem)
    assert got.as_data() == sent.as_data()


@pytest.mark.parametrize("code", ["nocode", "Upper_case", "a b", "_x", "x_", ""])
def test_a_code_is_a_prefix_and_words(code: str) -> None:
    with pytest.raises(ValueError, match="snake_case"):
        declare(code, zh=("a", "b", "c"), en=("a", "b", "c"))
    assert code not in KINDS


def test_a_code_is_declared_once() -> None:
    taken = next(iter(KINDS.values()))
    with pytest.raises(ValueError, match="twice"):
        adopt(taken)
    with pytest.raises(ValueError, match="twice"):
        declare(taken.code, zh=("a", "b", "c"), en=("a", "b", "c"))


@pytest.mark.parametrize("words", [("", "b", "c"), ("a", "", "c"), ("a", "b", "")])
def test_no_words_are_empty(words: tuple[str, str, str]) -> None:
    for zh, en in ((words, ("a", "b", "c")), (("a", "b", "c"), words)):
        with pytest.raises(ValueError, match="empty"):
            declare("test_empty", zh=zh, en=en)
    assert "test_empty" not in KINDS


def test_a_template_that_does_not_parse_is_found_at_once() -> None:
    with pytest.raises(ValueError, match=r"[{}]"):
        declare("test_template", zh=("a", "{", "c"), en=("a", "b", "c"))
    assert "test_template" not in KINDS


def test_declaring_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.problem.KINDS", kinds := {})
    kind = declare("test_kind", zh=("标题", "{x}", "改"), en=("Title", "{x}", "mend"))
    assert kinds == {"test_kind": kind}
    assert kind.en.title == "Title"
