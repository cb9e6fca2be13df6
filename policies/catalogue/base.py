"""What models of the catalogue and of licences are made of."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from policies.model import Model as Model
from policies.reasons import PATTERNS

# letters of any script, digits, underscore: safe as SQL name and file name
Name = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w{0,62}$")]
PATTERNS[r"^[^\W\d]\w{0,62}$"] = (
    "须以字母或汉字开头，只含字母、汉字、数字、下划线，至多 63 个字符",
    "starts with a letter of any script, then letters, digits and underscores, 63 characters at most",
)
ColumnType = Literal["integer", "decimal", "number", "text", "date", "timestamp", "boolean"]
Use = Literal["filter", "key", "aggregate", "join", "distinct", "program"]
USES: tuple[Use, ...] = ("filter", "key", "aggregate", "join", "distinct", "program")
Grade = Literal["core", "important", "general-4", "general-3", "general-2", "general-1"]
Registration = Literal["applied", "accepted", "checked", "published", "coded"]
REGISTRATIONS: tuple[Registration, ...] = ("applied", "accepted", "checked", "published", "coded")  # each follows the one before it
GRADES: tuple[Grade, ...] = ("core", "important", "general-4", "general-3", "general-2", "general-1")  # strictest first
NUMERIC: frozenset[ColumnType] = frozenset({"integer", "decimal", "number"})
KEYABLE: frozenset[ColumnType] = frozenset({"integer", "text", "date", "boolean"})
KeyValue = bool | int | date | str

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
PATTERNS[r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"] = (
    "须以英文字母或数字开头，只含英文字母、数字、点、下划线、连字符，至多 64 个字符",
    "starts with an ASCII letter or digit, then letters, digits, dots, underscores and hyphens, 64 characters at most",
)


class Title(Model):
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
