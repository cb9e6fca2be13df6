"""What workers can fail with, and what they are told about a stretch of work."""

from __future__ import annotations

from dataclasses import dataclass


class WorkersError(Exception):
    """`code`: task_failed (the function raised, or went past its limits), worker_lost (its process died again and again), place_absent (no
    worker is where the data has to stay), closed; when starting, shared_memory (less is free than the object store asks for),
    temp_path_too_long (sockets would not fit; set TMPDIR), public_address (of a node that nobody vouches for), start_failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Terms:
    """How the items of one stream are run. All of it must follow from public facts: it decides what is done, and when.

    `place`: the workers that may have them; None: any. `patience_s`: an item that takes longer is run on another worker too, and the first
    result counts; inf: never. `wall_s`: one that takes longer fails. None: as the pool is set.
    """

    place: str | None = None
    patience_s: float | None = None
    wall_s: float | None = None

    def __post_init__(self) -> None:
        if (self.patience_s is not None and self.patience_s <= 0) or (self.wall_s is not None and self.wall_s <= 0):
            raise ValueError("times are positive seconds")


ANYWHERE = Terms()
