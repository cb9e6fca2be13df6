"""The screens that docs/console.md names: each is made here, in both languages, from a bureau with something in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import products
from tests.browser.conftest import SCREENS, Sit
from tests.bureau import LICENCE

DOCUMENT = Path(__file__).parents[2] / "docs" / "console.md"
PAGES = {  # name: who looks, at what
    "sign-in": ("", "/console/sign-in"),
    "overview": ("supervisor", "/console/"),
    "register": ("supervisor", "/console/register"),
    "entry": ("supervisor", "/console/register/3"),
    "licence": ("supervisor", f"/console/licences/{LICENCE}"),
    "budget": ("supervisor", f"/console/budgets/licence:{LICENCE}"),
    "dataset": ("supervisor", "/console/datasets/visits"),
    "destructions": ("supervisor", "/console/destructions"),
    "reports": ("supervisor", "/console/reports"),
    "policy": ("supervisor", "/console/policy"),
    "rules": ("supervisor", "/console/rules"),
    "traces": ("supervisor", "/console/traces"),
    "people": ("supervisor", "/console/people"),
    "jobs": ("operator-1", "/console/jobs"),
    "ask": ("operator-1", "/console/ask"),
    "ask-model": ("operator-1", "/console/ask/model"),
    "ask-synthetic": ("operator-1", "/console/ask/synthetic"),
    "product": ("operator-1", f"/console/products/{products.ID}"),
    "product-new": ("operator-1", "/console/products/new"),
    "no-permission": ("operator-1", "/console/people"),
    "catalogue": ("builder", "/console/products"),
    "product-for-builders": ("builder", f"/console/products/{products.ID}"),
    "subscriptions": ("builder", "/console/subscriptions"),
    "reviews": ("reviewer", "/console/reviews"),
}
PHONE, DARK = ("overview", "ask", "product"), ("overview", "register")
ELSEWHERE = {"release", "freeze", "workbench", "model"}  # made on their way by `test_console`


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.usefixtures("furnished")
def test_every_screen_is_made(sit: Sit, language: str) -> None:
    seats = {name: sit(name, language) for name in {who for who, _ in PAGES.values() if who}}
    for name, (who, path) in PAGES.items():
        seat = seats[who or "builder"]
        page = seat.open(path)
        assert page.locator("h1").count() == 1, (name, "has no heading, or two")
        assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
        seat.screen(f"{name}-{language}")
        if name in DARK and language == "zh":
            page.emulate_media(color_scheme="dark")
            seat.screen(f"{name}-dark-{language}")
            page.emulate_media(color_scheme="light")
        if name in PHONE:
            page.set_viewport_size({"width": 390, "height": 844})
            seat.screen(f"{name}-phone-{language}")
            page.set_viewport_size({"width": 1280, "height": 900})
    assert all((SCREENS / f"{name}-{language}.png").stat().st_size > 10_000 for name in PAGES)


def test_the_page_about_the_console_names_the_screens_there_are() -> None:
    named = set(re.findall(r"`build/screens/([a-z-]+)-(?:zh|en)\.png`", DOCUMENT.read_text(encoding="utf-8")))
    made = PAGES.keys() | {f"{name}-phone" for name in PHONE} | {f"{name}-dark" for name in DARK} | ELSEWHERE
    assert named == made
    tests = (Path(__file__).parent / "test_console.py").read_text(encoding="utf-8")
    assert all(f'.screen(f"{name}-{{language}}")' in tests for name in ELSEWHERE)
