"""`make mutants`: every row of the table in a scratch copy, its test run, and a table of which were noticed. Exits 1 unless all were."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", "build", "demo-data", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "node_modules")


def copy(folder: Path) -> Path:
    """The tree as it is, without what is built."""
    return shutil.copytree(ROOT, folder / "tree", ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)


def survives(tree: Path, mutant: Mutant) -> bool:
    """Whether the mutant's test passes with the safeguard gone. Raises ValueError when the row does not fit the file."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file}: the text of “{mutant.rule}” stands there {text.count(mutant.old)} times")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return passes(tree, mutant.test)
    finally:
        path.write_text(text, encoding="utf-8")


def passes(tree: Path, test: str) -> bool:
    """Without the suite's common set-up, which no test of the table needs. Raises RuntimeError when the test did not run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--noconftest", "-p", "no:cacheprovider", "-p", "tests.mutants.unshrunk", test]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{test} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def main(asked: Iterable[str]) -> int:
    console, lived = Console(highlight=False), 0
    chosen = [mutant for mutant in MUTANTS if not asked or any(word in mutant.rule or word in mutant.file for word in asked)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copy(Path(folder))
        for test in dict.fromkeys(mutant.test for mutant in chosen):
            if not passes(tree, test):
                raise SystemExit(f"{test} fails without any mutation")
        for mutant in chosen:
            started = time.monotonic()
            survived = survives(tree, mutant)
            lived += survived
            console.print(f"{'SURVIVED' if survived else 'noticed'}  {time.monotonic() - started:5.1f} s  {mutant.rule}  ({mutant.file})")
    console.print(f"{len(chosen) - lived} of {len(chosen)} noticed")
    return 1 if lived else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only rows whose rule or file has one of these words")
    sys.exit(main(parser.parse_args().words))
