"""Errors as data: a stable code, fields, and words in both languages that end in a remedy.

A room declares its kinds of problem once, beside the code that raises them, with `declare`. The HTTP status of a kind is decided in
`api/statuses.py` and nowhere else. Once rows have been read, no problem may carry a field that depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


VOCABULARIES: dict[str, Mapping[Any, tuple[str, str]]] = {}


def vocabulary(name: str, titles: Mapping[Any, tuple[str, str]]) -> None:
    """What codes that are fields of problems (states, roles) are called, (Chinese, English), for their texts; the fields stay codes. ValueError
    for a name that is taken."""
    if VOCABULARIES.setdefault(name, titles) is not titles:
        raise ValueError(f"vocabulary {name} is declared twice")


class _Said(Formatter):
    def __init__(self, language: Language) -> None:
        self._at = LANGUAGES.index(language)

    def format_field(self, value: Any, spec: str) -> str:
        """Codes between slashes are alternatives; one that the vocabulary does not have is said as it is."""
        if not spec:
            return str(value)
        titles = VOCABULARIES.get(spec, {})
        said = [titles[code][self._at] if code in titles else code for code in str(value).split("/")]
        return "“" + ("”或“", "” or “")[self._at].join(said) + "”"


@dataclass(frozen=True, slots=True)
class Words:
    """What a person reads. `detail` and `remedy` are `str.format` templates over the problem's fields; `{state:licence_state}` says a field in
    the words of that vocabulary (`vocabulary`)."""

    title: str
    detail: str
    remedy: str

    def fields(self) -> frozenset[str]:
        return frozenset(name for text in (self.detail, self.remedy) for _, name, _, _ in Formatter().parse(text) if name)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. Calling it makes a `Problem`; its fields must be exactly those its words mention or a superset."""

    code: str
    zh: Words
    en: Words

    def __call__(self, **fields: object) -> Problem:
        missing = (self.zh.fields() | self.en.fields()) - fields.keys()
        if missing:
            raise TypeError(f"problem {self.code} needs {sorted(missing)}")
        return Problem(self, {name: str(value) for name, value in fields.items()})


KINDS: dict[str, Kind] = {}
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")


def declare(code: str, *, zh: tuple[str, str, str], en: tuple[str, str, str]) -> Kind:
    """Register a kind under its code: (title, detail, remedy) in each language. A code is declared once; a second time is a bug."""
    return adopt(Kind(code, Words(*zh), Words(*en)))


def adopt(kind: Kind) -> Kind:
    """Register a kind made elsewhere (the rules of a policy file). ValueError for a bad code, one that is taken, empty or unparsable words."""
    if not _CODE.fullmatch(kind.code):
        raise ValueError(f"problem code {kind.code!r} is not a room's prefix and snake_case words")
    if kind.code in KINDS:
        raise ValueError(f"problem code {kind.code} is declared twice")
    for words in (kind.zh, kind.en):
        if not (words.title and words.detail and words.remedy):
            raise ValueError(f"problem {kind.code} has empty words")
        words.fields()  # a template that does not parse fails here, not when somebody is refused
    KINDS[kind.code] = kind
    return kind


class Problem(Exception):
    """A refusal or failure that a caller can act on.

    `code` is stable for ever; `fields` are strings; `words(language)` renders title, detail and remedy. Several rules broken at once
    are one problem with `parts`, each a problem of its own.
    """

    def __init__(self, kind: Kind, fields: dict[str, str], parts: tuple[Problem, ...] = ()) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.fields = fields
        self.parts = parts

    def __reduce__(self) -> tuple[type[Problem], tuple[Kind, dict[str, str], tuple[Problem, ...]]]:
        """A problem crosses from a worker process whole: its kind travels with it."""
        return Problem, (self.kind, self.fields, self.parts)

    @property
    def code(self) -> str:
        return self.kind.code

    def with_parts(self, parts: tuple[Problem, ...]) -> Problem:
        return Problem(self.kind, self.fields, parts)

    def words(self, language: Language) -> Words:
        words, said = self.kind.zh if language == "zh" else self.kind.en, _Said(language)
        return Words(words.title, said.format(words.detail, **self.fields), said.format(words.remedy, **self.fields))

    def as_data(self) -> dict[str, object]:
        """Code, fields, both languages and parts: what the API, the register and the command line all show."""
        data: dict[str, object] = {"code": self.code, "fields": dict(self.fields)}
        for language in LANGUAGES:
            words = self.words(language)
            data[language] = {"title": words.title, "detail": words.detail, "remedy": words.remedy}
        if self.parts:
            data["parts"] = [part.as_data() for part in self.parts]
        return data

    def __str__(self) -> str:
        words = self.words("en")
        lines = [f"{self.code}: {words.title}. {words.detail} {words.remedy}"]
        lines += ["  " + line for part in self.parts for line in str(part).splitlines()]
        return "\n".join(lines)
