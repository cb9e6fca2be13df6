"""Every server follows the register for destructions, whoever confirmed them: keys in its own home go, and its workers drop what they keep.

A worker that has anything to do hears of it from that call itself (`sandbox.raw.released`); this is for those that stand idle.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select

from infra.database import reading
from infra.rounds import Rounds
from infra.tables import destructions
from jobs.acts.destructions import carry_out
from jobs.register import Register
from sandbox.raw.open import Vault
from sandbox.raw.released import Pool, forget

LOOK_S = 5.0


class Forgetting(Rounds):
    """Looks every LOOK_S seconds, and at once when woken. `workers`: None as long as there are none."""

    def __init__(self, register: Register, vault: Vault, workers: Callable[[], Pool | None], *, interval_s: float = LOOK_S) -> None:
        super().__init__("forgetting", interval_s=interval_s, at_once=False)
        self._register, self._vault, self._workers = register, vault, workers
        self._done: object = None

    def once(self) -> bool:
        """One round, now, in the caller's thread. Whether everybody has heard of the last destruction. Raises what the vault does."""
        newest = self._newest()
        if self._done == (newest, self._vault.era):
            return True
        carry_out(self._register, self._vault)
        era, workers = self._vault.era, self._workers()
        if workers is not None and forget(workers, self._vault):
            self._done = (newest, era)
        return self._done == (newest, era)

    def _newest(self) -> int | None:
        """The entry that confirmed the last destruction."""
        with reading(self._register.engine) as connection:
            return connection.execute(select(func.max(destructions.c.since))).scalar()
