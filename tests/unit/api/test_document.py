"""The OpenAPI document says all of it, and the page made from it fetches and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from api import docs_page, schemas
from api.app import openapi_document
from api.schemas import people
from policies.problem import KINDS, LANGUAGES, Language
from tests.attack.doors import DOORS

DOCUMENT: dict[str, Any] = openapi_document()
OPERATIONS = {
    f"{method.upper()} {path}": operation for path, operations in DOCUMENT["paths"].items() for method, operation in operations.items()
}
PUBLIC = {name for name, row in DOORS.items() if not row.roles}


def test_every_endpoint_of_the_contract_is_there() -> None:
    assert set(OPERATIONS) == set(DOORS), "the contract is the table of doors, tests/attack/doors.py"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_endpoint_says_what_it_does_who_may_and_how_it_fails(name: str) -> None:
    operation = OPERATIONS[name]
    assert re.search(r"[\u4e00-\u9fff]", operation["summary"])
    assert " · " in operation["summary"]
    failures = {status: response for status, response in operation["responses"].items() if status >= "4"}
    assert "500" in failures
    for response in failures.values():
        assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/ProblemView")
    if name in PUBLIC:
        assert not operation.get("security")
    else:
        assert operation["security"] == [{"key": []}]
        assert operation["x-roles"]
        assert {"401"} <= failures.keys()
        assert name == "GET /v1/me" or "403" in failures
    if "{id}" in name or "{name}" in name:
        assert "404" in failures
    if "requestBody" in operation:
        assert {"400", "413", "422"} <= failures.keys()


MODELS = [
    model
    for model in {**vars(schemas), **vars(people)}.values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__.startswith("api.schemas.")
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_examples_are_valid(model: type[BaseModel]) -> None:
    extra = model.model_config.get("json_schema_extra") or {}
    assert isinstance(extra, dict)
    for example in extra.get("examples", []):  # type: ignore[union-attr]  # a list where it is there
        model.model_validate(example)
        Draft202012Validator(model.model_json_schema()).validate(example)


def test_the_models_people_meet_first_have_examples() -> None:
    for name in ("JobRequest", "Quote", "DummyAnswer", "JobView", "ReleaseView", "ProblemView", "AccountView", "Me"):
        assert DOCUMENT["components"]["schemas"][name]["examples"], name


class Page(HTMLParser):
    """What a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_fetches_and_runs_nothing(language: Language) -> None:
    html = docs_page.render(DOCUMENT, language)
    page = Page()
    page.feed(html)
    tags = {tag for tag, _ in page.tags}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base"})
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "style", "action")]
    anchors = {str(attributes["id"]) for _, attributes in page.tags if "id" in attributes}
    for _, attributes in page.tags:
        link = attributes.get("href")
        assert link is None or link == "openapi.json" or link.removeprefix("#") in anchors, link
    assert {f"problem-{code}" for code in KINDS} <= anchors
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"'sha256-{digest}'" in docs_page.CSP


def test_the_page_speaks_one_language_at_a_time() -> None:
    assert 'lang="zh-CN"' in docs_page.render(DOCUMENT, "zh")
    english = docs_page.render(DOCUMENT, "en")
    assert "Submit a job" in english
    assert "提交作业" not in english
