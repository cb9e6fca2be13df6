"""What the clock does to licences is written down: terms that begin, terms that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from infra.rounds import Rounds
from jobs.acts.terms import sweep_licences
from jobs.register import Register


class Sweep(Rounds):
    """Every `interval_s` seconds, `ended` being told the jobs that were cancelled. Decisions do not wait for it: they look at the clock."""

    def __init__(self, register: Register, ended: Callable[[Iterable[str]], None], *, interval_s: float) -> None:
        super().__init__("licence-sweep", interval_s=interval_s)
        self._register = register
        self._ended = ended

    def once(self) -> None:
        """One round, now, in the caller's thread."""
        self._ended(sweep_licences(self._register))
