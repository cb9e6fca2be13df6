"""Exact values are not said and not written down, whatever holds them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sandbox.noise.fit import Summed
from sandbox.noise.marginals import Looks, Marginals
from sandbox.noise.space import Bins, Bounded, Database
from sandbox.raw.exact import Counted
from sandbox.raw.frames import ExactFrames
from sandbox.raw.marginals import ExactMarginals
from sandbox.raw.totals import ExactTotals
from sandbox.redacted import Redacted

SECRET = 71_000_017
TABLE = pa.table({"t0": [SECRET]})
MEMBERS: list[Any] = [
    ExactTotals(TABLE),
    ExactFrames(TABLE),
    ExactMarginals(TABLE),
    Summed({"moments": [SECRET]}),
    Database(ExactTotals(TABLE)),
    Bins(*(np.array([SECRET]) for _ in range(3))),
]


def named(value: Any) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", MEMBERS, ids=named)
def test_nothing_is_said_and_nothing_is_written_down(value: Any) -> None:
    for said in (repr(value), str(value), f"{value}", f"{value!r:>40}", f"{[value]}", "%s" % value):  # noqa: UP031  # logs do it
        assert str(SECRET) not in said
        assert "(redacted)" in said
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not written down"):
            pickle.dumps(value, protocol)
    with pytest.raises(TypeError, match="not written down"):
        copy.deepcopy(value)


@pytest.mark.parametrize("kind", [Bounded, Counted, Looks, Marginals], ids=lambda kind: kind.__name__)
def test_so_it_is_of_those_that_take_more_to_make(kind: type[Redacted]) -> None:
    bare = object.__new__(kind)
    assert repr(bare) == str(bare) == f"{bare}" == f"{kind.__name__}(redacted)"
    with pytest.raises(TypeError, match="not written down"):
        pickle.dumps(bare)
