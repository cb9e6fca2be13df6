"""How the numbers that calls give are put together: the totals noise is added to, and the last query that turns them into the answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sandbox.plan.answer import CHOICE, DERIVED, HALF_WIDTH, MECHANISM, PURE_CHOICE, PURE_MECHANISM
from sandbox.plan.model import Draw, Key, Output, Total
from sandbox.plan.price import rank_error
from sandbox.plan.spread import Noise
from sandbox.plan.view import View
from sandbox.plan.width import Linear, Ratio, constant_width, expected_width, width_sql
from sandbox.program import manifest
from sandbox.program.run import Clamp, Run
from sandbox.sql.expr import float_literal, quoted

EDGES = 256  # candidates of a median, where the job names no number
UNIT = 2**30  # of a value within its Winsorised range
SPREAD = "spread"  # the view of Winsorised ranges
_QUARTILES = ((1, 4), (3, 4))

Frontier = tuple[tuple[Key, ...], tuple[Total, ...], tuple[str, ...]]  # keys, totals, views that it reads


@dataclass(frozen=True, slots=True)
class Answer:
    outputs: tuple[Output, ...]
    sql: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """One run's totals, part by part, with the weight of each and what each is of, in the operator's words."""

    run: Run
    key: manifest.Key | None
    parts: tuple[Frontier, ...]
    weights: tuple[int, ...]
    pieces: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, key: manifest.Key | None, weights: Sequence[int], edges: int | None) -> Shape:
        names = [clamp.name for clamp in run.clamps]
        if run.mode == "units":
            keys = () if key is None else (Key("k0", key.type, key.domain),)
            counted = [Total("t0", "units", 0, 1, 1)] if run.combine == "mean" else []
            of_each = [_per_unit(f"t{place + len(counted)}", clamp, run.combine) for place, clamp in enumerate(run.clamps)]
            weighted = (*[max(weights)] * len(counted), *weights)
            return cls(run, key, ((keys, (*counted, *of_each), ()),), weighted, (*["count"] * len(counted), *names))
        if run.combine == "mean":
            totals = tuple(_sum(f"t{place}", clamp) for place, clamp in enumerate(run.clamps))
            return cls(run, key, (((), totals, ()),), tuple(weights), tuple(names))
        if run.combine == "median":
            totals = tuple(_histogram(f"t{place}", clamp, edges, (1, 2)) for place, clamp in enumerate(run.clamps))
            return cls(run, key, (((), totals, ()),), tuple(weights), tuple(names))
        ends = [(clamp, share) for clamp in run.clamps for share in _QUARTILES]
        first = tuple(_histogram(f"t{place}", clamp, edges, share) for place, (clamp, share) in enumerate(ends))
        then = tuple(Total(f"t{place}", "sum", -UNIT // 2, UNIT // 2, UNIT) for place in range(len(run.clamps)))
        shares = [weight for weight in weights for _ in _QUARTILES]
        weighted = (*shares, *(6 * weight for weight in weights))  # a quarter of the loss for both quartiles
        pieces = [clamp.name for clamp, _ in ends] + names
        return cls(run, key, (((), first, ()), ((), then, (SPREAD,))), weighted, tuple(pieces))

    def at(self, blocks: int) -> Shape:
        return dataclasses.replace(self, run=dataclasses.replace(self.run, blocks=blocks))

    @property
    def has_widths(self) -> bool:
        """Whether the error to expect can be said before the run."""
        return self.run.combine in ("mean", "sum")

    def supposed(self, place: int) -> float:
        """What an output's absolute value may be supposed to be: the middle of its range, but at least a quarter of its length."""
        clamp = self.run.clamps[place]
        return max(abs(clamp.low + clamp.high) / 2, (clamp.high - clamp.low) / 4)

    def widths(self, draws: Sequence[tuple[Draw, ...]], count: int) -> list[float | None]:
        """The half-width to expect of every output over `count` blocks (units)."""
        noise = Noise.of(draws[-1], self.parts[-1][1])
        return [expected_width(form, noise, max(1, count)) if form else None for form in self._forms(max(1, count))]

    def answer(self, draws: Sequence[tuple[Draw, ...]], count: int) -> Answer:
        if self.run.combine == "winsorised":
            return self._winsorised(draws)
        noise = Noise.of(draws[-1], self.parts[-1][1])
        outputs, values, beside = [], [], []
        if self.key is not None:
            outputs.append(Output(self.key.name, "key", "", None, None, None))
            values.append(f"noisy.k0 AS {quoted(self.key.name)}")
        for place, (clamp, form) in enumerate(zip(self.run.clamps, self._forms(count), strict=True)):
            value = self._value(place, clamp)
            values.append(f"{value} AS {quoted(clamp.name)}")
            beside.append(f"{'NULL::DOUBLE' if form is None else width_sql(form, noise)} AS {quoted(clamp.name + HALF_WIDTH)}")
            outputs.append(self._output(place, clamp, draws[-1], form, noise, count))
        return Answer(tuple(outputs), f"SELECT {', '.join([*values, *beside])} FROM noisy", ())

    def _forms(self, count: int) -> list[Linear | Ratio | None]:
        run, found = self.run, list[Linear | Ratio | None]()
        for place, clamp in enumerate(run.clamps):
            unit = Fraction(1, 10**clamp.decimals)
            if run.mode == "units" and run.combine == "mean":
                over = Linear({f"t{place + 1}": unit}, Fraction(0))
                found.append(Ratio(over, Linear({"t0": Fraction(1)}, Fraction(0)), clamp.high - clamp.low))
            elif run.mode == "units":
                found.append(Linear({f"t{place}": unit}, Fraction(0)))
            elif run.combine == "mean":
                found.append(Linear({f"t{place}": unit / max(1, run.blocks)}, Fraction(0)))
            else:
                found.append(None)
        return found

    def _value(self, place: int, clamp: Clamp) -> str:
        """A value as SQL over the noisy table, kept within the declared range: a noisy mean outside it is farther from the truth."""
        run, unit = self.run, f"1e{clamp.decimals}"
        centre, low, high = (float_literal(value) for value in (clamp.centre, clamp.low, clamp.high))
        if run.mode == "units" and run.combine == "sum":
            return f"noisy.t{place}::DOUBLE / {unit}"
        if run.mode == "units":
            mean = f"{centre} + noisy.t{place + 1}::DOUBLE / noisy.t0::DOUBLE / {unit}"
            return f"CASE WHEN noisy.t0 >= 1 THEN least(greatest({mean}, {low}), {high}) END"
        many = f" / {float_literal(float(run.blocks))}" if run.combine == "mean" else ""
        return f"least(greatest({centre} + noisy.t{place}::DOUBLE{many} / {unit}, {low}), {high})"

    def _output(self, place: int, clamp: Clamp, draws: Sequence[Draw], form: Linear | Ratio | None, noise: Noise, count: int) -> Output:
        if form is None:
            (total,) = (total for total in self.parts[-1][1] if total.name == f"t{place}")
            mechanism, ranks = PURE_CHOICE if noise.pure else CHOICE, rank_error(total, noise.scales[total.name])
            spacing = total.step / 10**clamp.decimals
            return Output(clamp.name, "value", mechanism, None, clamp.low, clamp.high, spacing=spacing, rank_error=ranks)
        scale = None
        if isinstance(form, Linear):
            ((name, coefficient),) = form.terms.items()
            scale = float(abs(coefficient) * noise.scales[name])
        constant, expected = constant_width(form, noise), expected_width(form, noise, max(1, count))
        mechanism = PURE_MECHANISM if noise.pure else MECHANISM
        return Output(clamp.name, "value", mechanism, scale, clamp.low, clamp.high, constant, expected)

    def _winsorised(self, draws: Sequence[tuple[Draw, ...]]) -> Answer:
        """Part one chooses quartiles of the blocks; the range is theirs, widened by their distance to each side, within the declared one. Part
        two adds up where each block lies in it, in units that do not depend on it."""
        (_, first, _), (_, then, _) = self.parts
        noise = Noise.of(draws[1], then)
        ends, columns = [], []
        values, beside, outputs = [], [], []
        for place, clamp in enumerate(self.run.clamps):
            low, high, step = f"noisy.t{2 * place}", f"noisy.t{2 * place + 1}", first[2 * place].step
            reach = f"greatest(abs({high} - {low}), {step})"
            ends.append(f"greatest(least({low}, {high}) - {reach}, {clamp.least})::BIGINT AS low{place}")
            ends.append(f"least(greatest({low}, {high}) + {reach}, {clamp.most})::BIGINT AS high{place}")
            columns += [(f"low{place}", "BIGINT"), (f"high{place}", "BIGINT")]
            wide = f"({SPREAD}.high{place} - {SPREAD}.low{place})::DOUBLE"
            share = f"(noisy1.t{place}::DOUBLE / {float_literal(float(UNIT * max(1, self.run.blocks)))} + 0.5e0)"
            value = f"{float_literal(clamp.centre)} + ({SPREAD}.low{place} + {share} * {wide}) / 1e{clamp.decimals}"
            values.append(f"least(greatest({value}, {float_literal(clamp.low)}), {float_literal(clamp.high)}) AS {quoted(clamp.name)}")
            width = noise.half_width(f"t{place}") / (UNIT * max(1, self.run.blocks)) / 10**clamp.decimals
            beside.append(f"{float_literal(width)} * {wide} AS {quoted(clamp.name + HALF_WIDTH)}")
            outputs.append(Output(clamp.name, "value", DERIVED, None, clamp.low, clamp.high))
        view = View(SPREAD, f"SELECT {', '.join(ends)} FROM noisy", 1, tuple(columns))
        return Answer(tuple(outputs), f"SELECT {', '.join([*values, *beside])} FROM noisy1, {SPREAD}", (view,))


def _sum(name: str, clamp: Clamp) -> Total:
    """Over blocks: one block's value becomes another one."""
    return Total(name, "sum", clamp.least, clamp.most, max(clamp.width, clamp.cap), clamp.decimals)


def _histogram(name: str, clamp: Clamp, edges: int | None, share: tuple[int, int]) -> Total:
    """Over blocks, of which one goes from a candidate and one comes to another: two rows' worth of change."""
    step = max(1, -(-clamp.width // ((edges or EDGES) - 1)))
    return Total(name, "quantile", clamp.least, clamp.most, 2, clamp.decimals, step=step, quantile=share)


def _per_unit(name: str, clamp: Clamp, combine: str) -> Total:
    return Total(name, "average" if combine == "mean" else "sum", clamp.least, clamp.most, max(1, clamp.cap), clamp.decimals)


def written(parameters: Mapping[str, object]) -> str:
    """As JSON: what a call gets."""
    return json.dumps(parameters, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
