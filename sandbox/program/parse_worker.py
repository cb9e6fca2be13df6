"""Parses Python sources in a process of its own, within limits on memory and time, and says what they hold. Run by path, isolated; it imports
the standard library alone and executes nothing of what it reads.

Reads `{"files": {path: text}}` from standard input, writes one JSON object.
"""

from __future__ import annotations

import ast
import json
import resource
import sys

MEMORY = 512 * 2**20
SECONDS = 5
NODES = 100_000


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = json.load(sys.stdin)["files"]
    json.dump({path: said(text) for path, text in files.items()}, sys.stdout)


def said(text: str) -> dict[str, object]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return {"fault": "syntax", "line": error.lineno or 0, "why": str(error.msg)[:200]}
    except (RecursionError, MemoryError, ValueError):
        return {"fault": "deep", "line": 0, "why": ""}
    imports: list[tuple[str, int, int]] = []
    calls: dict[str, int] = {}
    uses: list[tuple[str, int]] = []
    count = 0
    for node in ast.walk(tree):
        count += 1
        if count > NODES:
            return {"fault": "large", "line": getattr(node, "lineno", 0), "why": ""}
        if isinstance(node, ast.Import):
            imports += [(alias.name, 0, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.module or "", node.level, node.lineno))
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            calls[name] = calls.get(name, 0) + 1
        if isinstance(node, ast.Name):
            uses.append((node.id, node.lineno))
        elif isinstance(node, ast.Attribute):
            uses.append((node.attr, node.lineno))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    arity = {node.name: len(node.args.posonlyargs) + len(node.args.args) for node in tree.body if isinstance(node, ast.FunctionDef)}
    marked = sorted({(name, line) for name, line in uses if (name.startswith("__") and name.endswith("__")) or name in NAMES})
    return {
        "lines": text.count("\n") + 1,
        "nodes": count,
        "imports": sorted(set(imports)),
        "calls": dict(sorted(calls.items())),
        "functions": functions,
        "arity": arity,
        "marked": marked,
    }


NAMES = {"eval", "exec", "compile", "breakpoint", "input", "open", "globals", "locals", "vars", "getattr", "setattr", "delattr"}


def dotted(node: ast.expr) -> str:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "(…)")
    return ".".join(reversed(names))[:120]


if __name__ == "__main__":
    main()
