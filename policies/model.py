"""The base of everything that policies state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Closed and frozen: an unknown field is an error, a built model never changes. The checks of a kind are built when one of it is first made
    or read (pydantic's `defer_build`): a process that starts need not wait for those of all kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
