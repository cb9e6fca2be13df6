"""Two languages, side by side in the code: every sentence a person reads is a pair (zh, en)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """What happened (title, detail) and what to do about it (remedy)."""

    title: str
    detail: str
    remedy: str


def language_of(locale: str | None) -> Language:
    """The language of a POSIX locale or an Accept-Language tag.

    >>> language_of("zh_CN.UTF-8"), language_of("zh-Hans"), language_of("C"), language_of(None)
    ('zh', 'zh', 'en', 'en')
    """
    return "zh" if locale is not None and locale.casefold().startswith("zh") else "en"


def pick(language: Language, zh: str, en: str) -> str:
    return zh if language == "zh" else en


class Tongue:
    """The language the command line speaks: set once, before anything is printed. The library itself is told a language each time.

    >>> say = Tongue(); say.language = "zh"; say("发布", "release")
    '发布'
    """

    language: Language = "en"

    def __call__(self, zh: str, en: str) -> str:
        return pick(self.language, zh, en)


say = Tongue()
