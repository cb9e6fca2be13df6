"""What a plan will do, said to people: bounds and where they came from, what one unit can move, the noise, the price, the error to expect.

From the plan alone, so it is free and says nothing about data.
"""

from __future__ import annotations

from decimal import Decimal

from policies.loss import PICO
from sandbox.plan.diagnose import ASK as DIAGNOSIS_BOUNDS
from sandbox.plan.diagnose import at_most, binds, diagnosis
from sandbox.plan.model import Bound, Draw, Key, Output, Part, Plan, Total

KINDS = {
    "units": ("隐私单元个数", "number of privacy units"),
    "count": ("行数", "number of rows"),
    "sum": ("取值之和", "sum of values"),
    "average": ("取值与中点之差的和（用于平均值）", "sum of values about the middle of their range (for an average)"),
    "quantile": ("候选值的直方图（用于分位数）", "histogram over candidate values (for a quantile)"),
    "distinct": ("不同取值的个数", "number of different values"),
    "squares": (
        "取值与中点之差的平方和，以最大平方为单位（用于方差）",
        "sum of squared distances from the middle of the range, the largest being 1 (for a variance)",
    ),
}
SOURCES = {
    "catalogue": ("来自数据目录", "from the catalogue"),
    "job": ("由作业收窄", "narrowed by the job"),
    "keys": ("公开分组只有这么多", "there are no more public keys"),
    "derived": ("由列的范围推出", "derived from the columns' ranges"),
}
NOTES = (
    (
        "误差范围只含噪声，不含截断的影响：每个单元至多计入 {groups} 个分组，每个分组至多 {rows} 行，超出取值范围的值按端点计。",
        "Half-widths cover noise alone, not clamping: a unit counts in at most {groups} groups with at most {rows} rows each, and values "
        "outside the range count as its nearer end.",
    ),
    (
        "空值与 NaN 不参与计数、求和与平均；无穷大按范围端点计；除以零得空值。",
        "NULL and NaN take no part in counts of values, sums and averages; infinities count as the end of the range; division by zero is NULL.",
    ),
)
THRESHOLD_NOTE = (
    "分组取值不公开：隐私单元个数加噪后超过 {threshold} 的分组才会出现，人少的分组不出现。",
    "Keys are private: only groups whose noisy number of units exceeds {threshold} appear; small groups do not.",
)
WHAT = {
    "groups_per_unit": ("每个单元至多 {high} 个分组", "at most {high} groups a unit"),
    "rows_per_group": ("每个分组至多 {high} 行", "at most {high} rows in a group"),
    "range": ("{of} 的取值 {low} 至 {high}", "{of} over values from {low} to {high}"),
}
NEVER_BINDS = ("界限“{name}”：由公开信息可知不会截去任何数据。", "Bound “{name}”: public facts say that it takes nothing away.")
MAY_BIND = ("界限“{name}”：可能截去数据，多少取决于数据。", "Bound “{name}”: may take data away; how much depends on the data.")
MAY_BIND_BY = (
    "界限“{name}”：可能截去数据，至多为一个单元所在分组的 {most}。",
    "Bound “{name}”: may take data away, at most {most} of the groups that a unit is in.",
)
ASK_NOTE = (
    "截去了多少，可用 diagnosis 中的查询另行提问：它是一个普通作业，有自己的价格。",
    "How much bounds take away can be asked with the query under diagnosis: a job like any other, with a price of its own.",
)
ACCURACY_NOTE = (
    "价格按所要求的精度 {accuracy}（95 %）求得，依据的是公开信息：每个分组约 {rows} 行，取值居于范围中部；实际误差范围随结果给出。",
    "The price was found for the accuracy asked, {accuracy} at 95 %, from public facts: some {rows} rows a group, values about the middle of "
    "their range. What was really met stands beside each answer.",
)
PARTS_NOTE = (
    "查询分 {parts} 部分依次加噪，价格为各部分之和；后面的部分可以使用前面已加噪的结果。",
    "The query is noised in {parts} parts, one after another, and the price is their sum; later parts may use what earlier ones released.",
)
PURE_NOTE = (
    "噪声为离散拉普拉斯（分位数：置换翻转法），因为作业要求 δ = 0：答案满足 ε = {epsilon} 的纯差分隐私。账户按每项 ε²/2 计 ρ；"
    "同样的 ρ 用离散高斯噪声方差只有一半，可改给大于 0 的 δ 比较。",
    "Noise is discrete Laplace (quantiles: permute-and-flip) because the job asks for delta = 0: the answer is pure DP at epsilon {epsilon}. "
    "Accounts are charged epsilon²/2 in rho for each total; discrete Gaussian noise of the same rho has half the variance: give a delta above "
    "0 to compare.",
)
GAUSSIAN_NOTE = (
    "噪声为离散高斯，在账户所记的 ρ 相同时，其方差是拉普拉斯噪声的一半；若要纯差分隐私，请给 δ = 0。",
    "Noise is discrete Gaussian: of the rho that accounts count, it has half the variance of Laplace noise. For pure DP give delta = 0.",
)
LATTICE_NOTE = (
    "各分组集的计数与总和已按最小二乘法（以方差的倒数为权）调整为彼此相符，误差范围按调整后的方差给出；"
    "逐级汇总（ROLLUP）时下级之和等于上级，其余情形相差不超过各数取整之差。若贡献上限起作用，各分组集受截断的程度不同，调整会把它们混合。",
    "Counts and sums of the grouping sets are made to add up by least squares weighted by variance, and half-widths are those after it. "
    "Where each set contains the next (ROLLUP) children add up to their parents exactly, otherwise to within rounding. Where contribution "
    "bounds bind they cut the sets differently, and what is lost is mixed among them.",
)
PUBLIC_NOTE = (
    "分组取值是公开的：每个分组都会给出结果，没有数据的分组也在内。",
    "Keys are public: every group is answered, those without data too.",
)


def explain(plan: Plan) -> dict[str, object]:
    """JSON-ready: numbers as data, sentences under "zh" and "en". Exact amounts are decimal strings."""
    return {
        "query": plan.query,
        "unit_space": plan.space,
        "tables": [
            {"dataset": scan.dataset, "version": scan.version, "private": scan.private, "columns": list(scan.columns)} for scan in plan.scans
        ],
        "keys": [_key(key, place) for place, part in enumerate(plan.parts) for key in part.keys],
        "bounds": [_bound(bound, plan.parts[0]) for bound in plan.bounds],
        "diagnosis": None if (asking := diagnosis(plan)) is None else {"sql": asking, **DIAGNOSIS_BOUNDS},
        "totals": [_total(part, draw, place) for place, part in enumerate(plan.parts) for draw in part.draws],
        "outputs": [_output(output) for output in plan.outputs],
        "expected_rows": max(part.expected_rows for part in plan.parts),
        "accuracy": plan.accuracy or None,
        "made_to_add_up": [{"parts": list(lattice.parts), "totals": [list(names) for names in lattice.totals]} for lattice in plan.lattices],
        "price": {
            "rho": str(plan.loss.rho),
            "threshold_delta": str(plan.loss.delta),
            "epsilon": None if plan.epsilon is None else str(plan.epsilon),
            "delta": plan.delta,
            "pure": plan.pure,
        },
        "sql": {
            "shard": plan.parts[0].shard_sql,
            "shards": [part.shard_sql for part in plan.parts],
            "views": {view.name: view.sql for view in plan.views},
            "finish": plan.finish_sql,
        },
        "zh": _sentences(plan, 0),
        "en": _sentences(plan, 1),
    }


def _key(key: Key, part: int) -> dict[str, object]:
    public = key.domain is not None
    return {"part": part, "name": key.name, "type": key.type, "public": public, "values": len(key.domain or ()) or None}


def _bound(bound: Bound, part: Part) -> dict[str, object]:
    """`binds`: whether it can take anything away, by public facts; `at_most`: the largest share of a unit's groups that it can."""
    zh, en = SOURCES[bound.source]
    said = {"what": bound.what, "of": bound.of, "low": bound.low, "high": bound.high, "source": bound.source, "zh": zh, "en": en}
    return {**said, "binds": "may" if binds(bound, part) else "never", "at_most": at_most(bound, part)}


def _total(part: Part, draw: Draw, place: int) -> dict[str, object]:
    total, groups = part.total(draw.total), part.groups_per_unit
    zh, en = KINDS[total.kind]
    unit = 10**total.decimals
    return {
        "part": place,
        "name": total.name,
        "kind": total.kind,
        "zh": zh,
        "en": en,
        "one_unit_moves_a_group_by": total.cap / (1 if total.kind == "quantile" else unit),
        "one_unit_moves_groups": groups,
        "mechanism": _mechanism(total, draw),
        "scale": draw.scale / (1 if total.branching else total.quantile[1] if total.kind == "quantile" else unit),
        "candidates": total.candidates if total.kind == "quantile" else None,
        "rank": draw.rank,
        "threshold": draw.threshold,
        "epsilon": None if draw.pico_epsilon is None else str(Decimal(draw.pico_epsilon) / PICO),
        "rho": str(draw.loss.rho),
        "delta": str(draw.loss.delta),
    }


def _mechanism(total: Total, draw: Draw) -> str:
    if total.branching:
        return "noisy tree, discrete Gaussian"
    if total.kind == "quantile":
        return "permute-and-flip" if draw.pure else "Gumbel noisy max"
    if draw.pure:
        return "discrete Laplace"
    return "discrete Gaussian" if draw.threshold is None else "discrete Gaussian with threshold"


def _output(output: Output) -> dict[str, object]:
    return {
        "label": output.label,
        "kind": output.kind,
        "half_width": output.half_width,
        "expected_half_width": output.expected_half_width,
        "spacing": output.spacing,
        "rank_error": output.rank_error,
        "low": output.low,
        "high": output.high,
    }


def _sentences(plan: Plan, language: int) -> list[str]:
    notes: list[str] = []
    if len(plan.parts) > 1:
        notes.append(PARTS_NOTE[language].format(parts=len(plan.parts)))
    expected = max(part.expected_rows for part in plan.parts)
    for part in plan.parts:
        threshold = part.draws[0].threshold
        notes += [note[language].format(groups=part.groups_per_unit, rows=part.rows_per_group) for note in NOTES]
        if part.keys:
            notes.append((PUBLIC_NOTE if threshold is None else THRESHOLD_NOTE)[language].format(threshold=threshold))
    if plan.lattices:
        notes.append(LATTICE_NOTE[language])
    notes = [*dict.fromkeys(notes), *_bias(plan, language)]
    notes.append(PURE_NOTE[language].format(epsilon=plan.epsilon) if plan.pure else GAUSSIAN_NOTE[language])
    for output in plan.outputs:
        if output.kind == "value":
            notes.append(_error(output, expected, language))
    if plan.accuracy:
        notes.append(ACCURACY_NOTE[language].format(accuracy=plan.accuracy, rows=expected))
    price = ("价格：ρ = {rho}，即 δ = {delta} 时 ε = {epsilon}。", "Price: rho = {rho}, which is epsilon = {epsilon} at delta = {delta}.")
    return [*notes, price[language].format(rho=plan.loss.rho, delta=plan.delta, epsilon=plan.epsilon)]


def _bias(plan: Plan, language: int) -> list[str]:
    """What is known for nothing of what bounds take away, and that the rest can be asked."""
    part, said = plan.parts[0], []
    for bound in plan.bounds:
        name = WHAT[bound.what][language].format(of=bound.of, low=bound.low, high=bound.high)
        most = at_most(bound, part)
        note = NEVER_BINDS if not binds(bound, part) else MAY_BIND if most is None else MAY_BIND_BY
        said.append(note[language].format(name=name, most=most))
    return [*said, ASK_NOTE[language]] if any(binds(bound, part) for bound in plan.bounds) and diagnosis(plan) is not None else said


def _error(output: Output, rows: int, language: int) -> str:
    if output.half_width is not None:
        said = ("{label}：95 % 的情况下误差不超过 ±{width:.6g}。", "{label}: within ±{width:.6g} in 95 % of cases.")
        return said[language].format(label=output.label, width=output.half_width)
    if output.expected_half_width is not None:
        said = (
            "{label}：若一个分组约有 {rows} 行，95 % 的情况下误差约为 ±{width:.6g}；实际误差范围随结果给出。",
            "{label}: about ±{width:.6g} in 95 % of cases for a group of some {rows} rows; the answer carries its own.",
        )
        return said[language].format(label=output.label, width=output.expected_half_width, rows=rows)
    if output.rank_error is not None:
        said = (
            "{label}：从相距 {spacing:.6g} 的候选值中选取；95 % 的情况下所选值的名次与所求相差不超过 {ranks} 行"
            "（MIN、MAX：离端点不超过该行数的两倍）。"
            "数值的误差取决于数据的疏密，不能如实给出，误差列为空；行数少于此的分组所得数值没有意义。",
            "{label}: chosen among values {spacing:.6g} apart; in 95 % of cases its rank is within {ranks} rows of the one asked (MIN and MAX: "
            "within twice as many of the end). How far that is in value depends on how dense the data lies and cannot be said, so its "
            "half-width is NULL; in groups of fewer rows it means nothing.",
        )
        return said[language].format(label=output.label, spacing=output.spacing, ranks=output.rank_error)
    if output.mechanism in ("Gumbel noisy max", "permute-and-flip", "noisy tree, discrete Gaussian"):
        said = ("{label}：由分位数算得，误差不能如实给出。", "{label}: computed from a quantile; no half-width can be said.")
        return said[language].format(label=output.label)
    said = ("{label}：误差范围取决于结果，随结果逐行给出。", "{label}: the error depends on the answer, which carries it row by row.")
    return said[language].format(label=output.label)
