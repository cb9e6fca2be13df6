"""What one run of a program is, before and behind the wall: public facts alone.

A `Run` says what each call is given and how its frame of float64 becomes whole numbers. Everything that noise is calibrated to is here, so
it is written into the plan and its digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sandbox.program.ask import Combine
from sandbox.program.manifest import Output

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
FINEST = 2**32  # steps of fixed point over a range, at most: sums of 10,000 blocks or 2**29 units stay within 63 bits
_LEAST = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Clamp:
    """How one output becomes a whole number: clamped to [low, high], less `centre`, in units of 10**-decimals, within [least, most].

    `default` is such a number: it stands in for whatever is missing, late or not a number.
    """

    name: str
    low: float
    high: float
    centre: float
    decimals: int
    least: int
    most: int
    default: int

    @classmethod
    def of(cls, output: Output, *, centred: bool = True) -> Clamp:
        """About the middle of the range, or (a sum is wanted) about 0. `least` and `most` are rounded outwards, so that noise is calibrated to
        no less than what the float arithmetic of `fixed` can give."""
        low, high = Fraction(output.low), Fraction(output.high)
        centre = float((low + high) / 2) if centred else 0.0
        reach = max(abs(high - Fraction(centre)), abs(low - Fraction(centre)), (high - low) / 2)
        decimals = 0
        while decimals < 18 and 2 * reach * 10 ** (decimals + 1) <= FINEST:
            decimals += 1
        unit = 10**decimals
        least, most = _floor((low - Fraction(centre)) * unit), -_floor((Fraction(centre) - high) * unit)
        stand_in = (low + high) / 2 if output.default is None else Fraction(output.default)
        default = min(max(round((stand_in - Fraction(centre)) * unit), least), most)
        return cls(output.name, float(output.low), float(output.high), centre, decimals, least, most, default)

    @property
    def width(self) -> int:
        """By how much two values can differ: what one block of a unit moves a sum by."""
        return self.most - self.least

    @property
    def cap(self) -> int:
        """The largest absolute value: what one unit adds to a sum."""
        return max(abs(self.least), abs(self.most))

    def fixed(self, values: Floats) -> Ints:
        """A function of each value alone. NaN and infinities become the default; -0.0 and denormals become 0."""
        known = np.isfinite(values)
        plain = np.where(known & (np.abs(values) >= _LEAST), values, 0.0)
        steps = np.rint((np.clip(plain, self.low, self.high) - self.centre) * 10.0**self.decimals)
        whole = np.clip(steps, self.least, self.most).astype(np.int64)
        return np.where(known, np.clip(whole, self.least, self.most), self.default)


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


@dataclass(frozen=True, slots=True)
class Run:
    """`blocks` is how many calls there are; 0: one for each unit. `keys` how many public keys units are sorted by; 0: none. `libraries` are the
    digest of the library set. `parameters` is a JSON object."""

    program: str
    libraries: str
    mode: Literal["blocks", "units"]
    rows: Literal["arrow", "pandas"]
    combine: Combine
    parameters: str
    clamps: tuple[Clamp, ...]
    blocks: int
    keys: int
    seconds: Decimal

    @property
    def floats(self) -> int:
        """The length of a frame: one for each output, after one for the key."""
        return len(self.clamps) + (1 if self.keys else 0)

    def fixed(self, frames: Sequence[bytes | None]) -> Ints:
        """Frames as whole numbers, one row each; of a run with keys, the first column is the key's place, -1 for none of them.

        A frame that is missing, or of another length, is all defaults and no key."""
        given = np.full((len(frames), self.floats), np.nan)
        for place, frame in enumerate(frames):
            if frame is not None and len(frame) == 8 * self.floats:
                given[place] = np.frombuffer(frame, dtype="<f8")
        made = np.empty((len(frames), self.floats), dtype=np.int64)
        first = self.floats - len(self.clamps)
        if first:
            number = given[:, 0]
            inside = (number >= 0) & (number < self.keys) & (np.floor(number) == number)
            made[:, 0] = np.where(inside, np.where(inside, number, 0), -1)
        for place, clamp in enumerate(self.clamps, start=first):
            made[:, place] = clamp.fixed(given[:, place])
        return made

    def canonical(self, scans: Sequence[Mapping[str, Any]]) -> str:
        """The whole of it as canonical JSON: what stands in a plan where another has its shard query."""
        said = {
            "program": self.program,
            "libraries": self.libraries,
            "mode": self.mode,
            "rows": self.rows,
            "combine": self.combine,
            "parameters": json.loads(self.parameters),
            "outputs": [[c.name, c.low.hex(), c.high.hex(), c.centre.hex(), c.decimals, c.least, c.most, c.default] for c in self.clamps],
            "blocks": self.blocks,
            "keys": self.keys,
            "seconds": str(self.seconds.normalize()),
            "tables": list(scans),
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
