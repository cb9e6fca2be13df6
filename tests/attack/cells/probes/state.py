"""Leaving something behind for the next block, and looking for it."""

from __future__ import annotations

import atexit
import builtins
import gc
import os
import random
import signal
import sys
from contextlib import suppress
from typing import Any

import numpy as np

MARK = "left-by-a-block"


def change_everything(world: dict[str, Any]) -> None:
    """Whatever a process has that another could find."""
    builtins.yunei_mark = MARK
    sys.modules["yunei_mark"] = sys
    sys.path.append(MARK)
    sys.setrecursionlimit(4321)
    os.environ["YUNEI_MARK"] = MARK
    np.mean = lambda *_: 42.0
    random.seed(99)
    np.random.seed(99)
    random.random()
    gc.disable()
    atexit.register(print, MARK)
    with suppress(OSError):
        signal.signal(signal.SIGUSR1, lambda *_: None)
    if world.get("gently"):
        return
    for name, value in (("__main__", "Nursery"), ("inside", "frame"), ("inside", "answer")):
        setattr(sys.modules[name], value, MARK)
    sys.meta_path.insert(0, MARK)


def look_for_changes(_: dict[str, Any]) -> str | None:
    found = [
        name
        for name, there in (
            ("builtins", hasattr(builtins, "yunei_mark")),
            ("modules", "yunei_mark" in sys.modules),
            ("path", MARK in sys.path),
            ("recursion", sys.getrecursionlimit() == 4321),
            ("environment", "YUNEI_MARK" in os.environ),
            ("numpy", np.mean([1.0]) == 42.0),
            ("collector", not gc.isenabled()),
            ("signal", signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL),
            ("harness", MARK in (getattr(sys.modules["__main__"], "Nursery", ""), sys.modules["inside"].answer)),
            ("meta path", MARK in sys.meta_path),
            ("random", random.getstate() != _fresh()),
        )
        if there
    ]
    return " ".join(found) or None


def _fresh() -> Any:
    return random.Random(0).getstate()
