"""Exact tables at rest: encrypted under a key of the job's own, which follows from the home's key ring; opened for reviewers and for rules.

The sealed bytes are padded to a power of two, so that their length says nothing of how large the numbers are; the file's name is the job's
id. They lie among the staged answers, written once and by a rename, so a backup has them and a crash leaves all or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from infra.crypto import SealBroken, envelope_of
from jobs.office import Office
from jobs.staging import Staged, StagingDamaged
from policies.disclosure.table import Amount, Basis, Cell, Dimension, Exact, ExactTable, Level, Measure
from sandbox.raw.exact import Counted

FILE = "table.sealed"
LEAST = 2**16  # bytes: no sealed table is shorter


def seal(office: Office, job: str, counted: Counted) -> Staged:
    """Fix the exact table of a job, encrypted. What is there already stays: the first run's."""
    plain = json.dumps({"table": as_data(counted.table), "lost": counted.lost}, separators=(",", ":")).encode()
    size = LEAST
    while size < len(plain) + 8:
        size *= 2
    padded = len(plain).to_bytes(8, "big") + plain.ljust(size - 8, b"\0")
    envelope = envelope_of(office.settings.crypto_suite)
    sealed = envelope.seal(_key(office, job), padded, _place(job), office.random)
    return office.staging.stage(_name(job), {FILE: sealed}, {"job": job})


def find(office: Office, job: str) -> Staged | None:
    return office.staging.load(_name(job))


def opened(office: Office, job: str) -> Counted:
    """The exact table. StagingDamaged when it is gone, changed, or not of this home."""
    staged = find(office, job)
    if staged is None:
        raise StagingDamaged(job)
    try:
        padded = envelope_of(office.settings.crypto_suite).open(_key(office, job), staged.read(FILE), _place(job))
    except SealBroken:
        raise StagingDamaged(job) from None
    data = json.loads(padded[8 : 8 + int.from_bytes(padded[:8], "big")])
    return Counted(from_data(data["table"]), data["lost"])


def lock(office: Office, job: str, plain: bytes) -> bytes:
    """What is found of a table, encrypted as the table is: the register keeps it, and neither it nor a copy of it says a number."""
    return envelope_of(office.settings.crypto_suite).seal(_key(office, job), plain, _place(job) + b"/evidence", office.random)


def unlock(office: Office, job: str, locked: bytes) -> bytes:
    """What `lock` hid. StagingDamaged when it is not of this job and home."""
    try:
        return envelope_of(office.settings.crypto_suite).open(_key(office, job), locked, _place(job) + b"/evidence")
    except SealBroken:
        raise StagingDamaged(job) from None


def discard(office: Office, job: str) -> None:
    """A table that will never be released is not kept."""
    office.staging.discard(_name(job))


def _name(job: str) -> str:
    return f"sealed-{job}"


def _key(office: Office, job: str) -> bytes:
    return office.key_ring.derive("sealed-tables", job.encode())


def _place(job: str) -> bytes:
    return b"yunei/exact/" + job.encode()


# ── as JSON, for sealing alone ───────────────────────────────────────────────────────────────────────────────────────────────────────


def as_data(table: ExactTable) -> dict[str, Any]:
    """Everything of a table. As dangerous as the table: it goes into `seal` and nowhere else."""
    basis = table.basis
    return {
        "basis": {name: getattr(basis, name) for name in ("space", "rows", "snapshot", "population", "subject", "shape", "job")},
        "dimensions": [
            {"name": one.name, "column": one.column, "levels": [[level.code, level.parent, level.whole] for level in one.levels]}
            for one in table.dimensions
        ],
        "measures": [[one.name, one.kind, one.decimals, one.of, one.signed, one.additive] for one in table.measures],
        "cells": [[list(cell.at), cell.units, [_amount(amount) for amount in cell.amounts]] for cell in table.cells],
        "disjoint": table.disjoint,
        "facts": dict(table.facts),
    }


def from_data(data: Mapping[str, Any]) -> ExactTable:
    return ExactTable(
        Basis(**data["basis"]),
        tuple(Dimension(one["name"], one["column"], tuple(Level(*level) for level in one["levels"])) for one in data["dimensions"]),
        tuple(Measure(*one) for one in data["measures"]),
        tuple(Cell(tuple(at), units, tuple(_read(amount) for amount in amounts)) for at, units, amounts in data["cells"]),
        data["disjoint"],
        data["facts"],
    )


def _amount(amount: Amount) -> list[Any]:
    absolute = None if amount.absolute is None else _text(amount.absolute)
    return [_text(amount.total), amount.values, [_text(item) for item in amount.largest], list(amount.holders), absolute]


def _read(data: list[Any]) -> Amount:
    total, values, largest, holders, absolute = data
    return Amount(_exact(total), values, tuple(map(_exact, largest)), tuple(holders), None if absolute is None else _exact(absolute))


def _text(value: Exact) -> str:
    return str(value)


def _exact(text: str) -> Exact:
    value = Fraction(text)
    return int(value) if value.denominator == 1 else value
