"""Lists of the console that grow: a part of each on a page, which leads through all of it, and a search that finds in all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from api.console.parts import PART
from jobs import acts, ledger
from jobs import events as ev
from jobs.acts.data import register_dataset
from policies.catalogue import Snapshot
from policies.loss import Loss
from tests import visits
from tests.bureau import Bureau, licence, opened, set_up
from tests.furnished import Furnished
from tests.programs import FILES, packed

MANY = 2 * PART + 3
LISTS = {  # path, list of it, what its rows are called, what finds one of them alone
    "licences": ("/console/licences", "licences", r'href="/console/licences/(M-\d{3})"', ("m-017", "卫生规划017", "plan 017")),
    "operators": ("/console/budgets", "operator", r'href="/console/budgets/operator:(many-\d{3})@visits"', ("many-017",)),
    "accounts": ("/console/budgets", "licence", r'href="/console/budgets/licence:(M-\d{3})"', ("m-017",)),
    "datasets": ("/console/datasets", "datasets", r'href="/console/datasets/(d\d{3})"', ("d017",)),
    "lifted": ("/console/freezes", "over", r"<td>operator (many-\d{3})</td>", ()),
    "standing": ("/console/freezes", "standing", r'<span class="chip bad">licence</span> (M-\d{3})', ()),
    "programs": ("/console/programs", "programs", r">(p-\d{3}) 1\.\d", ("p-017",)),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """A bureau with more than two parts of everything."""
    home = tmp_path_factory.mktemp("many") / "home"
    keys = set_up(home)
    services = opened(home)
    register = services.register
    keys["zhao"] = acts.issue_key(register, "zhao", "supervisor")
    for n in range(MANY):
        acts.issue_key(register, f"many-{n:03}", "operator")
        acts.grant_licence(register, licence(f"M-{n:03}", f"many-{n:03}", title={"zh": f"卫生规划{n:03}", "en": f"plan {n:03}"}))
        register_dataset(register, Snapshot(dataset=visits.dataset(name=f"d{n:03}"), version=1, digest=f"{n:064x}"))
        freeze = acts.set_freeze(register, "operator", f"many-{n:03}", reason="x", by="zhao")
        acts.thaw(register, freeze, proposal=acts.propose_thaw(register, freeze, reason="x", by="zhao"), by="supervisor")
        acts.set_freeze(register, "licence", f"M-{n:03}", reason="x", by="zhao")
        manifest = re.sub(r'name = "[^"]+"', f'name = "p-{n:03}"', str(FILES["program.toml"]), count=1)
        acts.submit_program(register, packed({**FILES, "program.toml": manifest}), by="operator-1")
    with register.transaction() as act:  # one of them has used something
        request = act.seal(b"{}")
        by = {"operator": "many-040", "licence": "M-040"}
        act.append(ev.JobSubmitted(by="many-040", job="job-1", scenario="health-planning", request=request, **by))
        accounts = ledger.accounts_of(space="person", datasets=["visits"], operator="many-040", licence="M-040")
        ledger.reserve(act, charge="c-1", job="job-1", accounts=accounts, loss=Loss(10**9), by="system")
    house = object.__new__(Furnished)
    object.__setattr__(house, "bureau", Bureau(services, keys))
    yield house
    services.close()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_comes_in_parts_that_lead_through_all_of_it(many: Furnished, name: str) -> None:
    browser = many.visit("supervisor")
    address, listed, rows, _ = LISTS[name]
    seen: list[str] = []
    for _ in range(9):
        answer = browser.get(address)
        assert answer.status_code == 200
        found = re.findall(rows, answer.text)
        assert 0 < len(found) <= PART
        seen += found
        later = [link.replace("&amp;", "&") for link in re.findall(r'<a href="([^"]+)" rel="next">', answer.text)]
        after = [link for link in later if re.search(rf"[?&]{listed}=\d+$", link)]
        if not after:
            break
        address = after[0]
    assert len(seen) == len(set(seen)) == MANY


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, (*_, texts) in LISTS.items() for text in texts])
def test_a_search_finds_in_all_parts_and_leads_nowhere_else(many: Furnished, name: str, text: str) -> None:
    address, _, rows, _ = LISTS[name]
    answer = many.visit("supervisor").get(address, params={"text": f" {text} "})
    assert [row[-3:] for row in re.findall(rows, answer.text)] == ["017"]
    assert f'value=" {text} "' in answer.text


@pytest.mark.parametrize(
    ("path", "word"), [("licences", "No licence matches"), ("budgets", "No account matches"), ("programs", "No program matches")]
)
def test_a_search_that_finds_nothing_says_so(many: Furnished, path: str, word: str) -> None:
    assert word in many.visit("supervisor").get(f"/console/{path}", params={"text": "nobody"}).text


def test_the_next_part_of_what_was_sought_is_of_what_was_sought(many: Furnished) -> None:
    browser = many.visit("supervisor")
    page = browser.get("/console/licences", params={"text": "M-0"}).text
    (link,) = (each.replace("&amp;", "&") for each in re.findall(r'<a href="([^"]+)" rel="next">', page))
    assert "text=M-0" in link
    assert len(re.findall(LISTS["licences"][2], browser.get(link).text)) == PART


@pytest.mark.parametrize("kind", ["operator:many-040@visits", "licence:M-040"])
def test_accounts_that_are_used_most_come_first(many: Furnished, kind: str) -> None:
    page = many.visit("supervisor").get("/console/budgets").text
    first = re.findall(rf'href="/console/budgets/({kind[:8]}[^"]+)"', page)[0]
    assert first == kind


def test_the_first_page_leads_to_the_rest(many: Furnished) -> None:
    page = many.visit("steward", "zh").get("/console/").text
    assert len(re.findall(LISTS["licences"][2], page)) <= 8
    assert f"全部协议 ({MANY + 1})" in page
