"""Refusals of a model job that need the catalogue to be seen."""

from __future__ import annotations

from policies.problem import declare

SOURCE_RELEASED = declare(
    "plan_model_released",
    zh=(
        "模型的数据来源须是单个隐私单元的记录",
        "source 中有跨隐私单元的汇总，要先加噪公开；模型只能直接用受保护的记录。",
        "请去掉跨单元的汇总；按单元汇总（GROUP BY 单元列）可以保留。公开的统计量可另行提交作业取得后写成常数。",
    ),
    en=(
        "A model is fitted to rows of single units",
        "The source contains an aggregation across privacy units, which would have to be released with noise first; a model uses "
        "protected rows directly.",
        "Remove the aggregation across units; aggregation within a unit (GROUP BY the unit) may stay. Obtain released figures with a "
        "separate job and write them as constants.",
    ),
)
NOT_ONE_VALUE = declare(
    "plan_model_expression",
    zh=("表达式须恰为一个值", "{name} 的 expression 不是单独一个表达式。", "请只写一个表达式，不带逗号、别名与 FROM。"),
    en=(
        "The expression must be a single value",
        "The expression of {name} is not a single expression.",
        "Write only one expression, without commas, aliases or FROM.",
    ),
)
VALUE_TYPE = declare(
    "plan_model_type",
    zh=("须为数值", "{name} 的类型是{kind_zh}。", "请换算为数值，或给出 categories 把它当作类别；日期可用 date_diff 换算为天数。"),
    en=(
        "A number is needed",
        "{name} is of type {kind_en}.",
        "Convert it to a number, or give categories to treat it as one; for dates, date_diff gives a number of days.",
    ),
)
NO_RANGE = declare(
    "plan_model_no_range",
    zh=("缺少取值范围", "{name} 没有公开的取值范围，无从标准化和设定敏感度。", "请为它给出 low 与 high；超出的值按端点计。"),
    en=(
        "The range is missing",
        "No public range of {name} is known, so it can be neither standardised nor bounded.",
        "Give low and high; values outside count as the nearer end.",
    ),
)
CONSTANT = declare(
    "plan_model_constant",
    zh=("没有变化的特征", "{name} 的取值范围只有一个值。", "请去掉它；截距不必写成特征。"),
    en=("A feature that cannot vary", "The range of {name} is a single value.", "Remove it; the intercept need not be given as a feature."),
)
TARGET_RANGE = declare(
    "plan_model_target",
    zh=(
        "目标的取值范围与模型不符",
        "{model} 的目标须在 {wanted} 之内，{name} 的范围是 {low} 至 {high}。",
        "请用 CASE WHEN … THEN 1 ELSE 0 END 把目标写成 0 和 1（logistic），或收窄到不小于 0 的范围（poisson）。",
    ),
    en=(
        "The target's range does not fit the model",
        "The target of a {model} model must lie in {wanted}; {name} ranges from {low} to {high}.",
        "Write the target as 0 and 1 with CASE WHEN … THEN 1 ELSE 0 END (logistic), or narrow its range to values not below 0 (poisson).",
    ),
)
NO_CATEGORIES = declare(
    "plan_model_categories",
    zh=(
        "类别不公开",
        "{name} 没有公开的取值列表，或取值过多（至多 {limit} 个）。",
        "请在 categories 中逐一列出要区分的取值。",
    ),
    en=(
        "The categories are not public",
        "The catalogue declares no domain for {name}, or one of more than {limit} values.",
        "List the values to distinguish in categories.",
    ),
)
TOO_MANY = declare(
    "plan_model_too_many",
    zh=("特征过多", "类别展开后共 {count} 个特征，上限为 {limit}。", "请减少特征或合并类别。"),
    en=(
        "Too many features",
        "With categories expanded there are {count} features; the limit is {limit}.",
        "Use fewer features, or merge categories.",
    ),
)
FILL_RANGE = declare(
    "plan_model_fill",
    zh=("替代值超出范围", "{name} 的 missing 为 {fill}，不在 {low} 至 {high} 之内。", "请给出范围之内的替代值，或写 drop。"),
    en=(
        "The substitute value is outside the range",
        "The substitute for a missing {name} is {fill}, outside {low} to {high}.",
        "Give a value inside the range, or write drop.",
    ),
)
ROWS_NEED_ROBUST = declare(
    "plan_model_errors",
    zh=(
        "一个单元有多行时标准误须为 robust",
        "每个单元至多计入 {rows} 行，同一单元的各行并不独立，classical 的标准误会偏小。",
        "请写 errors = robust 或不写；或令 rows_per_unit = 1。",
    ),
    en=(
        "Several rows of a unit need robust errors",
        "Up to {rows} rows of a unit are counted, which are not independent; classical standard errors would be too small.",
        "Set errors = robust or omit it, or set rows_per_unit to 1.",
    ),
)
