"""What reviewers decided is carried out, and what a standing approval covers is published; woken when a vote decides. What left of a population
is read as it leaves, from the server's start on: a reviewer's first look at a table is no longer than the next."""

from __future__ import annotations

from collections.abc import Callable

from infra.rounds import Rounds
from jobs.lane.index import keep_up
from jobs.lane.publish import carry_out
from jobs.office import Office


class Keeper(Rounds):
    """Every `interval_s` seconds, and at once when woken. What fails is tried again at the next look."""

    def __init__(self, office: Callable[[], Office], *, interval_s: float) -> None:
        super().__init__("review-keeper", interval_s=interval_s)
        self._office = office

    def once(self) -> list[str]:
        """One look, now, in the caller's thread; the jobs that left or were sent back."""
        done = carry_out(self._office())
        keep_up(self._office())
        return done
