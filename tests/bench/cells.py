"""Cells: how long one takes to start, what a block costs beyond its own computing, and a thousand blocks on two cores."""

from __future__ import annotations

import io
import os
import statistics
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from infra.cells.base import Backend, Cargo, Cell, Limits, Shape
from tests.cells import a_backend

KINDS = ("bwrap", "docker")
STARTS = 5
BLOCKS = 100
JOB = 1_000
ROWS = 1_000
LIMITS = Limits()
PROGRAMS: dict[str, tuple[str, tuple[str, ...], Shape]] = {
    "numpy": ("def run(rows, parameters):\n    return rows['x'].to_numpy().mean()\n", ("numpy", "pyarrow"), "arrow"),
    "pyarrow": ("import pyarrow.compute as pc\ndef run(rows, parameters):\n    return pc.mean(rows['x']).as_py()\n", ("pyarrow",), "arrow"),
    "pandas": ("def run(rows, parameters):\n    return rows.groupby('g')['x'].mean().max()\n", ("pandas", "pyarrow"), "pandas"),
}


def bench(kind: str) -> dict[str, Any]:
    """Milliseconds by the wall clock, and of processor time: on a busy machine the second says more. Medians of `STARTS` and `BLOCKS`."""
    backend = a_backend(kind)
    result: dict[str, Any] = {"rows": ROWS}
    for name, program in PROGRAMS.items():
        cargo = _cargo(*program)
        result[name] = {**_starts(backend, cargo), **_blocks(backend, cargo)}
    result["job"] = {"blocks": JOB, "cells": 2, "pandas_s": _job(backend, _cargo(*PROGRAMS["pandas"]))}
    result["strict_ms"] = _strict(a_backend(kind, strict=True), _cargo(*PROGRAMS["pandas"]))
    return result


def _cargo(source: str, libraries: tuple[str, ...], shape: Shape) -> Cargo:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", source)
    return Cargo(packed.getvalue(), "main:run", libraries=libraries, shape=shape)


def _block() -> bytes:
    rows = pa.table({"x": [float(number) for number in range(ROWS)], "g": [number % 7 for number in range(ROWS)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _starts(backend: Backend, cargo: Cargo) -> dict[str, float]:
    taken = []
    for _ in range(STARTS):
        began = time.perf_counter()
        with backend.open(cargo, LIMITS) as cell:
            _ran(cell, _block())
            taken.append(time.perf_counter() - began)
    return {"start_s": round(statistics.median(taken), 2)}


def _blocks(backend: Backend, cargo: Cargo) -> dict[str, float]:
    block = _block()
    with backend.open(cargo, LIMITS) as cell:
        _ran(cell, block)
        before, taken = _processor(), []
        for _ in range(BLOCKS):
            began = time.perf_counter()
            _ran(cell, block)
            taken.append((time.perf_counter() - began) * 1e3)
    ours = _processor() - before
    return {
        "block_p50_ms": round(statistics.median(taken), 1),
        "block_p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "block_least_ms": round(min(taken), 1),
        "outside_cpu_ms": round(ours / BLOCKS * 1e3, 2),
    }


def _processor() -> float:
    """Seconds of this process alone: what the trusted side spends on a block."""
    used = os.times()
    return used.user + used.system


def _job(backend: Backend, cargo: Cargo) -> float:
    """Two cells, as two workers would have them; started before."""
    block = _block()

    def half() -> float:
        with backend.open(cargo, LIMITS) as cell:
            _ran(cell, block)
            began = time.perf_counter()
            for _ in range(JOB // 2):
                _ran(cell, block)
            return time.perf_counter() - began

    with ThreadPoolExecutor(2) as both:
        return round(max(each.result() for each in [both.submit(half) for _ in range(2)]), 1)


def _strict(backend: Backend, cargo: Cargo) -> float:
    block, taken = _block(), []
    with backend.open(cargo, LIMITS) as cell:
        for _ in range(STARTS):
            began = time.perf_counter()
            _ran(cell, block)
            taken.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(taken))


def _ran(cell: Cell, block: bytes) -> None:
    if cell.run(block) is None:
        raise RuntimeError("a block gave no frame")
