"""Ranges and preconditions, held against what RFC 9110 says in so many words."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import api.ranges
import infra.dsse
import infra.webhooks
import jobs.products.manifest
from api.ranges import LIMIT, matches, parts_of


@pytest.mark.parametrize("module", [api.ranges, infra.dsse, infra.webhooks, jobs.products.manifest])
def test_examples_run(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]  # a module
    assert done.attempted
    assert done.failed == 0


spec = st.one_of(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    st.integers(0, 60).map(lambda first: f"{first}-"),
    st.integers(0, 60).map(lambda last: f"-{last}"),
)


def asked(item: str, length: int) -> set[int]:
    """The bytes one range names, by RFC 9110, 14.1.2."""
    first, _, last = item.partition("-")
    if not first:
        return set(range(max(0, length - int(last)), length))
    return set(range(int(first), min(length, int(last) + 1 if last else length)))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(items=st.lists(spec, min_size=1, max_size=LIMIT), length=st.integers(0, 50))
def test_what_is_sent_is_what_was_asked_for_and_no_byte_twice(items: list[str], length: int) -> None:
    parts = parts_of("bytes=" + ", ".join(items), length)
    assert parts is not None
    sent = [byte for start, stop in parts for byte in range(start, stop)]
    assert len(sent) == len(set(sent))
    assert set(sent) == set().union(*(asked(item, length) for item in items))
    assert all(start < stop for start, stop in parts)


@pytest.mark.parametrize(
    "header", ["bytes", "bytes=", "bytes=a-b", "bytes=1", "bytes=5-2", "bytes=-", "rows=1-2", "bytes=" + ",".join(["1-2"] * 17)]
)
def test_what_is_malformed_is_not_followed(header: str) -> None:
    assert parts_of(header, 10) is None


def test_tags_compare_as_their_headers_say() -> None:
    assert matches('W/"a", "b"', '"a"', weakly=True)
    assert not matches('W/"a"', '"a"', weakly=False)
    assert matches("*", '"a"', weakly=False)
    assert not matches('"ab"', '"a"', weakly=True)
