"""The table: which rule, where it stands, what it becomes, and the fast test that must notice. Its rows are beside this, by topic.

A row whose text no longer stands exactly once in its file, or whose test is gone, fails the default suite: whoever rewrites a safeguard moves
its row along.
"""

from __future__ import annotations

from tests.mutants.cells import CELLS
from tests.mutants.letting_out import LET_OUT
from tests.mutants.mutant import Mutant
from tests.mutants.noise import NOISED
from tests.mutants.ownership import OWNED

MUTANTS: tuple[Mutant, ...] = (*OWNED, *NOISED, *CELLS, *LET_OUT)
