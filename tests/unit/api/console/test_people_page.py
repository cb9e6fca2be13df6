"""The page of people: a part of each list, found by who it is about, acted on from where one stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from jobs import acts
from policies.catalogue import Title
from tests.bureau import Bureau, opened, set_up
from tests.consoles import form
from tests.furnished import Furnished

MORE = 120


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """A bureau with a hundred and twenty builders more, a key each."""
    home = tmp_path_factory.mktemp("people") / "home"
    keys = set_up(home)
    services = opened(home)
    for number in range(MORE):
        title = Title(zh=f"数据公司{number:03}", en=f"Company {number:03}")
        keys[f"b-{number:03}"] = acts.issue_key(services.register, f"b-{number:03}", "builder", title=title)
    house = object.__new__(Furnished)
    object.__setattr__(house, "bureau", Bureau(services, keys))
    yield house
    services.close()


def listed(text: str) -> list[str]:
    """Principals of the first table."""
    return re.findall(r'<tr><th scope="row">([^ <]+)', text.partition("</table>")[0])


def prefixes(text: str) -> list[str]:
    return re.findall(r'<td class="mono">(\w+)</td>', text)


def links(text: str, rel: str) -> list[str]:
    return [each.replace("&amp;", "&") for each in re.findall(rf'<a href="([^"]+)" rel="{rel}">', text)]


@pytest.mark.parametrize("name", ["principals", "keys"])
def test_a_list_comes_in_parts_that_stay_small_and_lead_through_all_of_it(crowd: Furnished, name: str) -> None:
    browser = crowd.visit("supervisor")
    shown = listed if name == "principals" else prefixes
    people = crowd.bureau.services.register.principals()
    everything = sorted(each.id for each in people) if name == "principals" else sorted(key.split("_")[1] for key in crowd.bureau.keys.values())
    seen: list[str] = []
    address = "/console/people"
    for _ in range(20):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert len(answer.content) < 40_000
        seen += shown(answer.text)
        later = [each for each in links(answer.text, "next") if re.search(rf"[?&]{name}=\d+$", each)]
        if not later:
            break
        address = later[0]
    assert (seen if name == "principals" else sorted(seen)) == everything
    assert len(links(browser.get(address).text, "prev")) == 1, "the other lists are at their beginning"


@pytest.mark.parametrize("number", ["999999999999", "-1", "x", "99", "²", "1.0"])
def test_a_part_that_there_is_not_is_the_nearest(crowd: Furnished, number: str) -> None:
    answer = crowd.visit("supervisor").get("/console/people", params={"principals": number, "keys": number, "sessions": number})
    assert answer.status_code == 200
    assert listed(answer.text)


@pytest.mark.parametrize("text", ["b-077", "公司077", "company 077", " B-077 "])
def test_a_search_finds_a_principal_by_id_and_title_in_every_list(crowd: Furnished, text: str) -> None:
    page = crowd.visit("supervisor").get("/console/people", params={"text": text}).text
    assert listed(page) == ["b-077"]
    assert page.count('name="revoke"') == 1
    assert "b-078" not in page
    assert listed(crowd.visit("supervisor").get("/console/people", params={"text": "nobody"}).text) == []


def test_one_acts_from_where_one_stands(crowd: Furnished) -> None:
    browser = crowd.visit("supervisor", "zh")
    prefix = crowd.bureau.keys["b-099"].split("_")[1]
    here = "/console/people?text=b-099&keys=0"
    assert f'value="{prefix}"' in browser.get(here).text
    token = {"csrf_token": form(browser)["csrf_token"]}
    answer = browser.post(here, data={**token, "revoke": prefix, "reason": "遗失"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, here)
    assert 'name="revoke"' not in browser.get(here).text
    answer = browser.post(here, data={**token, "act": "suspend", "who": "b-099", "reason": ""}, follow_redirects=False)
    assert answer.status_code == 422, "a reason is asked for"
    assert listed(answer.text) == ["b-099"], "and one is where one was"
    browser.post(here, data={**token, "act": "suspend", "who": "b-099", "reason": "停业"})
    found = next(each for each in crowd.bureau.services.register.principals() if each.id == "b-099")
    assert found.status == "suspended"


def test_a_session_is_ended(crowd: Furnished) -> None:
    other, browser = crowd.visit("auditor"), crowd.visit("supervisor")
    assert other.get("/console/").status_code == 200
    here = "/console/people?text=auditor"
    (session,) = re.findall(r'name="end" value="([^"]+)"', browser.get(here).text)
    browser.post(here, data={"csrf_token": form(browser)["csrf_token"], "end": session, "reason": "x"})
    assert other.get("/console/", follow_redirects=False).status_code == 303
    assert 'name="end"' not in browser.get(here).text
