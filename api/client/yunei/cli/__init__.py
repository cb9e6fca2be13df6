"""The command `yunei`.

Exit codes: 0 done; 1 the server refused, or the job published nothing; 2 the command line is not right; 3 the server cannot be reached;
4 a log, receipt or file does not verify; 5 the time to wait is over and the job still runs; 130 interrupted.

Other packages add verbs through the entry point group `yunei.commands`: a function that is given the root `typer.Typer` and may add to it
and to the nouns in `yunei.cli.groups`. Its module is imported only when a verb is asked for that the client does not have, or a list of
verbs; it should be light all the same. `yunei.words.say(zh, en)` picks the words.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from yunei.words import say

if TYPE_CHECKING:
    from yunei.cli.app import groups as groups

__all__ = ["groups", "main", "say"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    from yunei.cli.run import run

    return run(list(sys.argv[1:] if arguments is None else arguments))


def __getattr__(name: str) -> Any:
    if name == "groups":
        from yunei.cli.app import groups

        return groups
    raise AttributeError(f"module 'yunei.cli' has no attribute {name!r}")
