"""Parts of plans made by hand, so that a test of noise does not depend on the compiler, and the exact totals to go with them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa

from policies.loss import ATTO, PICO, Loss
from sandbox.plan.model import Draw, Key, Output, Part, Plan, Scan, Total

REGION = Key("k0", "text", ("北", "南", "east"))
YEAR = Key("k1", "integer", (2020, 2021))
PERSONS = Total("t0", "units", 0, 1, 1)
FEES = Total("t1", "sum", 0, 1_000, 3_000)


@dataclass(frozen=True, repr=False)
class Exact:
    """Stands in for the raw room's exact totals."""

    table: pa.Table

    def __repr__(self) -> str:
        return "Exact(redacted)"


def scale_for(cap: int, groups: int, pico_rho: int) -> float:
    """The least standard deviation, rounded up a little, at which `cap` over `groups` keys costs at most `pico_rho`."""
    return math.sqrt(cap * cap * groups * PICO / (2 * pico_rho)) * (1 + 1e-13)


def gaussian(total: Total, groups: int, pico_rho: int) -> Draw:
    return Draw(total.name, scale_for(total.cap, groups, pico_rho), Loss(pico_rho))


def price_of(scale: float, cap: int = 1, groups: int = 1, delta: int = 0) -> Loss:
    """What a scale costs, rounded up past the last bits of OpenDP's float."""
    return Loss(math.ceil(Fraction(cap) ** 2 * groups / (2 * Fraction(scale) ** 2) * PICO * (1 + Fraction(1, 10**13))), delta)


def exact_tail(scale: float, beyond: int) -> float:
    """P(Z > beyond) of the discrete Gaussian, by its definition."""
    reach = int(40 * scale) + beyond + 10
    weights = [math.exp(-(k * k) / (2 * scale * scale)) for k in range(reach)]
    return math.fsum(weights[beyond + 1 :]) / (2 * math.fsum(weights) - 1)


def threshold_delta(scale: float, threshold: int, groups: int, cap: int = 1) -> float:
    """A bound on the probability that any of `groups` keys with `cap` in total exceeds the threshold (continuous tail, as OpenDP has it).

    OpenDP computes 1 - (1 - p)**groups in floats, rounded up: the last term is what that may add.
    """
    single = 0.5 * math.erfc((threshold - cap) / (scale * math.sqrt(2)))
    return -math.expm1(groups * math.log1p(-single)) + groups * 2**-52


def thresholded(total: Total, groups: int, pico_rho: int, delta: float) -> Draw:
    scale = scale_for(total.cap, groups, pico_rho)
    threshold = next(t for t in range(total.cap + 1, 10**6) if threshold_delta(scale, t, groups, total.cap) <= delta)
    return Draw(total.name, scale, Loss(pico_rho, math.ceil(Fraction(delta) * (1 + Fraction(1, 10**6)) * ATTO)), threshold)


def part_of(keys: Sequence[Key], totals: Sequence[Total], draws: Sequence[Draw], groups: int = 1, **changes: object) -> Part:
    part = Part(
        space="person",
        scans=(Scan("visits", 1, "0" * 64, True, "v", ("person_id", "region")),),
        keys=tuple(keys),
        totals=tuple(totals),
        draws=tuple(draws),
        groups_per_unit=groups,
        rows_per_group=1,
        shard_sql="SELECT " + ", ".join([key.name for key in keys] + [total.name for total in totals]),
    )
    return dataclasses.replace(part, **changes)  # type: ignore[arg-type]  # fields of Part by name


def whole(part: Part, **changes: object) -> Plan:
    """The plan that has this part alone, and answers its keys and totals."""
    names = [key.name for key in part.keys] + [total.name for total in part.totals]
    outputs = [Output(key.name, "key", "", None, None, None) for key in part.keys]
    outputs += [Output(total.name, "value", "discrete Gaussian", 1.0, float(total.low), float(total.high)) for total in part.totals]
    widths = ", ".join(f"1.96::DOUBLE * {draw.scale!r}::DOUBLE" for total in part.totals for draw in part.draws if draw.total == total.name)
    plan = Plan(
        query="SELECT …",
        parts=(part,),
        outputs=tuple(outputs),
        finish_sql=f"SELECT {', '.join(names)}, {widths} FROM noisy",
        uses=(),
        delta="1e-8",
    )
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]  # fields of Plan by name


def public_part(groups: int = 2, pico_rho: int = PICO // 100) -> Part:
    """Two public keys, persons and fees."""
    return part_of((REGION, YEAR), (PERSONS, FEES), (gaussian(PERSONS, groups, pico_rho), gaussian(FEES, groups, pico_rho)), groups)


def private_part(groups: int = 2, pico_rho: int = PICO // 100, delta: float = 1e-9) -> Part:
    """One private text key, persons (threshold) and fees."""
    draws = (thresholded(PERSONS, groups, pico_rho, delta), gaussian(FEES, groups, pico_rho))
    return part_of((Key("k0", "text", None),), (PERSONS, FEES), draws, groups)


def one_count(scale: float) -> Part:
    """One total without keys, at a given scale; the price is what that scale costs."""
    return part_of((), (PERSONS,), (Draw("t0", scale, price_of(scale)),))


def exact_for(part: Part, rows: Sequence[Sequence[object]]) -> Exact:
    """Exact totals from rows in the part's order."""
    types = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}
    fields = [(key.name, types[key.type]) for key in part.keys] + [(total.name, pa.int64()) for total in part.totals]
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    return Exact(pa.table({name: pa.array(list(column), kind) for (name, kind), column in zip(fields, columns, strict=True)}))
