"""What its maker says of a product, as builders read it: title, what it holds, how often it is renewed, under which terms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from policies.catalogue import Model, Title
from policies.problem import declare
from policies.reasons import PATTERNS, explained, parse_toml, reasons_of

_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
ProductId = Annotated[str, StringConstraints(pattern=_PATTERN)]
"""Also a file name and, in Delta Sharing, the name of a table: lower case, so that no two differ in case alone."""
PATTERNS[_PATTERN] = (
    "须以小写英文字母开头，只含小写字母、数字、下划线、连字符，至多 63 个字符",
    "starts with a lower-case ASCII letter, then letters, digits, underscores and hyphens, 63 characters at most",
)

product_invalid = declare(
    "product_invalid",
    zh=("产品说明有误", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改后再次提交。"),
    en=(
        "The product description has errors",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed and submit it again.",
    ),
)

Renewed = Literal["once", "irregular", "day", "week", "month", "quarter", "year"]


class Words(Model):
    """A paragraph in both languages."""

    zh: str = Field(min_length=1, max_length=4000)
    en: str = Field(min_length=1, max_length=4000)


class Said(Model):
    """`terms`: for what a builder may use it, beyond what the licence's scenario says. `renewed`: how often a version may be expected."""

    title: Title
    about: Words
    terms: Words
    keywords: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = Field(default=(), max_length=32)
    renewed: Renewed = "irregular"
    contact: str = Field(default="", max_length=200)


class Description(Said):
    """All that its maker says of a product, with the product's id."""

    id: ProductId


def description_from_toml(text: str) -> Description:
    """The description a file states. Raises `product_invalid`, with one located part per fault."""
    document = parse_toml(text, product_invalid)
    try:
        return Description.model_validate(document)
    except ValidationError as error:
        raise explained(product_invalid, reasons_of(error, document)) from None
