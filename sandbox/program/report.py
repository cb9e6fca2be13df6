"""The static report on a package, for its reviewers: what it imports, calls and defines, how large it is, where to look first.

It is no barrier: Python can say anything in many ways, and what keeps a program from its surroundings is the cell it runs in. What is
refused here is what no honest program needs: modules outside the locked set, and turning text into code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.cells.base import LIBRARIES
from policies.reasons import Reason, explained
from sandbox.program.cargo import ADAPTER
from sandbox.program.manifest import Manifest
from sandbox.program.package import Package
from sandbox.program.problems import PROGRAM_INVALID

# what a cell offers: its libraries, and modules of the standard library that compute
_LIBRARIES = frozenset(LIBRARIES)
_NUMBERS = frozenset(("array", "bisect", "datetime", "decimal", "fractions", "heapq", "math", "numbers", "random", "statistics"))
_LANGUAGE = frozenset(("__future__", "abc", "collections", "copy", "dataclasses", "enum", "functools", "itertools", "operator", "typing"))
_TEXT = frozenset(("json", "re", "string"))
LOCKED = _LIBRARIES | _NUMBERS | _LANGUAGE | _TEXT
NEVER = frozenset(("eval", "exec", "compile", "__import__", "breakpoint", "input"))  # text into code, or a person at a terminal
TIMEOUT_S = 15
_WORKER = Path(__file__).with_name("parse_worker.py")


@dataclass(frozen=True, slots=True)
class FileReport:
    """One source. `marked`: names that reach around the language's own walls, with their lines; a reviewer looks there first."""

    path: str
    lines: int
    nodes: int
    imports: tuple[str, ...]
    calls: Mapping[str, int]
    functions: tuple[str, ...]
    marked: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`imports` from outside the package, `bytes` of all sources."""

    imports: tuple[str, ...]
    lines: int
    bytes: int
    files: tuple[FileReport, ...] = field(default=())


def inspect(package: Package) -> Report:
    """Parse every source, in a process of its own, within limits. PROGRAM_INVALID, located, when one is no Python, is too large or too deep,
    imports from outside the locked set, turns text into code, or the entry is no function of two arguments: rows and parameters."""
    sources = package.sources
    said = _parsed(sources)
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in sources}
    roots = {module.partition(".")[0] for module in modules}
    faults = [
        Reason(path, "模块与标准库或可用模块同名", "it has the name of a module of the standard library, or of one that programs may use")
        for path in sources
        if path.partition("/")[0].removesuffix(".py") in LOCKED | sys.stdlib_module_names | {ADAPTER}
    ]
    for path, found in said.items():
        faults += _faults(path, found, roots)
    faults += _entry_faults(package.manifest, said)
    if faults:
        raise explained(PROGRAM_INVALID, faults[:50])
    outside = {name for found in said.values() for name, level, _ in found["imports"] if not level and name.partition(".")[0] not in roots}
    return Report(
        imports=tuple(sorted(outside)),
        lines=sum(found["lines"] for found in said.values()),
        bytes=sum(len(text.encode()) for text in sources.values()),
        files=tuple(
            FileReport(
                path=path,
                lines=found["lines"],
                nodes=found["nodes"],
                imports=tuple("." * level + name for name, level, _ in found["imports"]),
                calls=dict(found["calls"]),
                functions=tuple(found["functions"]),
                marked=tuple((name, line) for name, line in found["marked"]),
            )
            for path, found in said.items()
        ),
    )


def _parsed(sources: Mapping[str, str]) -> dict[str, Any]:
    """What the worker says of each source; a worker that did not come back says that one of them cannot be parsed."""
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and our own file; the sources are its input, never its arguments
            [sys.executable, "-I", "-S", "-B", str(_WORKER)],
            input=json.dumps({"files": dict(sources)}).encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
            env={},
        )
        said: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise explained(PROGRAM_INVALID, [Reason("package", "在限定的内存和时间内无法解析", "it cannot be parsed within limits")]) from None
    return said


_FAULTS = {
    "syntax": ("不是合法的 Python（{why}）", "it is not Python ({why})"),
    "deep": ("嵌套过深或数字过长", "it is nested too deep, or a number is too long"),
    "large": ("语法节点过多", "it has too many nodes"),
}


def _faults(path: str, found: Mapping[str, Any], roots: set[str]) -> list[Reason]:
    if "fault" in found:
        zh, en = _FAULTS[found["fault"]]
        place = f"{path}:{found['line']}" if found["line"] else path
        return [Reason(place, zh.format(why=found["why"]), en.format(why=found["why"]))]
    faults = [
        Reason(f"{path}:{line}", f"不在可用模块之内：{name}", f"{name} is not among the modules a program may use")
        for name, level, line in found["imports"]
        if not level and name.partition(".")[0] not in LOCKED | roots
    ]
    faults += [Reason(f"{path}:{line}", f"不得使用 {name}", f"{name} is not for programs") for name, line in found["marked"] if name in NEVER]
    return faults


def _entry_faults(manifest: Manifest, said: Mapping[str, Any]) -> list[Reason]:
    found = said.get(manifest.entry_file, {})
    if "fault" in found:
        return []
    if found.get("arity", {}).get(manifest.entry_function) != 2:
        name = manifest.entry_function
        zh = f"{manifest.entry_file} 须有函数 {name}(rows, parameters)"
        return [Reason("program.toml.entry", zh, f"{manifest.entry_file} needs a function {name}(rows, parameters)")]
    return []
