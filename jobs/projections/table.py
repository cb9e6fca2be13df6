"""The table of projections, filled by the modules beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from infra.prepared import Writer
from jobs import events as ev
from jobs.rows import DoesNotFit

E = TypeVar("E", bound=ev.Event)
Projection = Callable[[Writer, ev.Recorded, Any], None]
PROJECTED: dict[str, Projection] = {}


def project(writer: Writer, recorded: ev.Recorded) -> None:
    """Apply one event. DoesNotFit leaves the transaction fit only for rolling back."""
    try:
        PROJECTED[recorded.kind](writer, recorded, recorded.event)
    except IntegrityError as error:  # a second row with the same key, or a constraint that says no
        raise DoesNotFit(recorded.kind, "constraint") from error


def projects(model: type[E]) -> Callable[[Callable[[Writer, ev.Recorded, E], None]], Callable[[Writer, ev.Recorded, E], None]]:
    def keep(function: Callable[[Writer, ev.Recorded, E], None]) -> Callable[[Writer, ev.Recorded, E], None]:
        if model.kind in PROJECTED:
            raise ValueError(f"event {model.kind} is projected twice")
        PROJECTED[model.kind] = function
        return function

    return keep


def nothing(_writer: Writer, _recorded: ev.Recorded, _event: ev.Event) -> None:
    """A proposal, or a refusal outside any job: it stands in the log; no table changes."""
