"""What a compiled job is: everything the rest of the walk needs, and nothing it could misread.

A `Plan` is made by `sandbox.plan.compile` alone. It is public: it holds no row and nothing learnt from one. It names the tables it scans, the
exact totals each shard must produce, the noise each total gets, and the query that turns noisy totals into the answer. Two jobs with
equal digests would release the same distribution from the same snapshots, so the second one is served the first one's bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Literal

from policies.catalogue import KeyValue, Use, Window
from policies.catalogue.blocks import period_in
from policies.loss import PICO, Loss
from sandbox.plan.plain import plain
from sandbox.plan.tree import Tree, shape
from sandbox.plan.view import Lattice, View

INT64_MAX = 2**63 - 1
TotalKind = Literal["units", "count", "sum", "average", "squares", "quantile", "distinct"]
VALUED = ("sum", "average", "squares")  # kinds that add values up, rather than count
BINNED = ("quantile", "distinct")  # kinds that are more than one number per key before noise: counts of rows by the column `bin`
MOST_EDGES = 512


@dataclass(frozen=True, slots=True)
class Scan:
    """A table the shard query reads. `alias` is its name inside the emitted SQL; a private table is read one shard at a time, a public
    one whole. `columns` are the only ones fetched, `types` how they are stored, as DuckDB names it; of a private one, `unit` is the column
    that says whose each row is, and `space` whose space that is. With budgets by period, `window` are the periods of which rows are read: the
    others are left out where shards are decrypted, and what is charged follows from the same window (docs/proofs/blocks.md)."""

    dataset: str
    version: int
    digest: str
    private: bool
    alias: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    unit: str = ""
    space: str = ""
    hidden: bool = False  # the unit's column is not one that queries can name
    pseudonym: bool = False  # units are stored under other names; follows from the digest, so no plan's digest says it again
    window: Window | None = None

    def __post_init__(self) -> None:
        if (period_in(self.space) is None) != (self.window is None):
            raise ValueError(f"scan {self.alias}: units of {self.space or 'nobody'} read by period, or all periods of a unit and a period")


@dataclass(frozen=True, slots=True)
class Key:
    """A grouping key. `name` is the column in shard and noisy tables (k0, k1, …).

    `domain` None: the key is private and may be NULL. With a domain, rows whose key is outside it are dropped: NULL too, unless the domain,
    being that of an expression, names it, last. If any key of the plan is private, every combination is shown only past the threshold.
    """

    name: str
    type: Literal["integer", "text", "date", "boolean"]
    domain: tuple[KeyValue | None, ...] | None


@dataclass(frozen=True, slots=True)
class Total:
    """An exact integer total per key (t0, t1, … in the shard table).

    Each row is clamped to [low, high] in fixed point (units of 10**-decimals, after subtracting `centre`, itself in those units) before
    the first sum; one unit's total within one key is then brought within [-cap, cap]: a sum and a count by clamping, the sum about `centre`
    of an average by scaling it down to the weight of `rows_per_group` rows, so that the unit's own average is kept. So one
    unit moves one key's total by at most `cap`. "squares" is as "average", of squared distances from the middle of a range, the largest
    being 1.

    Kind "quantile" counts a key's rows by the candidate nearest to their value (low, low + step, … high), a unit having at most `cap` rows
    in a key; `quantile` is the wanted share as a fraction. What is drawn is one candidate. With `branching` one noisy tree over the
    candidates (`sandbox.plan.tree`) answers this share and `also` others, each under a name of its own.

    Kind "distinct" is the number of different values, a unit contributing at most `cap` of them to a key.
    """

    name: str
    kind: TotalKind
    low: int
    high: int
    cap: int
    decimals: int = 0
    centre: int = 0
    step: int = 0
    quantile: tuple[int, int] = (0, 1)
    branching: int = 0
    also: tuple[tuple[str, tuple[int, int]], ...] = ()

    def __post_init__(self) -> None:
        within = self.kind == "quantile" or max(abs(self.low), abs(self.high)) <= self.cap
        if not self.low <= self.high or not 0 < self.cap <= 2**62 or not within:
            raise ValueError(f"total {self.name}: bounds {self.low}..{self.high}, cap {self.cap}")
        if self.also and not self.branching:
            raise ValueError(f"total {self.name}: several shares need a tree")

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """The columns of the noisy table that it becomes, in order; of a quantile, with their shares."""
        return {self.name: self.quantile, **dict(self.also)}

    @property
    def apart(self) -> tuple[Total, ...]:
        """Each quantile of a tree as a total of its own; of any other total, itself."""
        if not self.branching:
            return (self,)
        return tuple(dataclasses.replace(self, name=name, quantile=share, branching=0, also=()) for name, share in self.shares.items())

    @property
    def tree(self) -> Tree | None:
        return shape(self.candidates, self.branching) if self.branching else None

    @property
    def candidates(self) -> int:
        """How many values a quantile is chosen from."""
        return (self.high - self.low + self.step // 2) // self.step + 1

    @property
    def extreme(self) -> bool:
        """Whether it is MIN or MAX."""
        return self.quantile[0] in (0, self.quantile[1])

    @property
    def levels(self) -> int:
        """How many times a unit moves a key by `sensitivity`: once, or once at each level of a tree, all independent of each other."""
        return 1 if self.tree is None else self.tree.levels

    @property
    def sensitivity(self) -> int:
        """By how much one unit moves what noise is added to, within one key: the total, the scores of a quantile's candidates, or the nodes of
        one level of a tree."""
        if self.kind != "quantile" or self.extreme or self.branching:
            return self.cap
        part, whole = self.quantile
        return self.cap * max(part, whole - part)


@dataclass(frozen=True, slots=True)
class Draw:
    """The noise of one total: discrete Gaussian of standard deviation `scale` on every key; with `threshold`, keys whose noisy value does
    not exceed it are not shown (stability-based selection) and `loss.atto_delta` is charged. `loss` is what OpenDP's map must agree with.

    Of a tree: every node of every key gets the noise. Of another quantile: the candidate whose score plus Gumbel noise of this scale is the
    largest. `rank`: MIN and MAX look for the row that many places from the end, so that noise does not take empty space for data.

    With `pico_epsilon` the draw is pure DP, of that epsilon in 1e-12: discrete Laplace of parameter `scale` (of a quantile: exponential noise
    of that scale, which is permute-and-flip), and `loss` is epsilon²/2 in rho, which it implies (Bun & Steinke 2016, proposition 1.4).
    """

    total: str
    scale: float
    loss: Loss
    threshold: int | None = None
    rank: int | None = None
    pico_epsilon: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf") or self.loss.pico_rho <= 0 or (self.threshold is None) != (self.loss.atto_delta == 0):
            raise ValueError(f"draw {self.total}: scale {self.scale}, loss {self.loss}, threshold {self.threshold}")
        if self.pico_epsilon is not None and (self.pico_epsilon <= 0 or self.threshold is not None):
            raise ValueError(f"draw {self.total}: pure DP of {self.pico_epsilon} pico-epsilon, threshold {self.threshold}")

    @property
    def pure(self) -> bool:
        return self.pico_epsilon is not None


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the answer, in order. `label` is what the operator named it; a value has a half-width column beside it."""

    label: str
    kind: Literal["key", "value"]
    mechanism: str  # "" for keys; else as shown, e.g. "discrete Gaussian"
    scale: float | None  # standard deviation in the output's own unit where it is one noisy total; None for derived values
    low: float | None  # bounds used, in the output's own unit, of one row
    high: float | None
    half_width: float | None = None  # 95 %, in the output's own unit, where it is the same in every row
    expected_half_width: float | None = None  # for a row drawn from `Part.expected_rows` rows of data, where that can be said
    spacing: float | None = None  # of a quantile: how far apart its candidates are, in the output's own unit
    rank_error: int | None = None  # of a quantile: within how many rows of the wanted one it is in 95 % of cases


@dataclass(frozen=True, slots=True)
class Bound:
    """A contribution bound the plan used and where it came from: `catalogue`, `job` (narrowed by the operator), `keys` (there are no more
    public keys than that) or `derived` (interval analysis of an expression over bounded columns)."""

    what: Literal["groups_per_unit", "rows_per_group", "range"]
    of: str  # "" or, for a range, the operator's expression
    low: str
    high: str
    source: Literal["catalogue", "job", "keys", "derived"]


@dataclass(frozen=True, slots=True)
class ColumnUse:
    dataset: str
    column: str
    use: Use


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for a kernel: a SELECT over the scans, or (`sql` None) the one private scan's own columns under the kernel's names."""

    sql: str | None
    columns: tuple[tuple[str, str], ...]  # (name for the kernel, stored column)
    dense: bool = True  # few public keys: the dense kernel; else the sparse one
    single: bool = False  # no unit has two rows, which ingest holds: nothing of a unit has to be put together


@dataclass(frozen=True, slots=True)
class Part:
    """One frontier: exact totals per key over all units, and the noise each gets.

    `shard_sql` reads the scans by alias, and tables released by earlier parts by name, and yields k*, t* of one shard, at most
    `groups_per_unit` keys a unit, chosen by a hash keyed with the parameter `$seed`. With `public_keys` every element of the product of the
    keys' domains is answered, empty ones too; otherwise the first draw is the threshold on kind "units".
    """

    space: str  # the unit space: whose loss this is
    scans: tuple[Scan, ...]
    keys: tuple[Key, ...]
    totals: tuple[Total, ...]
    draws: tuple[Draw, ...]
    groups_per_unit: int
    rows_per_group: int
    shard_sql: str
    rows: Rows | None = None  # not None: the dense kernel computes what `shard_sql` says, on these rows
    expected_rows: int = 1000  # rows of data behind one row of the answer that expected half-widths suppose, from public facts alone
    reads: tuple[str, ...] = ()  # views that the shard query reads as public tables

    def __post_init__(self) -> None:
        if not self.draws or {draw.total for draw in self.draws} != {total.name for total in self.totals}:
            raise ValueError("every total is drawn once")
        if len(self.draws) != len(self.totals) or self.groups_per_unit < 1 or self.rows_per_group < 1:
            raise ValueError("bounds are at least 1 and every total is drawn once")
        thresholds = [draw.threshold is not None for draw in self.draws]
        if thresholds != [not self.public_keys] + [False] * (len(self.draws) - 1):
            raise ValueError("private keys are chosen by one threshold, first; public keys by none")

    @property
    def public_keys(self) -> bool:
        return all(key.domain is not None for key in self.keys)

    @property
    def loss(self) -> Loss:
        total = Loss(0, 0)
        for draw in self.draws:
            total = total + draw.loss
        return total

    @property
    def shard_columns(self) -> list[str]:
        """The columns of a shard's totals: keys, `bin` where a total needs it (NULL in the row of all other totals), totals."""
        binned = ["bin"] if any(total.kind in BINNED for total in self.totals) else []
        return [*(key.name for key in self.keys), *binned, *(total.name for total in self.totals)]

    def total(self, name: str) -> Total:
        return next(total for total in self.totals if total.name == name)


@dataclass(frozen=True)  # its digest is kept beside its fields
class Plan:
    """A job, compiled.

    Parts are drawn in order; each may read views over what the parts before it released, as public tables. `finish_sql` reads the noisy
    tables of all parts (`noisy`, `noisy1`, …: k*, t* after noise), views and public tables, and yields one column per output, then one
    half-width column (95 %) per output of kind value, in order.
    """

    query: str  # the operator's query in canonical form
    parts: tuple[Part, ...]
    outputs: tuple[Output, ...]
    finish_sql: str
    uses: tuple[ColumnUse, ...]
    delta: str  # decimal text: the total delta at which the job's epsilon is stated
    bounds: tuple[Bound, ...] = ()
    accuracy: str = ""  # as asked, where the price was found for it
    views: tuple[View, ...] = ()
    tables: tuple[Scan, ...] = ()  # public tables that views and the last query read
    lattices: tuple[Lattice, ...] = ()  # made consistent before views and the last query

    def __post_init__(self) -> None:
        after = {view.name: view.after for view in self.views}
        if not self.parts or any(part.space != self.parts[0].space for part in self.parts):
            raise ValueError("a plan is about units of one space")
        if any(after.get(name, place + 1) > place for place, part in enumerate(self.parts) for name in part.reads):
            raise ValueError("a part reads what earlier parts released")
        if any(scan.private for scan in self.tables):
            raise ValueError("the last query reads public tables")

    @property
    def only(self) -> Part:
        """The part of a plan that has one."""
        (part,) = self.parts
        return part

    @property
    def space(self) -> str:
        return self.parts[0].space

    @property
    def scans(self) -> tuple[Scan, ...]:
        """Everything read, part by part."""
        return tuple(dict.fromkeys([*(scan for part in self.parts for scan in part.scans), *self.tables]))

    def read_by(self, part: Part) -> tuple[Scan, ...]:
        """What the part's shard query reads: its scans, and views as the public tables that they are by then."""
        return (
            *part.scans,
            *(
                Scan(view.name, 0, "", False, view.name, tuple(name for name, _ in view.columns), tuple(kind for _, kind in view.columns))
                for view in self.views
                if view.name in part.reads
            ),
        )

    @property
    def draws(self) -> tuple[Draw, ...]:
        """Every draw, in the order drawn. Names of totals are unique within a part only."""
        return tuple(draw for part in self.parts for draw in part.draws)

    @property
    def public_keys(self) -> bool:
        return all(part.public_keys for part in self.parts)

    @property
    def loss(self) -> Loss:
        """The price: what the ledger charges. Parts compose: rho and delta add up (docs/proofs/released.md)."""
        total = Loss(0, 0)
        for part in self.parts:
            total = total + part.loss
        return total

    @property
    def pure(self) -> bool:
        """Whether the answer is pure DP: every draw is."""
        return all(draw.pure for draw in self.draws)

    @property
    def epsilon(self) -> Decimal | None:
        """The price as epsilon at `delta`, rounded up; of a pure plan, the sum of its draws' epsilons, which holds at delta 0."""
        if self.pure:
            return (Decimal(sum(draw.pico_epsilon or 0 for draw in self.draws)) / PICO).quantize(Decimal("0.000001"), ROUND_CEILING)
        return self.loss.epsilon(Decimal(self.delta))

    def as_data(self) -> dict[str, object]:
        """The whole plan as JSON-ready data; floats as hex so that nothing is rounded."""
        return plain(self)  # type: ignore[return-value]  # a dataclass in, a dict out

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical form: equal digests mean equal answers in distribution. `query`, `bounds`, `accuracy` and the order of
        `uses` are left out: they follow the operator's own spelling, and one question in two spellings has one digest. What is empty is left
        out, and a single part is written among the plan's own fields, so that digests outlive the fields that several parts brought."""
        data = {name: value for name, value in self.as_data().items() if name not in ("query", "bounds", "accuracy")}
        data["uses"] = sorted(data["uses"], key=str)  # type: ignore[call-overload]  # a list
        parts: list[dict[str, object]] = data.pop("parts")  # type: ignore[assignment]  # of dataclasses
        data = {name: value for name, value in data.items() if name not in ("views", "tables", "lattices") or value}
        parts = [{name: value for name, value in part.items() if name != "reads" or value} for part in parts]
        for part in parts:
            for item in (*part["scans"], *part["totals"], *part["draws"]):  # type: ignore[misc]  # lists of dicts
                item.pop("pseudonym", None)
                for name, usual in (("hidden", False), ("window", None), ("branching", 0), ("also", []), ("pico_epsilon", None)):
                    if item.get(name, usual) == usual:
                        item.pop(name, None)
        data |= parts[0] if len(parts) == 1 else {"parts": parts}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
