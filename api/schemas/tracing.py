"""Tracing a file over HTTP."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example


class TracedRecipient(Closed):
    recipient: str
    accused: bool = Field(description="its copy is in the file; the probability of saying so of anybody innocent is below the limit")
    score: float = Field(description="the sum over cells of what is seen times the weight of the recipient's letter")
    log10_chance: float = Field(description="base-10 logarithm of a bound on the chance that one who had no part scores as much")


class TraceView(Closed):
    """One version held against the file."""

    product: str
    version: int
    rows: int = Field(description="rows of the file that were looked at")
    found: int = Field(description="those found again in the table as released")
    cells: int = Field(description="values in which something of a mark is seen")
    accused: list[str]
    recipients: list[TracedRecipient] = Field(description="all who had it or may have it, the likeliest first")
    entry: int = Field(description="where the trace stands in the log")


TRACE = {
    "product": "district-visits",
    "version": 2,
    "rows": 1000,
    "found": 1000,
    "cells": 1223,
    "accused": ["builder-7"],
    "recipients": [{"recipient": "builder-7", "accused": True, "score": 961.2, "log10_chance": -275.2}],
    "entry": 4711,
}


class TraceAnswer(Closed):
    model_config = ConfigDict(json_schema_extra=example(limit=1e-6, traces=[TRACE]))

    limit: float = Field(description="the probability of accusing anybody innocent is below this, whatever was done to the file")
    traces: list[TraceView]
