"""A licence as a page: Markdown and HTML, both languages beside each other. What binds is the signed note; both pages end in it."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from api.docs_page import STYLE
from jobs.papers import Paper
from policies.agreement import articles
from policies.catalogue import Catalogue

HEADING = "公共数据授权运营协议 · Licence to operate public data"
_SIGNED = "签署 · Signature"


def markdown(paper: Paper, catalogue: Catalogue) -> str:
    """One table per article. What comes from people is text: no character of it is markup."""
    lines = [f"# {HEADING}", ""]
    for article in articles(paper.licence, catalogue, paper.standing):
        lines += [f"## {article.title.zh} · {article.title.en}", "", "| | 中文 | English |", "|---|---|---|"]
        lines += [
            f"| {_md(label.zh)}{'' if label.zh == label.en else ' · ' + _md(label.en)} | {_md(value.zh)} | {_md(value.en)} |"
            for label, value in article.rows
        ]
        lines.append("")
    lines += [f"## {_SIGNED}", "", f"SHA-256 `{paper.standing.digest}`", ""]
    lines += [f"SM3 `{paper.standing.sm3}`", ""] if paper.standing.sm3 else []
    if paper.standing.note is not None:
        lines += [*(f"`{vkey}`" for vkey in paper.standing.vkeys), "", *(f"    {line}" for line in _signatures(paper.standing.note)), ""]
    else:
        lines += ["申请稿，未签署 · an application, not signed", ""]
    return "\n".join(lines)


def _md(text: str) -> str:
    out = "".join(f"\\{character}" if character in "\\`*_[]<>|#&" else character for character in text)
    return " ".join(out.split())


def _signatures(note: str) -> list[str]:
    return note.rpartition("\n\n")[2].splitlines()


@lru_cache(maxsize=1)
def _page() -> Environment:
    return Environment(
        loader=PackageLoader("api", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def html(paper: Paper, catalogue: Catalogue) -> str:
    standing = paper.standing
    return (
        _page()
        .get_template("licence.html.j2")
        .render(
            heading=HEADING,
            signed=_SIGNED,
            style=STYLE,
            title=paper.licence.title,
            articles=articles(paper.licence, catalogue, standing),
            standing=standing,
            signatures=_signatures(standing.note) if standing.note is not None else [],
        )
    )
