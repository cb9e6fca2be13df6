"""What the table of commands is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    name: str
    zh: str
    en: str
    function: str  # module:name under yunei.cli
    on_home: bool = False  # the server's package has it too, for a home on this machine


@dataclass(frozen=True)
class Noun:
    """A group of verbs. The nameless one holds the commands without a noun."""

    name: str
    zh: str
    en: str
    verbs: tuple[Verb, ...]
