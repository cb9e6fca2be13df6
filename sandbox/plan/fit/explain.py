"""The model card: what a model does to whose rows, at which bounds, noise and price. From the plan alone, so it is free and says nothing about
data."""

from __future__ import annotations

from typing import Any

from sandbox.plan.fit.plan import FitPlan, Variable, VectorDraw
from sandbox.plan.fit.price import expected_half_width, standard_unit
from sandbox.plan.totals import shown

MODELS = {
    "linear": ("线性回归", "linear regression"),
    "logistic": ("逻辑回归", "logistic regression"),
    "poisson": ("泊松回归", "Poisson regression"),
    "kmeans": ("k 均值聚类", "k-means"),
}
METHODS = {
    "linear": (
        "一次求出（1，特征，目标）两两乘积之和，加噪后求解；残差与标准误也由这些已加噪的和得出。",
        "Sums of products of (1, features, target) are taken once and noised; coefficients, residuals and errors all come from them.",
    ),
    "logistic": (
        "牛顿法 {steps} 步，每步的梯度与二阶导数矩阵都加噪，参数公开后进入下一步；步数事先固定。",
        "{steps} Newton steps, each with a noisy gradient and a noisy matrix of second derivatives; parameters are public from step to step, "
        "and their number is fixed beforehand.",
    ),
    "kmeans": (
        "{steps} 轮，每轮各类的行数与各特征之和加噪后得到新的中心；最后一轮求各类大小与离散程度。起始中心与数据无关。",
        "{steps} rounds of noisy counts and sums give new centres, one more the sizes and spreads; the first centres do not depend on data.",
    ),
}
METHODS["poisson"] = METHODS["logistic"]
NOTES = (
    (
        "特征按公开的取值范围标准化；超出范围的值按端点计，缺失值按各特征的 missing 处理。",
        "Features are standardised by their public ranges; values outside count as the nearer end, missing ones as their `missing` says.",
    ),
    (
        "每个单元至多按 {rows} 行计权；每步中一个单元的贡献不超过 {cut}。",
        "A unit counts with the weight of {rows} rows at most; its contribution to a step is held to {cut}.",
    ),
)
WHOLE = ("取值范围所允许的最大值，不截断", "what ranges allow: nothing is cut")
CLIPPED = (
    "所设 clip（为最大值的 {share}），超出者按比例缩小，可能带来偏差",
    "the clip asked, {share} of that: longer ones shrink, which may bias",
)
ERRORS = {
    "classical": (
        "标准误含抽样误差与噪声，抽样误差按模型成立计算。",
        "Standard errors hold sampling and noise; that of sampling supposes that the model is true.",
    ),
    "robust": (
        "标准误含抽样误差与噪声，抽样误差由各单元梯度的（加噪）离散程度得出，同一单元的各行可以相关。",
        "Standard errors hold sampling and noise; that of sampling is from the noisy spread of units' gradients: rows of a unit may depend.",
    ),
}
EXPECTED = (
    "仅因噪声，标准化后每个参数的 95 % 误差约为 ±{width}（按目录所载约 {rows} 行、特征在范围内均匀分布估计）。",
    "Noise alone is expected to put ±{width} at 95 % on a standardised parameter, for some {rows} rows spread evenly over their ranges.",
)


def card(plan: FitPlan) -> dict[str, Any]:
    """JSON-ready: numbers as data, sentences under "zh" and "en". Exact amounts are decimal strings."""
    return {
        "model": plan.model,
        "query": plan.query,
        "unit_space": plan.space,
        "tables": [
            {"dataset": scan.dataset, "version": scan.version, "private": scan.private, "columns": list(scan.columns)} for scan in plan.scans
        ],
        "features": [_variable(feature) for feature in plan.features],
        "target": None if plan.target is None else _variable(plan.target),
        "intercept": plan.intercept,
        "clusters": plan.clusters or None,
        "regularisation": plan.regularisation,
        "errors": None if plan.model == "kmeans" else plan.errors,
        "rows_per_unit": plan.rows_per_unit,
        "bounds": [{"what": bound.what, "of": bound.of, "low": bound.low, "high": bound.high, "source": bound.source} for bound in plan.bounds],
        "mechanism": "discrete Gaussian",
        "steps": [[_draw(plan, draw) for draw in step.draws] for step in plan.steps],
        "expected_half_width": _expected(plan),
        "expected_rows": plan.expected_rows,
        "accuracy": plan.accuracy or None,
        "price": {
            "rho": str(plan.loss.rho),
            "epsilon": None if plan.epsilon is None else str(plan.epsilon),
            "delta": plan.delta,
        },
        "sql": {"rows": plan.rows_sql},
        "zh": _said(plan, 0),
        "en": _said(plan, 1),
    }


def _variable(variable: Variable) -> dict[str, Any]:
    low, high = variable.ends
    fill = "drop" if variable.fill is None else shown(variable.as_number(variable.fill))
    return {
        "name": variable.name,
        "of": variable.group,
        "low": shown(low),
        "high": shown(high),
        "missing": fill,
        "standardised": {"middle": shown(variable.middle), "half": shown(variable.half)},
    }


def _draw(plan: FitPlan, draw: VectorDraw) -> dict[str, Any]:
    unit = standard_unit(draw, plan.gradient_shift)
    return {"draw": draw.name, "size": draw.size, "cap": draw.cap * unit, "scale": draw.scale * unit, "rho": str(draw.loss.rho)}


def _expected(plan: FitPlan) -> float:
    return expected_half_width(plan.model, plan.clusters or 1, plan.steps, plan.expected_rows)


def _said(plan: FitPlan, language: int) -> list[str]:
    passes = sum(1 for step in plan.steps if "gradient" in step.names or "clusters" in step.names)
    draw = plan.steps[0].draws[0]
    share = (draw.cap << draw.shift) / (draw.longest * plan.rows_per_unit)
    cut = WHOLE[language] if share > 0.999 else CLIPPED[language].format(share=f"{share:.3g}")
    spoken = [f"{MODELS[plan.model][language]}: {plan.query}", METHODS[plan.model][language].format(steps=passes)]
    spoken += [note[language].format(rows=plan.rows_per_unit, cut=cut) for note in NOTES]
    if plan.model != "kmeans":
        spoken.append(ERRORS[plan.errors][language])
    return [*spoken, EXPECTED[language].format(width=f"{_expected(plan):.2g}", rows=plan.expected_rows)]
