"""Destruction of data over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example

_VIEW: dict[str, Any] = {
    "entry": 214,
    "dataset": "visits",
    "version": None,
    "reason": "授权期满，来源部门要求销毁",
    "proposed_by": "steward-1",
    "proposed_at": "2026-11-22T08:00:00.000000Z",
    "confirmed_by": None,
    "since": None,
    "confirmed_at": None,
}


class DestructionRequest(Closed):
    model_config = ConfigDict(json_schema_extra=example(dataset="visits", version=None, reason=_VIEW["reason"]))

    dataset: str = Field(min_length=1, max_length=63)
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="只销毁这一版；默认为整个数据集 · else the dataset")
    reason: Annotated[str, Field(min_length=1, max_length=2_000, description="理由，写入日志 · why; goes into the log")]


class DestructionEffect(Closed):
    """What destroying it does, by version numbers. `ends`: can be read by nobody any more; `kept_by`: versions that keep files of it and go on
    being read; `keeps`: earlier versions whose files it holds too, which stay; `withdrawn`: it may be proposed."""

    model_config = ConfigDict(json_schema_extra=example(dataset="visits", version=2, withdrawn=True, ends=[2], kept_by=[3], keeps=[1]))

    dataset: str
    version: int | None
    withdrawn: bool
    ends: list[int]
    kept_by: list[int]
    keeps: list[int]


class DestructionView(Closed):
    """A destruction: `version` null is the dataset; `since` the entry that confirmed it, null while it is only proposed."""

    model_config = ConfigDict(json_schema_extra=example(**_VIEW))

    entry: int
    dataset: str
    version: int | None
    reason: str
    proposed_by: str
    proposed_at: str
    confirmed_by: str | None
    since: int | None
    confirmed_at: str | None


class DestructionList(Closed):
    """Every destruction proposed, newest first."""

    model_config = ConfigDict(json_schema_extra=example(destructions=[_VIEW]))

    destructions: list[DestructionView]
