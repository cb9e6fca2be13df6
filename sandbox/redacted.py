"""What is exact, or made of it, and lives only in the process that draws the noise."""

from __future__ import annotations

from typing import NoReturn


class Redacted:
    """Neither repr, str nor format says anything of it, nor does a log or a traceback that prints it; and it cannot be pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(redacted)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not written down")
