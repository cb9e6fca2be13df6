"""Cases of the supported SQL: one TOML file per section, one folder per chapter. Tests run them; a page of the docs is rendered from them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.plan.ask import Ask

ROOT = Path(__file__).parent
FACTS = {"parts", "keys", "totals", "outputs", "groups", "threshold", "uses", "scans", "ranges", "emits", "absent", "finish", "constant_widths"}
REFUSAL = {"refused", "fragment"}


@dataclass(frozen=True)
class Case:
    """`facts` of an accepted query's plan, or the code (and quoted fragment) of a refusal."""

    chapter: str
    section: str
    place: int
    zh: str
    en: str
    sql: str
    ask: Ask
    facts: dict[str, Any]
    refused: str | None
    fragment: str | None
    duckdb_raises: bool  # plain DuckDB fails on some rows, the plan does not

    @property
    def id(self) -> str:
        return f"{self.chapter}/{self.section}/{self.place}: {self.en}"


@dataclass(frozen=True)
class Section:
    chapter: str
    name: str
    title: dict[str, str]
    cases: tuple[Case, ...]


@lru_cache(maxsize=1)
def sections() -> tuple[Section, ...]:
    """Every section, in reading order. Raises on a field nobody checks."""
    return tuple(_section(path) for path in sorted(ROOT.glob("*/*.toml")))


def cases() -> list[Case]:
    return [case for section in sections() for case in section.cases]


def _section(path: Path) -> Section:
    chapter, name = path.parent.name, path.stem
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Section(chapter, name, data["title"], tuple(_case(chapter, name, place, item) for place, item in enumerate(data["case"], 1)))


def _case(chapter: str, section: str, place: int, item: dict[str, Any]) -> Case:
    facts = {name: value for name, value in item.items() if name in FACTS}
    strange = item.keys() - FACTS - REFUSAL - {"zh", "en", "sql", "ask", "duckdb_raises"}
    if strange or (facts and "refused" in item):
        raise ValueError(f"{chapter}/{section} case {place}: {strange or 'facts of a refused query'}")
    asked = {"privacy": {"epsilon": "1"}, **item.get("ask", {})}
    return Case(
        chapter=chapter,
        section=section,
        place=place,
        zh=item["zh"],
        en=item["en"],
        sql=item["sql"],
        ask=Ask.model_validate(asked),
        facts=facts,
        refused=item.get("refused"),
        fragment=item.get("fragment"),
        duckdb_raises=item.get("duckdb_raises", False),
    )
