"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import policies

MODULES = sorted(found.name for found in pkgutil.walk_packages(policies.__path__, "policies."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found_at_all() -> None:
    assert doctest.testmod(importlib.import_module("policies.loss")).attempted >= 5
