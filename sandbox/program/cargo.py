"""A program as a cell takes it: its sources with an adapter of ours beside them, which knows tables and outputs by their names.

The adapter runs inside the cell, with the program, and is no more trusted than it: whatever leaves the cell is read as a frame of float64.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Sequence

from infra.cells.base import FLOAT_BYTES, LIBRARIES, Cargo, Limits
from sandbox.program.manifest import Manifest
from sandbox.program.package import Package
from sandbox.program.run import Run

ADAPTER = "yunei_adapter"  # no module of a package may have this name
MEMORY_MB = 512
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CODE = '''"""Written for one run: hands rows over by name, and outputs back in order."""

from collections.abc import Mapping
from json import loads

from {module} import {function} as program

SAID = loads({said!r})


def table(rows, name):
    import pyarrow

    (whole,) = rows.column(name)
    return pyarrow.Table.from_batches([pyarrow.RecordBatch.from_struct_array(whole.values)])


def handed(rows):
    made = {{name: table(rows, name) for name in SAID["tables"]}} if SAID["tables"] else {{"": rows}}
    if SAID["pandas"]:
        made = {{name: one.to_pandas(use_threads=False) for name, one in made.items()}}
    return made if SAID["tables"] else made[""]


def number(value):
    return float("nan") if value is None else float(value)


def run(rows, parameters):
    answer = program(handed(rows), parameters)
    names, key = SAID["outputs"], SAID["key"]
    if isinstance(answer, Mapping):
        answer = [answer.get(name) for name in names]
    elif len(names) == 1 and not hasattr(answer, "__len__"):
        answer = [answer]
    answer = list(answer)
    if len(answer) != len(names):
        raise ValueError("the outputs are " + ", ".join(names))
    if key is not None:
        place = {{value: at for at, value in enumerate(key)}}
        return [float(place.get(answer[0], -1)), *map(number, answer[1:])]
    return [number(value) for value in answer]
'''


def cargo_of(package: Package, run: Run, tables: Sequence[str], libraries: Sequence[str]) -> Cargo:
    """What a cell is opened with. `tables`: the datasets of the run, in order; `libraries`: roots of what the sources import."""
    manifest = package.manifest
    sources = {**package.sources, f"{ADAPTER}.py": _adapter(manifest, run, tables)}
    return Cargo(
        package=_zipped(sources),
        entry=f"{ADAPTER}:run",
        parameters=run.parameters.encode(),
        libraries=libraries_for(package, run.rows, libraries),
    )


def libraries_for(package: Package, rows: str, imports: Sequence[str]) -> tuple[str, ...]:
    """Libraries to have loaded before any call. pandas is one that `to_pandas` needs without an import of it."""
    converts = rows == "pandas" or any("to_pandas" in text for text in package.sources.values())
    needed = {"pyarrow", *imports, *(("pandas",) if converts else ())}
    return tuple(name for name in LIBRARIES if name in needed)


def limits_of(run: Run, *, memory_mb: int = MEMORY_MB, cpu_s: int = 86_400) -> Limits:
    """What one call may use. Processor time is not what ends it, unless `cpu_s` is less than the time on the wall."""
    seconds = float(run.seconds)
    cpu_s = min(cpu_s, math.ceil(seconds) + 1)
    return Limits(memory_mb=memory_mb, cpu_s=cpu_s, wall_s=seconds, output_bytes=FLOAT_BYTES * run.floats)


def _adapter(manifest: Manifest, run: Run, tables: Sequence[str]) -> str:
    key = manifest.key
    said = {
        "tables": list(tables) if len(tables) > 1 else [],
        "pandas": run.rows == "pandas",
        "outputs": [*([key.name] if key else []), *(clamp.name for clamp in run.clamps)],
        "key": list(key.domain) if key else None,
    }
    module = manifest.entry_file.removesuffix(".py").replace("/", ".")
    return _CODE.format(module=module, function=manifest.entry_function, said=json.dumps(said))


def _zipped(sources: dict[str, str]) -> bytes:
    """The same bytes for the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in sorted(sources.items()):
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), text.encode())
    return buffer.getvalue()
