"""A yearly disclosure made, looked at, issued and taken home in a real browser, in both languages."""

from __future__ import annotations

import hashlib
import io

import pytest
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from policies.review import CHINA
from tests.browser.conftest import Sit, Site

WORDS = {"zh": "授权运营情况披露报告", "en": "Disclosure of authorised operation"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_years_disclosure_is_previewed_issued_and_downloaded(sit: Sit, site: Site, language: str) -> None:
    year = site.bureau.services.clock().astimezone(CHINA).year
    seat = sit("supervisor", language)

    def previewed(of: int) -> None:
        page.select_option("form[action='/console/reports/preview'] select[name=kind]", "disclosure")
        page.fill("input[name=period]", str(of))
        page.click("form[action='/console/reports/preview'] button")
        assert WORDS[language] in page.locator("h1").inner_text()
        assert page.locator("h1 .chip.busy").is_visible()

    page = seat.open("/console/reports")
    previewed(year)
    assert page.locator(".note.warn").count() >= 1
    page.click("form[method=post][action='/console/reports'] button")
    assert "report_period_open" in page.content()  # the year is not over: it is to be looked at, not issued
    year -= 1 if language == "zh" else 2
    previewed(year)
    page.click("form[method=post][action='/console/reports'] button")
    page.wait_for_url("**/console/reports/rep-*")
    seat.screen(f"report-{language}")
    serious = [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == []
    row = page.locator("tr", has=page.locator(f"a[href$='/files/pdf?language={language}']"))
    with page.expect_download() as started:
        row.locator("a").click()
    data = started.value.path().read_bytes()
    assert hashlib.sha256(data).hexdigest() == row.locator("td").inner_text()
    text = "".join(each.extract_text().replace("\0", "") for each in PdfReader(io.BytesIO(data)).pages)
    assert WORDS[language] in text
    assert str(year) in text
    seat.open("/console/reports?kind=disclosure")
    assert page.locator("tbody tr").count() >= 1
