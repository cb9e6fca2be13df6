"""Ray's side of one worker: an actor that hands calls to the process it keeps, and never sees what is in them."""

from __future__ import annotations

import resource

from infra.workers.environment import without_ray
from infra.workers.runs import Answer
from infra.workers.warden import Warden


class _Actor:
    """One core. Called by one thread, its main one."""

    def __init__(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._warden = Warden(without_ray())

    def run(self, module: str, call: bytes, wall_s: float, memory_bytes: int) -> Answer:
        return self._warden.run(module, call, wall_s=wall_s, memory_bytes=memory_bytes)

    def pid(self) -> int:
        """Of the process that runs functions."""
        return self._warden.pid


ACTOR = _Actor
