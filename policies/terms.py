"""Terms of a licence that bind after the last job: which decision it rests on, and what happens at its end.

A cooperation agreement settles what becomes of the data when its term is over (Shanxi regulation on government data, 2020 draft, art. 20
para. 1); a matter of weight is decided collectively and on record (Implementing Opinion Jinshufa [2025] 3, part 2 (3) item 8, 三重一大).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from policies.catalogue import Model


class Decision(Model):
    """The collective decision (三重一大) a licence rests on: its number, its date, and SHA-256 of the file, so that nobody can put another
    text in its place. Written by people as a table, or as the number alone."""

    number: str = Field(min_length=1, max_length=200, description="文号 · document number")
    decided_on: date | None = Field(default=None, description="决策日期 · date of the decision")
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="决策文件的 SHA-256 · SHA-256 of the file, in hex"
    )

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, given: Any) -> Any:
        return {"number": given} if isinstance(given, str) else given


class Disposal(Model):
    """What the machine does when a licence expires or is revoked, and records.

    `products`: what was made under it. "keep": its operator and the builders go on fetching it; "withdraw": from that moment this server
    hands it to neither, and the operator has undertaken to delete what it holds. `keys`: the operator's access keys. "keep", or "revoke" as
    soon as no other licence of the operator's is in force or asked for. Whatever is said here, jobs that wait are cancelled and those that
    run are not published. Written by people as a table, or as "keep-results" or "delete-results".
    """

    products: Literal["keep", "withdraw"] = "keep"
    keys: Literal["keep", "revoke"] = "keep"

    @model_validator(mode="before")
    @classmethod
    def _in_one_word(cls, given: Any) -> Any:
        words: Mapping[str, dict[str, str]] = {"keep-results": {"products": "keep"}, "delete-results": {"products": "withdraw"}}
        return words.get(given, given) if isinstance(given, str) else given
