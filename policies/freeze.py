"""Emergency stops (应急处置): what can be frozen, and what each freeze reaches.

Shanxi regulation on government data (2020 draft) art. 24 para. 2 and Measures on data work (2024 draft) art. 41 and 44 ask for a mechanism
that meets an emergency at once. One supervisor freezes alone; two thaw. Frozen names are compared without case: a freeze reaches too far
rather than not far enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Scope = Literal["everything", "operator", "licence", "dataset"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
EVERYTHING = "everything"


def frozen_name(scope: Scope, subject: str) -> str:
    """What a freeze is called among facts.

    >>> frozen_name("dataset", "Visits"), frozen_name("everything", "")
    ('dataset:visits', 'everything')
    """
    if (scope == EVERYTHING) != (not subject):
        raise ValueError("a freeze of everything names nothing; any other names what it freezes")
    return EVERYTHING if scope == EVERYTHING else f"{scope}:{subject.casefold()}"


def stopped(frozen: Iterable[str], *, operators: Iterable[str] = (), licences: Iterable[str] = (), datasets: Iterable[str] = ()) -> list[str]:
    """Which of the freezes in force reach what is named, sorted; empty when none does.

    >>> stopped({"dataset:visits", "operator:op-2"}, operators=["op-1"], datasets=["VISITS", "labs"])
    ['dataset:visits']
    """
    named = {EVERYTHING}
    for scope, subjects in (("operator", operators), ("licence", licences), ("dataset", datasets)):
        named |= {f"{scope}:{subject.casefold()}" for subject in subjects}
    return sorted(named.intersection(name.casefold() for name in frozen))
