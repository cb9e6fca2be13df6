"""The table of mutants fits the code it is about; a few of its rows are run here, all of them by `make mutants`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, copy, survives
from tests.mutants.table import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_every_row_fits(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    path, _, name = mutant.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert mutant.new != mutant.old


def test_rules_are_told_apart() -> None:
    assert len({mutant.rule for mutant in MUTANTS}) == len({(mutant.file, mutant.old) for mutant in MUTANTS}) == len(MUTANTS)


def test_some_safeguards_are_missed_when_they_are_gone(tmp_path: Path) -> None:
    tree = copy(tmp_path)
    quick = [mutant for mutant in MUTANTS if mutant.quick]
    assert len(quick) >= 3
    assert [mutant.rule for mutant in quick if survives(tree, mutant)] == []
