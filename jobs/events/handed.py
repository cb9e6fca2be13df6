"""Events handed from one process of an audit to the other, as they were read and validated there: not spelled and validated once more.

Only between processes of one program: `unpacked` believes its bytes, and runs what they tell it to.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from jobs.events.entry import EVENT_KINDS, Cost, Event, Recorded
from policies.catalogue import Model

_MODELS: tuple[type[Model], ...] = (*EVENT_KINDS.values(), Cost)  # others that events are made of travel as pydantic has it
_FIELDS = {model: set(model.model_fields) for model in _MODELS}
_set = object.__setattr__


def packed(events: Sequence[Recorded]) -> bytes:
    """The events, without their places in the log."""
    said = io.BytesIO()
    pickler = pickle.Pickler(said, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _TABLE
    pickler.dump([(recorded.at, recorded.event) for recorded in events])
    return said.getvalue()


def unpacked(first: int, data: bytes) -> list[Recorded]:
    """The events of `packed`, as entries `first`…"""
    handed: list[tuple[str, Event]] = pickle.loads(data)  # noqa: S301  # of our own child, over a pipe that nobody else has
    return [Recorded(index, at, event) for index, (at, event) in enumerate(handed, first)]


def _made(model: type[Model], values: dict[str, Any]) -> Model:
    """What validation made elsewhere. An entry spells every field, so all of them are set."""
    made = model.__new__(model)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", _FIELDS[model])
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def _parts(model: Model) -> tuple[Callable[..., Model], tuple[Any, ...]]:
    return _made, (type(model), model.__dict__)


_TABLE = {**copyreg.dispatch_table, **dict.fromkeys(_FIELDS, _parts)}
