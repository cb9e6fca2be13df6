"""An alert answered for in a real browser, in both languages."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Sit, Site, press
from tests.watching import raised_by_hand


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_alert_is_found_acknowledged_and_closed(sit: Sit, site: Site, language: str) -> None:
    raised = raised_by_hand(site.bureau.services.register)
    seat = sit("supervisor", language)
    seat.open("/console/")
    page = seat.page
    press(page.locator("a.tile[href='/console/alerts']"))
    press(page.locator(f"a[href='/console/alerts/{raised}']"))
    seat.screen(f"alert-{language}")
    page.fill("textarea[name=words]", "正在核对备份 · looking into it")
    press(page.locator("button[value=acknowledge]"))
    expect(page.locator("blockquote")).to_have_text("正在核对备份 · looking into it")
    serious = [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == []
    page.check("input[value=handled]")
    page.fill("textarea[name=words]", "已恢复 · restored")
    press(page.locator("button[value=close]"))
    expect(page.locator("h1 .chip.calm")).to_be_visible()
    seat.open("/console/alerts?state=open")
    assert page.locator(f"a[href='/console/alerts/{raised}']").count() == 0
