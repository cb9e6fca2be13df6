"""Half-widths: how far an answer may be from the exact bounded one, at 95 %, said only where it is true.

The noise of each total is a discrete Gaussian (for pure DP: Laplace) of known scale, independent of the others. Sums and differences of
totals have a constant half-width. For a ratio of two of them, n/d, the error of n - r·d at the true ratio r has a known variance
whatever r is, so the set of r it does not reject at 5 % is an exact confidence set (Fieller 1954); the half-width reaches its farther
end. Rounding adds what it can move. Anything else is refused rather than guessed. Clamping bias is not in it: the bounds are part of the
question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from sandbox.plan.spread import Noise, Spread
from sandbox.plan.totals import Totals
from sandbox.sql.expr import Call, Column, Expr, Literal, columns, emit, float_literal

SPREADS = ("var_pop", "var_samp", "stddev_pop", "stddev_samp")


class NoWidth(Exception):
    """The expression has no honest half-width."""


@dataclass(frozen=True)
class Linear:
    """Σ coefficient · total, plus something without noise. The coefficients turn integer totals into the output's unit."""

    terms: Mapping[str, Fraction]
    constant: Fraction | None = None  # None: known per row, but not a constant

    def scaled(self, by: Fraction) -> Linear:
        return Linear({name: c * by for name, c in self.terms.items()}, None if self.constant is None else self.constant * by)


@dataclass(frozen=True)
class Ratio:
    over: Linear
    under: Linear
    span: float | None = None  # the whole range, where the value is kept inside one


@dataclass(frozen=True)
class Moved:
    """A form times something known (`gain`, SQL over keys), its value moved further by at most `slack`."""

    of: Form
    gain: str | None
    slack: Fraction


@dataclass(frozen=True)
class Unsaid:
    """No half-width can be given without looking at data: the value is a quantile or computed with one."""


Form = Linear | Ratio | Moved | Spread | Unsaid


def noisy(expr: Expr) -> bool:
    return any(column.name.startswith("t") for column in columns(expr) if not column.table)


def form_of(expr: Expr, totals: Totals) -> Form:
    """How noise enters the value. Raises NoWidth."""
    if any(totals.named(column.name).kind == "quantile" for column in columns(expr) if noisy(column)):
        return Unsaid()
    if isinstance(expr, Column):
        return Linear({expr.name: Fraction(1, 10**expr.type.scale)}, Fraction(0))
    if isinstance(expr, Call) and expr.type.numeric:
        rule = _FORMS.get(expr.op)
        if rule is not None:
            return rule(expr, totals)
    raise NoWidth


def _same(expr: Call, totals: Totals) -> Form:
    """Functions that move no two values further apart in their one noisy argument."""
    inner = [arg for arg in expr.args if noisy(arg)]
    if len(inner) != 1 or (expr.op == "coalesce" and inner[0] is not expr.args[0]) or (expr.op == "nullif" and inner[0] is not expr.args[0]):
        raise NoWidth
    found = form_of(inner[0], totals)
    return found if expr.op in ("rescale", "to_float") else Moved(found, None, Fraction(0))


def _sum(expr: Call, totals: Totals) -> Form:
    a, b = expr.args
    sign = 1 if expr.op == "add" else -1
    if noisy(a) and noisy(b):
        left, right = form_of(a, totals), form_of(b, totals)
        if not isinstance(left, Linear) or not isinstance(right, Linear):
            raise NoWidth
        right = right.scaled(Fraction(sign))
        terms = {name: left.terms.get(name, Fraction(0)) + right.terms.get(name, Fraction(0)) for name in {**left.terms, **right.terms}}
        constant = None if left.constant is None or right.constant is None else left.constant + right.constant
        return Linear({name: c for name, c in terms.items() if c}, constant)
    found = form_of(a if noisy(a) else b, totals)
    fixed = _constant(b if noisy(a) else a)
    if isinstance(found, Linear):
        found = found if noisy(a) else found.scaled(Fraction(sign))
        shift = None if fixed is None or found.constant is None else found.constant + (fixed * sign if noisy(a) else fixed)
        return Linear(found.terms, shift)
    return found


def _product(expr: Call, totals: Totals) -> Form:
    a, b = expr.args
    if noisy(a) and noisy(b):
        raise NoWidth
    inner, factor = (a, b) if noisy(a) else (b, a)
    return _times(form_of(inner, totals), factor)


def _times(found: Form, factor: Expr) -> Form:
    fixed = _constant(factor)
    if fixed is not None and isinstance(found, Linear):
        return found.scaled(fixed)
    return Moved(found, f"abs({_double(factor)})", Fraction(0))


def _quotient(expr: Call, totals: Totals) -> Form:
    a, b = expr.args
    if not noisy(b):
        found, fixed = form_of(a, totals), _constant(b)
        if fixed and isinstance(found, Linear):
            return found.scaled(1 / fixed)
        return Moved(found, f"(1e0 / nullif(abs({_double(b)}), 0e0))", Fraction(0))
    under = form_of(b, totals)
    over = form_of(a, totals) if noisy(a) else Linear({}, _constant(a))
    if not isinstance(over, Linear) or not isinstance(under, Linear) or over.constant is None or under.constant is None or not under.terms:
        raise NoWidth
    return Ratio(over, under)


def _average(expr: Call, totals: Totals) -> Form:
    about, count = expr.args
    assert isinstance(about, Column)
    assert isinstance(count, Column)
    total = totals.named(about.name)
    unit = Fraction(1, 10**total.decimals)
    over, under = Linear({about.name: unit}, Fraction(0)), Linear({count.name: Fraction(1)}, Fraction(0))
    return Ratio(over, under, float((total.high - total.low) * unit))


def _spread(expr: Call, totals: Totals) -> Form:
    names = [slot.name for slot in expr.args if isinstance(slot, Column)]
    about, squares = (totals.named(name) for name in names[:2])
    return Spread.of(about, squares, names[2], sample="samp" in expr.op, root="stddev" in expr.op)


def _rounded(expr: Call, totals: Totals) -> Form:
    inner = expr.args[0]
    if not noisy(inner) or any(noisy(arg) for arg in expr.args[1:]):
        raise NoWidth
    if len(expr.args) == 3:  # exact: dropped digits
        step = expr.args[1]
        assert isinstance(step, Literal)
        unit = Fraction(step.value) / 10**inner.type.scale  # type: ignore[arg-type]  # an integer literal of ours
    elif len(expr.args) == 2:  # float to places
        places = expr.args[1]
        assert isinstance(places, Literal)
        unit = Fraction(1, 10 ** int(places.value))  # type: ignore[arg-type]  # an integer literal of ours
    else:
        unit = Fraction(1)
    return Moved(form_of(inner, totals), None, unit / 2 if expr.op == "round" else unit)


def _cast(expr: Call, totals: Totals) -> Form:
    if expr.type.kind != "exact":
        raise NoWidth
    return Moved(form_of(expr.args[0], totals), None, Fraction(1, 2 * 10**expr.type.scale))


_FORMS: Mapping[str, Callable[[Call, Totals], Form]] = {
    **dict.fromkeys(("rescale", "to_float", "abs", "greatest", "least", "coalesce", "nullif"), _same),
    "neg": lambda expr, totals: _times(form_of(expr.args[0], totals), Literal(Fraction(-1), expr.type)),
    "add": _sum,
    "sub": _sum,
    "mul": _product,
    "div": _quotient,
    "average": _average,
    **dict.fromkeys(SPREADS, _spread),
    **dict.fromkeys(("round", "floor", "ceil", "trunc"), _rounded),
    "cast": _cast,
}


def _constant(expr: Expr) -> Fraction | None:
    """The value of an expression of constants alone."""
    if isinstance(expr, Literal) and expr.type.kind == "exact" and isinstance(expr.value, int):
        return Fraction(expr.value, 10**expr.type.scale)
    if isinstance(expr, Literal) and isinstance(expr.value, Fraction):
        return expr.value
    if isinstance(expr, Call) and expr.op in ("rescale", "to_float"):
        return _constant(expr.args[0])
    return None


def _double(expr: Expr) -> str:
    text = f"CAST({emit(expr)} AS DOUBLE)"
    return text if expr.type.kind == "float" or not expr.type.scale else f"({text} / 1e{expr.type.scale})"


def constant_width(form: Form, noise: Noise) -> float | None:
    """The half-width where it is the same in every row."""
    if isinstance(form, Linear):
        if len(form.terms) == 1:
            ((name, c),) = form.terms.items()
            return float(abs(c) * noise.half_width(name))
        return noise.z * math.sqrt(variance(form, form, noise))
    if isinstance(form, Moved) and form.gain is None:
        inner = constant_width(form.of, noise)
        return None if inner is None else inner + float(form.slack)
    return None


def expected_width(form: Form, noise: Noise, rows: int) -> float | None:
    """What to expect of an average over that many rows: its value taken at the far end of the range."""
    if isinstance(form, Moved) and form.gain is None:
        inner = expected_width(form.of, noise, rows)
        return None if inner is None else inner + float(form.slack)
    if isinstance(form, Ratio) and form.span is not None:
        far = form.span / 2
        return min(
            form.span, noise.z * math.sqrt(variance(form.over, form.over, noise) + far**2 * variance(form.under, form.under, noise)) / rows
        )
    if isinstance(form, Spread):
        return form.expected_width(_noise(form, noise), noise.z, rows)
    return constant_width(form, noise)


def _noise(form: Spread, noise: Noise) -> tuple[float, float, float]:
    about, squares, count = (noise.variance(name) for name in (form.about, form.squares, form.count))
    return about, squares, count


def variance(a: Linear, b: Linear, noise: Noise) -> float:
    return math.fsum(float(c * b.terms[name]) * noise.variance(name) for name, c in a.terms.items() if name in b.terms)


def width_sql(form: Form, noise: Noise) -> str:
    """The half-width as SQL over the noisy table."""
    constant = constant_width(form, noise)
    if constant is not None:
        return float_literal(constant)
    if isinstance(form, Moved):
        inner = width_sql(form.of, noise)
        return f"({inner} * {form.gain or '1e0'} + {float_literal(float(form.slack))})"
    if isinstance(form, Spread):
        return form.width_sql(_noise(form, noise), noise.z)
    if isinstance(form, Unsaid):
        return "NULL::DOUBLE"
    assert isinstance(form, Ratio)
    n, d = _linear_sql(form.over), _linear_sql(form.under)
    v1, v2, cov = (variance(*pair, noise) for pair in ((form.over, form.over), (form.under, form.under), (form.over, form.under)))
    z2 = noise.z**2
    room = f"({d} * {d} - {float_literal(z2 * v2)})"
    tilt = f"{n} * {float_literal(v2)}" + (f" - {d} * {float_literal(cov)}" if cov else "")
    lean = f"{float_literal(z2)} * abs({tilt}) / abs({d})"
    under_root = f"{float_literal(v1)} * {d} * {d} + {float_literal(v2)} * {n} * {n}"
    under_root += (f" - {float_literal(2 * cov)} * {n} * {d}" if cov else "") + f" - {float_literal(z2 * (v1 * v2 - cov * cov))}"
    fieller = f"({lean} + {float_literal(noise.z)} * sqrt(greatest({under_root}, 0e0))) / {room}"
    if form.span is None:
        return f"CASE WHEN {room} > 0 THEN {fieller} END"
    span = float_literal(form.span)
    return f"CASE WHEN {d} >= 1 THEN CASE WHEN {room} > 0 THEN least({fieller}, {span}) ELSE {span} END END"


def _linear_sql(form: Linear) -> str:
    assert form.constant is not None
    terms = [f"noisy.{name}::DOUBLE" if c == 1 else f"{float_literal(float(c))} * noisy.{name}::DOUBLE" for name, c in form.terms.items()]
    terms += [float_literal(float(form.constant))] if form.constant or not terms else []
    return f"({' + '.join(terms)})"
