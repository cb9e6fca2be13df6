"""What all schemas are made with, and the shapes that appear in many answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from policies.loss import Loss

SQL_LIMIT = 16 * 1024


WAIT_LIMIT_S = 60


def decimal_text(value: Decimal) -> str:
    """Plain digits, no exponent, no trailing zeros.

    >>> decimal_text(Decimal("1E-8")), decimal_text(Decimal("0.500")), decimal_text(Decimal(0))
    ('0.00000001', '0.5', '0')
    """
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def example(**fields: Any) -> dict[str, Any]:
    return {"examples": [fields]}


class Closed(BaseModel):
    """Closed and frozen. Its checks are built when one is first made or read: hundreds would hold up the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class LossView(Closed):
    """A privacy loss: zCDP rho and delta, exact; epsilon is the same loss read at `at_delta` (null when delta leaves no room)."""

    model_config = ConfigDict(json_schema_extra=example(rho="0.00702", delta="0", epsilon="0.5", at_delta="0.00000001"))

    rho: str
    delta: str
    epsilon: str | None
    at_delta: str

    @classmethod
    def of(cls, loss: Loss, at_delta: Decimal, epsilon: Decimal | None = None) -> LossView:
        """`epsilon`: where a better one is known than rho says, as of pure DP."""
        epsilon = loss.epsilon(at_delta) if epsilon is None else epsilon
        return cls(
            rho=decimal_text(loss.rho),
            delta=decimal_text(loss.delta),
            epsilon=None if epsilon is None else decimal_text(epsilon),
            at_delta=decimal_text(at_delta),
        )


LOSS = {"rho": "0.00702", "delta": "0", "epsilon": "0.5", "at_delta": "0.00000001"}


class WordsView(Closed):
    title: str
    detail: str
    remedy: str


class ProblemView(BaseModel):
    """RFC 9457 problem document. Test on `code`; it never changes its meaning. `parts` lists every rule broken at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=example(
            type="/v1/docs#problem-request_not_found",
            title="Not found",
            status=404,
            detail="There is no job here that you may see.",
            remedy="Check the id; you can see only your own jobs and releases.",
            instance="urn:yunei:request:0f8fad5bd9cb469f",
            code="request_not_found",
            fields={"what_zh": "作业", "what_en": "job"},
            zh={"title": "没有这个资源", "detail": "这里没有您可以查看的作业。", "remedy": "请核对编号；只能查看本单位的作业与发布结果。"},
            en={
                "title": "Not found",
                "detail": "There is no job here that you may see.",
                "remedy": "Check the id; you can see only your own jobs and releases.",
            },
        ),
    )

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str
    code: str
    fields: dict[str, str]
    zh: WordsView
    en: WordsView
    parts: list[PartView] = Field(default_factory=list)


class PartView(Closed):
    code: str
    fields: dict[str, str]
    zh: WordsView
    en: WordsView
    parts: list[PartView] = Field(default_factory=list)
