"""The life of a data product as one table of acts: what may follow what. The diagram in docs/products.md is drawn from it.

A product is what builders fetch: one or more releases, in versions, under a description. Registration of data products and services (数据产品
和服务登记) comes before anybody but its maker sees one; every product names its sources and their dates of acquisition (Shanxi regulation on
government data, 2020 draft, art. 20 para. 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from policies.problem import vocabulary

ProductState = Literal["draft", "registered", "published", "deprecated", "recalled"]
PRODUCT_STATES: tuple[ProductState, ...] = get_args(ProductState)
PRODUCT_STATE_TITLES: dict[ProductState, tuple[str, str]] = {
    "draft": ("草稿", "draft"),
    "registered": ("已登记", "registered"),
    "published": ("已上架", "published"),
    "deprecated": ("不再更新", "deprecated"),
    "recalled": ("已召回", "recalled"),
}
vocabulary("product_state", PRODUCT_STATE_TITLES)
SHOWN: tuple[ProductState, ...] = ("published", "deprecated", "recalled")  # to builders, in their catalogue
SERVED: tuple[ProductState, ...] = ("published", "deprecated")  # delivered to those entitled
GROWING: tuple[ProductState, ...] = ("draft", "registered", "published")  # may have further versions


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of act. `before` empty: it makes the product. `after` equal to "": the state stays."""

    kind: str  # of the event
    before: tuple[ProductState, ...]
    after: ProductState | Literal[""]
    zh: str
    en: str


PRODUCT_LIFE: tuple[Step, ...] = (
    Step("product_drafted", (), "draft", "运营单位起草", "its operator drafts it"),
    Step("product_described", ("draft",), "", "修改草稿的说明", "its description is changed"),
    Step("product_version_added", GROWING, "", "加入一个版本，列须相同", "a version is added, of the same columns"),
    Step("product_registered", ("draft",), "registered", "数据局登记并赋码", "the bureau registers it and gives it a code"),
    Step("product_published", ("registered",), "published", "上架", "its operator publishes it"),
    Step("product_entitled", ("registered", "published"), "", "授予数商取用资格", "a builder is entitled to it"),
    Step("product_entitlement_ended", ("registered", "published", "deprecated"), "", "终止取用资格", "an entitlement is ended"),
    Step("product_delivered", SERVED, "", "交付", "it is delivered to a builder"),
    Step(
        "product_deprecated",
        ("published",),
        "deprecated",
        "不再更新，已有资格者仍可取用",
        "no further versions; those entitled go on fetching it",
    ),
    Step(
        "product_recalled",
        ("registered", "published", "deprecated"),
        "recalled",
        "召回：停止交付，通知订阅者",
        "recalled: no delivery any more",
    ),
)
_BEFORE = {step.kind: step.before for step in PRODUCT_LIFE}


def before(kind: str) -> tuple[ProductState, ...]:
    """The states in which an act may happen.

    >>> before("product_published")
    ('registered',)
    """
    return _BEFORE[kind]


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for step in PRODUCT_LIFE:
        if step.after and not step.before:
            lines.append(f"    [*] --> {step.after}: {step.en}")
        lines += [f"    {state} --> {step.after}: {step.en}" for state in step.before if step.after]
    return "\n".join([*lines, "    recalled --> [*]"])
