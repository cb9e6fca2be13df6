"""What a run will do, said to people: from its plan alone, so it is free and says nothing about data."""

from __future__ import annotations

from typing import Any

from sandbox.program.compile import ProgramPlan

COMBINED = {
    "mean": ("各块结果的平均", "the mean of what the blocks give"),
    "median": ("各块结果的中位数（在公开候选值中加噪选取）", "the median of the blocks, chosen with noise among public candidates"),
    "winsorised": (
        "截尾平均：先加噪选出各块结果的四分位数，再求截至其附近的平均",
        "the Winsorised mean: quartiles of the blocks are chosen with noise, and the mean is of values cut to near them",
    ),
    "sum": ("各单元结果之和", "the sum of what the units give"),
}
_UNITS = ("各单元结果的平均", "the mean of what the units give")


def explain(plan: ProgramPlan) -> dict[str, Any]:
    """JSON-ready: numbers as data, sentences under "zh" and "en"."""
    run = plan.run
    return {
        "program": run.program,
        "mode": run.mode,
        "combine": run.combine,
        "blocks": run.blocks or None,
        "calls_at_most": plan.calls,
        "seconds_per_call": str(run.seconds),
        "advice": plan.advice.as_data() if plan.advice else None,
        "libraries": run.libraries,
        "tables": [{"dataset": scan.dataset, "version": scan.version, "columns": list(scan.columns)} for scan in plan.scans],
        "outputs": [
            {
                "label": output.label,
                "kind": output.kind,
                "low": output.low,
                "high": output.high,
                "half_width": output.half_width,
                "expected_half_width": output.expected_half_width,
                "spacing": output.spacing,
                "rank_error": output.rank_error,
                "mechanism": output.mechanism,
            }
            for output in plan.plan.outputs
        ],
        "totals": [
            {"part": place, "name": draw.total, "scale": draw.scale, "moves_by": part.total(draw.total).cap, "rho": str(draw.loss.rho)}
            for place, part in enumerate(plan.plan.parts)
            for draw in part.draws
        ],
        "price": {
            "rho": str(plan.loss.rho),
            "threshold_delta": str(plan.loss.delta),
            "epsilon": None if plan.epsilon is None else str(plan.epsilon),
            "delta": plan.delta,
            "pure": plan.plan.pure,
        },
        "zh": _sentences(plan, 0),
        "en": _sentences(plan, 1),
    }


def _sentences(plan: ProgramPlan, language: int) -> list[str]:
    run, said = plan.run, []
    how = (_UNITS if run.mode == "units" and run.combine == "mean" else COMBINED[run.combine])[language]
    if run.mode == "units":
        words = (
            "程序对每个隐私单元各运行一次，只看到该单元的记录；结果是{how}。",
            "The program runs once for every privacy unit and sees that unit's rows alone; the answer is {how}.",
        )
        said.append(words[language].format(how=how))
    else:
        words = (
            "隐私单元按带密钥的散列分入 {blocks} 块，程序对每块各运行一次；结果是{how}。一个单元只影响一块。",
            "Privacy units are dealt to {blocks} blocks by a keyed hash, and the program runs once on each; the answer is {how}. A unit "
            "affects one block.",
        )
        said.append(words[language].format(blocks=run.blocks, how=how))
    words = (
        "每次运行至多 {seconds} 秒；未按时给出的，以及不是有限数值的结果，按公开的默认值计。公布时刻由次数与时限决定，与数据无关。",
        "A run may take {seconds} s; what does not come in time, or is no finite number, counts as its public default. When the answer is "
        "published follows from the number of runs and their limit, not from data.",
    )
    said.append(words[language].format(seconds=run.seconds))
    if plan.advice is not None:
        words = (
            "按约 {rows} 行估计，每块约 {each} 行。噪声的 95 % 范围约为取值范围的 {noise:.2%}；假定程序自身的偏差约为取值范围的 {bias:.2%}"
            "（每块 m 个单元时为 1/m，光滑的估计大致如此）。求和、求均值一类的程序没有这种偏差，块数宜多。",
            "With some {rows} rows a block has about {each}. Noise is within {noise:.2%} of the range in 95 % of cases; the program's own bias "
            "is supposed to be {bias:.2%} of it (1/m for a block of m units, which is about right for smooth estimates). Programs that "
            "sum or average have no such bias: take more blocks.",
        )
        advice = plan.advice
        said.append(words[language].format(rows=plan.rows, each=advice.rows_per_block, noise=advice.noise, bias=advice.bias))
    said += [text for output in plan.plan.outputs if output.kind == "value" for text in _error(output, plan, language)]
    price = ("价格：ρ = {rho}，即 δ = {delta} 时 ε = {epsilon}。", "Price: rho = {rho}, which is epsilon = {epsilon} at delta = {delta}.")
    return [*said, price[language].format(rho=plan.loss.rho, delta=plan.delta, epsilon=plan.epsilon)]


def _error(output: Any, plan: ProgramPlan, language: int) -> list[str]:
    if output.half_width is not None:
        words = ("{label}：噪声在 95 % 的情况下不超过 ±{width:.6g}。", "{label}: noise within ±{width:.6g} in 95 % of cases.")
        return [words[language].format(label=output.label, width=output.half_width)]
    if output.expected_half_width is not None:
        words = (
            "{label}：若有约 {rows} 个单元，噪声在 95 % 的情况下约为 ±{width:.6g}；实际范围随结果给出。",
            "{label}: noise about ±{width:.6g} in 95 % of cases with some {rows} units; the answer carries its own.",
        )
        return [words[language].format(label=output.label, width=output.expected_half_width, rows=plan.rows)]
    if output.rank_error is not None:
        words = (
            "{label}：从相距 {spacing:.6g} 的候选值中选取，95 % 的情况下名次与中位数相差不超过 {ranks} 块。",
            "{label}: chosen among values {spacing:.6g} apart; in 95 % of cases its rank is within {ranks} blocks of the median.",
        )
        return [words[language].format(label=output.label, spacing=output.spacing, ranks=output.rank_error)]
    words = (
        "{label}：误差范围取决于选出的截尾区间，随结果给出。",
        "{label}: its half-width depends on the range chosen; the answer carries it.",
    )
    return [words[language].format(label=output.label)]
