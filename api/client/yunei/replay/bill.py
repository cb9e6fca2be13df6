"""What an auditor notes of money while reading a log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Made:
    """A release, as far as it is charged for."""

    licence: str
    operator: str
    scenario: str | None
    private: frozenset[str]  # datasets it was charged for in privacy loss
    usage: Mapping[str, int]


@dataclass
class Bill:
    """`document` reads a licence's document by digest, None when there is none. `computed`: fees priced again; `unpriced`: fees whose
    document was not there."""

    document: Callable[[str], bytes | None] = lambda _digest: None
    versions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # by licence: since when, digest of the document
    ended: dict[str, str] = field(default_factory=dict)
    scenarios: dict[str, str] = field(default_factory=dict)  # by job
    slots: dict[str, int] = field(default_factory=dict)  # by job
    made: dict[str, Made] = field(default_factory=dict)
    owed: tuple[str, int | None] | None = None  # release and delivery that the next entry must charge for
    closing: tuple[str, str] | None = None  # licence and period that the next entry must go on closing
    used: dict[tuple[str, str, str], dict[str, int]] = field(default_factory=dict)  # by licence, period, tariff: quantity by item
    posted: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)  # by licence and period: fen by body
    months: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)  # by licence and period: months charged for, by tariff
    carried: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)  # of closed periods: fen by body
    revenue: dict[tuple[str, str], int] = field(default_factory=dict)  # by licence and body: fen payable in closed periods
    computed: int = 0
    unpriced: int = 0
    known: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def licence(self, digest: str) -> dict[str, Any] | None:
        """A licence's document, None when it is not there. ValueError when it is another than the log names."""
        if digest not in self.known:
            body = self.document(digest)
            if body is not None and hashlib.sha256(body).hexdigest() != digest:
                raise ValueError(f"document {digest} is not the one the log names")
            self.known[digest] = None if body is None else json.loads(body)
        return self.known[digest]

    def version(self, licence: str, moment: str | None = None) -> str | None:
        """The digest of the document in force; with `moment`, just before it."""
        held = self.versions.get(licence, [])
        return next((digest for at, digest in reversed(held) if moment is None or at < moment), None)

    def tariff(self, licence: str, moment: str | None = None) -> tuple[bool, Mapping[str, Any] | None]:
        """Whether it is known what the tariff is, and the tariff (None: there is none)."""
        digest = self.version(licence, moment)
        content = self.licence(digest) if digest is not None else {}
        return content is not None, (content or {}).get("tariff")
