"""What every answer of the server is read as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import InvalidOperation
from typing import Any, Self

from yunei.problem import problem
from yunei.words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(ABC):
    """Anything the server said."""

    data: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, data: object, language: Language = "en") -> Self:
        """Raises `client_not_yunei` when `data` is not what this class describes."""
        if not isinstance(data, Mapping):
            raise problem("client_not_yunei", language=language)
        try:
            return cls._of(data, language)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise problem("client_not_yunei", language=language) from error

    @classmethod
    @abstractmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        """From the JSON object; whatever it raises means that this is none."""
