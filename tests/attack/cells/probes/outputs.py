"""What goes out of a cell besides numbers."""

from __future__ import annotations

import os
import pickle
from typing import Any

FRAME = 3  # the file a frame is written to


class Trap:
    """Whoever unpickles this writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def pickled(world: dict[str, Any]) -> None:
    """A pickle in place of the frame, of exactly its length."""
    trap = pickle.dumps(Trap(world["trap"]))
    os.write(FRAME, trap + b"." * (world["frame_bytes"] - len(trap)))
    os._exit(0)


def numpy_object(world: dict[str, Any]) -> None:
    """A .npy file of objects: numpy.load with allow_pickle would open it."""
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, np.array([Trap(world["trap"])], dtype=object), allow_pickle=True)
    os.write(FRAME, file.getvalue().ljust(world["frame_bytes"], b"\0"))
    os._exit(0)


def yaml_text(world: dict[str, Any]) -> None:
    text = f"!!python/object/apply:builtins.open [{world['trap']}, w]".encode()
    os.write(FRAME, text.ljust(world["frame_bytes"]))
    os._exit(0)


def say(world: dict[str, Any]) -> str:
    """No attack: what the cell says back."""
    return str(world["text"])
