"""Degrees: how much privacy loss a licence, a window or a job may take, as people write it and as two integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

from pydantic import Field, field_serializer, model_validator

from policies.loss import ATTO, PICO, Loss, pico_rho_for
from policies.model import Model
from policies.reasons import wrong

MAX_CAP = 10**18  # a cap's pico-rho and atto-delta, and sums up to it, fit a signed 64-bit integer


class Degree(Model):
    """How much: a cap on zCDP loss, as two integers (pico-rho, atto-delta). Both coordinates of a loss must be within it.

    Written by people as `{rho = "0.05", delta = "1e-6"}` or `{epsilon = "1", delta = "1e-8"}`; both are rounded down. An (epsilon, delta) is
    not one pair of numbers here, because delta is shared between thresholds, which spend it, and the conversion from rho, which
    does not. `within` is the cap that keeps its word: everything it admits, together, is (epsilon, delta)-DP. `admitting` is the smallest
    cap under which every single job stated at (epsilon, delta) fits; the most it admits is (epsilon, 2 delta)-DP. A `Licence` reads its
    `per_job` with `admitting` and its `total` with `within`.

    >>> Degree.model_validate({"rho": "0.05", "delta": "1e-6"})
    Degree(pico_rho=50000000000, atto_delta=1000000000000)
    >>> Degree.within(Decimal(1), Decimal("1e-8")).loss.epsilon(Decimal("1e-8"))
    Decimal('1.000000')
    """

    pico_rho: int = Field(ge=0, le=MAX_CAP)
    atto_delta: int = Field(ge=0, le=MAX_CAP)

    @classmethod
    def within(cls, epsilon: Decimal, delta: Decimal) -> Degree:
        """Half of delta for thresholds, the other half for the conversion: spent to the last, it is (epsilon, delta)-DP."""
        half = _whole(delta * ATTO / 2)
        return cls(pico_rho=pico_rho_for(epsilon, delta - Decimal(half) / ATTO), atto_delta=half)

    @classmethod
    def admitting(cls, epsilon: Decimal, delta: Decimal) -> Degree:
        return cls(pico_rho=pico_rho_for(epsilon, delta), atto_delta=_whole(delta * ATTO))

    @model_validator(mode="before")
    @classmethod
    def _stated(cls, given: Any) -> Any:
        return stated(given, cls.within)

    @field_serializer("pico_rho", "atto_delta", when_used="json")
    def _exact(self, value: int) -> str:
        """As text: other readers of JSON round integers past 2**53."""
        return str(value)

    @property
    def loss(self) -> Loss:
        return Loss(self.pico_rho, self.atto_delta)


def stated(given: Any, of_epsilon: Callable[[Decimal, Decimal], Degree]) -> Any:
    """A degree as people write it, made into the integers; anything else untouched, for pydantic to judge."""
    if not isinstance(given, Mapping) or not ({"rho", "epsilon", "delta"} & given.keys()):
        return given
    if given.keys() not in ({"rho", "delta"}, {"rho"}, {"epsilon", "delta"}):
        raise wrong("须写 rho 与 delta，或 epsilon 与 delta", "give rho and delta, or epsilon and delta")
    amounts = {name: _amount(name, value) for name, value in given.items()}
    if "rho" in amounts:
        return {"pico_rho": _whole(amounts["rho"] * PICO), "atto_delta": _whole(amounts.get("delta", Decimal(0)) * ATTO)}
    if not amounts["epsilon"] > 0 or not 0 < amounts["delta"] < 1:
        raise wrong("epsilon 须大于 0，delta 须在 0 与 1 之间", "epsilon must be above 0 and delta between 0 and 1")
    return dict(of_epsilon(amounts["epsilon"], amounts["delta"]))


def _amount(name: str, value: object) -> Decimal:
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        try:
            amount = Decimal(str(value))  # a float by its shortest text, which is what its author wrote
        except InvalidOperation:
            pass
        else:
            if amount.is_finite() and 0 <= amount <= MAX_CAP and amount.adjusted() >= -60:
                return amount
    raise wrong(f'{name} 须为不小于 0 的十进制数，例如 "1e-8"', f'{name} must be a decimal number of at least 0, like "1e-8"')


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_FLOOR))
