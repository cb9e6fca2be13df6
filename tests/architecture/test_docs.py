"""Pages lead where they say, every page is led to, and the commands they show are commands."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.test_tree import ROOT, tracked
from yunei.cli.app import added, build
from yunei.cli.run import plugins
from yunei.cli.verbs import NOUNS

PAGES = {path.resolve(): path.read_text(encoding="utf-8") for path in tracked("*.md")}
LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def anchors(text: str) -> set[str]:
    """What a heading is linked to by: lower case, without punctuation, a dash for each space."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    """Where the page's own links lead: a file and an anchor in it ("" where none is named)."""
    return [((page.parent / path).resolve() if path else page, anchor) for path, anchor in LINK.findall(PAGES[page])]


def test_links_lead_somewhere() -> None:
    found = [(page, *link) for page in PAGES for link in links(page)]
    assert len(found) > 300
    lost = {
        f"{page.relative_to(ROOT)} → {target}#{anchor}"
        for page, target, anchor in found
        if not target.exists() or (anchor and anchor not in anchors(PAGES[target]))
    }
    assert lost == set()


def test_every_page_is_within_two_steps_of_the_index() -> None:
    near = {ROOT / "docs" / "README.md"}
    for _ in range(2):
        near |= {target for page in near & PAGES.keys() for target, _ in links(page)}
    far = {str(page.relative_to(ROOT)) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in near}
    assert far == set()
    assert ROOT / "docs" / "README.md" in {target for target, _ in links(ROOT / "README.md")}


def test_commands_that_pages_show_are_there() -> None:
    root, faults = build("", plugins())
    assert not faults
    there = {(noun.name, verb.name) if noun.name else (verb.name, "") for noun in NOUNS for verb in noun.verbs}
    there |= {(name, verb) for name, _, verbs in added(root) for verb in verbs or [""]}
    alone = {name for name, verb in there if not verb}
    shown = {
        (noun, "" if noun in alone else verb)
        for text in PAGES.values()
        for block in SHELL.findall(text)
        for noun, verb in re.findall(r"^(?:\$ )?yunei ([a-z-]+)(?: ([a-z][a-z-]*))?", block, re.M)
    }
    assert len(shown) > 80
    assert shown - there == set()
