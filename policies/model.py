"""The base of everything that policies state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Closed and frozen: an unknown field is an error, a built model never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
