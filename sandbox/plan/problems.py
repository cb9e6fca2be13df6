"""Refusals of what a query asks: whose rows, which keys, what bounds, at which price."""

from __future__ import annotations

from policies.problem import declare

NO_PRIVATE_TABLE = declare(
    "plan_no_private_table",
    zh=("没有涉及受保护的数据", "查询只用到公共表。", "公共表不需要经过沙箱，请直接获取；否则请在 FROM 中加入要统计的数据集。"),
    en=(
        "No protected data",
        "The query reads public tables only.",
        "Public tables need no sandbox: fetch them directly. Otherwise add the dataset to be analysed to FROM.",
    ),
)
JOIN_UNIT = declare(
    "plan_join_unit",
    zh=(
        "受保护的数据之间须按隐私单元连接",
        "{fragment} 连接两份受保护的数据，但没有要求两边的隐私单元相等。",
        "请在 ON 中写明两边的单元列相等，例如 ON a.单元列 = b.单元列；其他条件用 AND 相连，不能放在 OR 之下。",
    ),
    en=(
        "Protected data is joined on the privacy unit",
        "{fragment} joins two protected relations without requiring their units to be equal.",
        "State in ON that the two unit columns are equal, e.g. ON a.unit = b.unit; add other conditions with AND, never under OR.",
    ),
)
FAN_OUT = declare(
    "plan_fan_out",
    zh=(
        "连接会产生过多的行",
        "按目录声明的每单元行数，{fragment} 可使一个单元产生 {rows} 行，超过上限 {limit}。",
        "请先在子查询中按单元（及所需的列）汇总，再连接；或在条件中加上声明为唯一的列的相等关系。",
    ),
    en=(
        "The join can produce too many rows",
        "By the rows per unit that the catalogue declares, {fragment} can produce {rows} rows for one unit; the limit is {limit}.",
        "Aggregate one side by unit (and the columns needed) in a subquery first, then join; or add an equality on a column declared unique.",
    ),
)
UNIT_SPACES = declare(
    "plan_unit_spaces",
    zh=("隐私单元不是同一类", "{fragment} 两边的隐私单元属于不同的单元空间。", "请对每个数据集各提交一个作业。"),
    en=("Units of different kinds", "The two sides of {fragment} have units of different unit spaces.", "Submit one job per dataset."),
)
UNIT_NAMES = declare(
    "plan_unit_names",
    zh=(
        "隐私单元的存储方式不一致",
        "所读数据集中，{tables} 存储单元标识符本身，其余存储编码，同一单元会被当作两个。",
        "请数据提供方将同一单元空间的数据集都以 pseudonym = true 重新入库；在此之前请分别提交作业。",
    ),
    en=(
        "Units are stored in two ways",
        "Of the datasets read, {tables} store the identifiers themselves and the others store codes: one unit would count as two.",
        "Ask the stewards to ingest all datasets of the unit space again with pseudonym = true; until then, submit separate jobs.",
    ),
)
SUBQUERY_UNIT = declare(
    "plan_subquery_unit",
    zh=(
        "子查询没有限于本行的隐私单元",
        "{fragment} 用到受保护的数据，但其结果取决于其他单元的记录。",
        "请按单元关联：单元列 IN (SELECT 单元列 …)，或 EXISTS (SELECT 1 FROM p WHERE p.单元列 = v.单元列)。",
    ),
    en=(
        "The subquery is not limited to the row's own unit",
        "{fragment} reads protected data, and its result depends on other units' rows.",
        "Tie it to the unit: unit IN (SELECT unit …), or EXISTS (SELECT 1 FROM p WHERE p.unit = v.unit).",
    ),
)
NOT_IN = declare(
    "plan_not_in",
    zh=(
        "受保护的数据不支持 NOT IN",
        "{fragment} 遇到空值时会改变所有行的结果。",
        "请改用 NOT EXISTS (SELECT 1 FROM p WHERE p.单元列 = v.单元列)。",
    ),
    en=(
        "No NOT IN over protected data",
        "One NULL in {fragment} would change the outcome for every row.",
        "Write NOT EXISTS (SELECT 1 FROM p WHERE p.unit = v.unit) instead.",
    ),
)
INNER_FUNCTION = declare(
    "plan_inner_function",
    zh=(
        "子查询中不支持该汇总",
        "子查询中的 {fragment} 不是逐单元精确计算的汇总。",
        "请改用 COUNT、COUNT(DISTINCT)、SUM、AVG、MIN、MAX、COUNT_IF。",
    ),
    en=(
        "This aggregate is not supported in subqueries",
        "{fragment} in a subquery is not an aggregate that is computed exactly within one unit.",
        "In a subquery, use COUNT, COUNT(DISTINCT), SUM, AVG, MIN, MAX, COUNT_IF.",
    ),
)
INNER_LIMIT = declare(
    "plan_inner_limit",
    zh=(
        "子查询中不能用 LIMIT",
        "{fragment} 只取一部分行，取到哪些取决于其他单元的记录。",
        "请去掉 LIMIT 与 OFFSET；每个单元只取若干行，请用 QUALIFY row_number() OVER (PARTITION BY 单元列 ORDER BY …) <= n。",
    ),
    en=(
        "LIMIT is not allowed in a subquery",
        "{fragment} keeps some rows, and which ones depends on other units' rows.",
        "Remove LIMIT and OFFSET; to keep some rows of each unit use QUALIFY row_number() OVER (PARTITION BY unit ORDER BY …) <= n.",
    ),
)
WINDOW_UNIT = declare(
    "plan_window_unit",
    zh=("窗口须按隐私单元划分", "{fragment} 的窗口跨越多个单元。", "请在 PARTITION BY 中加上单元列。"),
    en=("Windows must be within one unit", "The window of {fragment} spans several units.", "Add the unit column to PARTITION BY."),
)
WINDOW_ORDER = declare(
    "plan_window_order",
    zh=("窗口没有排序", "{fragment} 没有 ORDER BY，其结果没有定义。", "请在 OVER 中加上 ORDER BY。"),
    en=("The window has no order", "Without ORDER BY the value of {fragment} is not defined.", "Add ORDER BY inside OVER."),
)
UNION_DISTINCT = declare(
    "plan_union_distinct",
    zh=("UNION 去重须在单元之内", "{fragment} 把不同单元的相同行合为一行，结果不属于任何单元。", "请在两边都选出单元列，或写 UNION ALL。"),
    en=(
        "UNION removes duplicates across units",
        "{fragment} merges equal rows of different units into one row, which belongs to no unit.",
        "Select the unit column on both sides, or write UNION ALL.",
    ),
)
UNION_OWNED = declare(
    "plan_union_owned",
    zh=(
        "UNION ALL 两边须是同一类单元的数据",
        "{fragment} 把受保护的行与公共的行，或不同单元空间的行放在一起。",
        "请只合并同一单元空间的受保护数据；公共表请用 JOIN 连接。",
    ),
    en=(
        "UNION ALL takes units of one kind",
        "{fragment} combines protected rows with public rows, or rows of different unit spaces.",
        "Combine only protected data of one unit space; use JOIN for public tables.",
    ),
)
JOIN_SIDE = declare(
    "plan_join_side",
    zh=(
        "外连接会产生不属于任何隐私单元的行",
        "{fragment} 会保留公共表中没有对应记录的行。",
        "请把受保护的数据集写在前面：FROM 数据集 LEFT JOIN 公共表，或改用 JOIN。",
    ),
    en=(
        "The outer join produces rows that belong to no unit",
        "{fragment} keeps rows of a public table that have no match.",
        "Put the protected dataset first: dataset LEFT JOIN public table, or use JOIN.",
    ),
)
UNIT_ROWS = declare(
    "plan_unit_rows",
    zh=("不能取出明细行", "{fragment} 会逐行列出原始数据。", "请改为汇总，例如 COUNT(*)、SUM(列)、AVG(列)，并用 GROUP BY 分组。"),
    en=(
        "Individual rows cannot be listed",
        "{fragment} would list rows of the raw data.",
        "Aggregate instead: COUNT(*), SUM(column), AVG(column), with GROUP BY.",
    ),
)
UNIT_KEY = declare(
    "plan_unit_key",
    zh=("不能按隐私单元分组", "{fragment} 用到标识列 {column}。", "请按其他列分组；要数有多少个不同的单元，用 COUNT(DISTINCT {column})。"),
    en=(
        "The privacy unit cannot be a grouping key",
        "{fragment} uses the identifying column {column}.",
        "Group by other columns; to count units use COUNT(DISTINCT {column}).",
    ),
)
UNIT_AGGREGATE = declare(
    "plan_unit_aggregate",
    zh=("不能汇总标识列", "{fragment} 用到标识列 {column}。", "数行数请用 COUNT(*)，数单元请用 COUNT(DISTINCT {column})。"),
    en=(
        "The identifying column cannot be aggregated",
        "{fragment} uses the identifying column {column}.",
        "Count rows with COUNT(*), units with COUNT(DISTINCT {column}).",
    ),
)
COUNT_DISTINCT = declare(
    "plan_count_distinct",
    zh=(
        "去重计数只数一列",
        "{fragment} 数的不是一列整数、文本、日期、时间或布尔值。",
        "请写 COUNT(DISTINCT 列)；小数请先取整，例如 COUNT(DISTINCT floor(x))。",
    ),
    en=(
        "COUNT(DISTINCT …) counts one column's values",
        "{fragment} does not count one column of integers, text, dates, times or booleans.",
        "Write COUNT(DISTINCT column); round DOUBLE values first: COUNT(DISTINCT floor(x)).",
    ),
)
QUANTILE_SHARE = declare(
    "plan_quantile_share",
    zh=(
        "分位数的位置有误",
        "{fragment} 的位置须为 0 到 1 之间、至多四位小数的常数。",
        "请写成 QUANTILE_CONT(x, 0.25) 的形式；几个分位数请分列写。",
    ),
    en=(
        "The position of a quantile is not valid",
        "{fragment} needs a constant position from 0 to 1 with at most four decimals.",
        "Write, for example, QUANTILE_CONT(x, 0.25); write several quantiles as separate columns.",
    ),
)
TOO_MANY_CANDIDATES = declare(
    "plan_too_many_candidates",
    zh=(
        "分位数的候选值过多",
        "{groups} 个公开分组各有 {candidates} 个候选值，合计上限为 {limit}。",
        "请减少分组，或在作业中给出较小的 edges。",
    ),
    en=(
        "Too many candidates for quantiles",
        "{groups} public groups with {candidates} candidate values each; the limit for all together is {limit}.",
        "Use fewer groups, or give fewer edges in the job.",
    ),
)
AGGREGATE_DISTINCT = declare(
    "plan_aggregate_distinct",
    zh=("汇总不能去重", "{fragment} 用到 DISTINCT。", "请去掉 DISTINCT。"),
    en=("Only COUNT takes DISTINCT", "{fragment} uses DISTINCT.", "Leave DISTINCT out."),
)
NO_BOUND = declare(
    "plan_no_bound",
    zh=(
        "求和的取值没有上下界",
        "{fragment} 的取值范围无法由数据目录推出。",
        "请在作业的 ranges 中给出列的范围，例如 {example}；或在语句中限定，例如 least(greatest({argument}, 0), 100)。",
    ),
    en=(
        "The summed values have no bounds",
        "The range of {fragment} cannot be derived from the catalogue.",
        "Give the column's range in the job's ranges, e.g. {example}, or limit it in the query: least(greatest({argument}, 0), 100).",
    ),
)
BOUNDS_TOO_WIDE = declare(
    "plan_bounds_too_wide",
    zh=("取值范围过大", "{fragment} 每个单元的贡献上限超出可精确计算的范围。", "请在作业的 ranges 中收窄范围，或减小 rows_per_group。"),
    en=(
        "The bounds are too wide",
        "The largest contribution of one unit to {fragment} is beyond exact arithmetic.",
        "Narrow the range in the job's ranges, or lower rows_per_group.",
    ),
)
CONSTANT_AGGREGATE = declare(
    "plan_constant_aggregate",
    zh=("汇总的是常量", "{fragment} 的结果不依赖数据的取值。", "数行数请用 COUNT(*)。"),
    en=("A constant is aggregated", "{fragment} does not depend on any value in the data.", "Count rows with COUNT(*)."),
)
KEY_TYPE = declare(
    "plan_key_type",
    zh=(
        "不能按小数或时间分组",
        "{fragment} 的类型是{kind_zh}，不能作为分组键。",
        "请先归并为整数或日期，例如 floor(x / 10)、CAST(t AS DATE)。",
    ),
    en=(
        "Decimal numbers and times cannot be grouping keys",
        "{fragment} is of type {kind_en} and cannot be a grouping key.",
        "Convert it to integers or dates first: floor(x / 10), CAST(t AS DATE).",
    ),
)
CONSTANT_KEY = declare(
    "plan_constant_key",
    zh=("分组键是常量", "{fragment} 不含任何列。", "请从 GROUP BY 中去掉它。"),
    en=("The grouping key is a constant", "{fragment} contains no column.", "Remove it from GROUP BY."),
)
TOO_MANY_KEYS = declare(
    "plan_too_many_keys",
    zh=("公开分组过多", "公开分组共有 {count} 个组合，上限为 {limit}。", "请减少分组列，或用 WHERE 限定取值。"),
    en=(
        "Too many public keys",
        "The public keys have {count} combinations; the limit is {limit}.",
        "Use fewer grouping columns, or restrict their values in WHERE.",
    ),
)
NO_KEYS_LEFT = declare(
    "plan_no_keys_left",
    zh=("没有可回答的分组", "WHERE 条件排除了 {fragment} 的全部公开取值。", "请检查条件中的取值是否写对。"),
    en=("No group is left to answer", "WHERE excludes every public value of {fragment}.", "Check the values in the condition."),
)
NOTHING_PRIVATE = declare(
    "plan_nothing_to_release",
    zh=("没有需要计算的内容", "查询只列出公开的分组取值，没有汇总。", "请加上 COUNT(*)、SUM 或 AVG。"),
    en=("Nothing to compute", "The query lists public keys and aggregates nothing.", "Add COUNT(*), SUM or AVG."),
)
HALF_WIDTH = declare(
    "plan_no_half_width",
    zh=(
        "无法给出可靠的误差范围",
        "对 {fragment} 无法如实给出误差范围。",
        "请把其中的汇总分别列为结果列，取回后再计算；支持加减、与常量或分组键相乘除、两个汇总相除、取整。",
    ),
    en=(
        "No reliable error bar",
        "No reliable half-width can be given for {fragment}.",
        "Select its aggregates as separate columns and compute on the result; sums, differences, products and quotients with constants "
        "or keys, "
        "ratios of two aggregates and rounding are supported.",
    ),
)
BOUND_WIDENED = declare(
    "plan_bound_widened",
    zh=("只能收窄贡献上限", "{name} 设为 {asked}，数据目录的上限为 {limit}。", "请填写不超过 {limit} 的值，或不填。"),
    en=("Bounds can only be narrowed", "{name} is {asked}; the catalogue allows at most {limit}.", "Give at most {limit}, or omit it."),
)
RANGE_WIDENED = declare(
    "plan_range_widened",
    zh=("只能收窄取值范围", "列 {column} 的范围设为 {asked}，数据目录中为 {limit}。", "请填写在 {limit} 之内的范围，或不填。"),
    en=(
        "Ranges can only be narrowed",
        "The range of column {column} is given as {asked}; the catalogue has {limit}.",
        "Give a range within {limit}, or omit it.",
    ),
)
RANGE_UNKNOWN = declare(
    "plan_range_unknown",
    zh=("范围所指的列不存在", "ranges 中的 {name} 不是查询所用数据集的数值列。", "请写成 列名 或 数据集.列名。"),
    en=(
        "A range names no such column",
        "{name} in ranges is not a numeric column of the query's datasets.",
        "Write the name as column or dataset.column.",
    ),
)
PRICE_TOO_SMALL = declare(
    "plan_price_too_small",
    zh=("隐私预算过小", "{asked} 分摊到 {parts} 项汇总后不足以计算。", "请提高 epsilon（或 rho），或减少汇总项。"),
    en=(
        "Too little privacy budget",
        "{asked} divided over {parts} totals is too little to compute with.",
        "Raise epsilon (or rho), or use fewer aggregates.",
    ),
)
NOISE_TOO_LARGE = declare(
    "plan_noise_too_large",
    zh=("噪声将淹没一切结果", "按 {asked}，{fragment} 的噪声超出可表示的范围。", "请提高 epsilon（或 rho），或收窄取值范围与贡献上限。"),
    en=(
        "The noise would drown everything",
        "At {asked} the noise of {fragment} exceeds the range that can be represented.",
        "Raise epsilon (or rho), or narrow the ranges and contribution bounds.",
    ),
)
ACCURACY_UNKNOWN = declare(
    "plan_accuracy_unknown",
    zh=(
        "无法按精度定价",
        "按 {asked} 定价需要由公开信息预估 {label} 的误差，而它无法预估。",
        '请改给 epsilon 或 rho；或把其中的汇总单列为结果列，取回后再计算；相对精度无法预估时请给绝对精度，例如 "50"。',
    ),
    en=(
        "No price can be determined for this accuracy",
        "Pricing by {asked} needs the error of {label} to be predicted from public facts, which is not possible.",
        "Give epsilon or rho; or select its aggregates as separate columns and compute on the result; or give an absolute accuracy such "
        'as "50".',
    ),
)
ACCURACY_UNREACHABLE = declare(
    "plan_accuracy_unreachable",
    zh=("达不到所要求的精度", "无论价格多高，{label} 都达不到 {asked}。", "请放宽精度，或减少取整。"),
    en=("The accuracy is out of reach", "{label} cannot reach {asked} at any price.", "Ask for less accuracy, or round less."),
)
WEIGHT_UNKNOWN = declare(
    "plan_weight_unknown",
    zh=("权重所指的结果列不存在", "weights 中的 {name} 不是查询的汇总列。", "请写 SELECT 中汇总列的名称（AS 之后的名字）。"),
    en=(
        "A weight names no output column",
        "{name} in weights is not an aggregated output of the query.",
        "Use the name of an aggregated column in SELECT (the name after AS).",
    ),
)
PURE_PRIVATE_KEYS = declare(
    "plan_pure_private_keys",
    zh=(
        "纯差分隐私不能选出不公开的分组",
        "作业要求 delta = 0；分组取值不公开时，哪些分组出现要靠阈值决定，这必然用到 delta。",
        "请给一个大于 0 的 delta，或按有公开取值范围的列分组。",
    ),
    en=(
        "Pure differential privacy cannot select keys that are not public",
        "The job asks for delta = 0; when the keys are not public, a threshold decides which groups appear, and that needs a delta.",
        "Give a delta above 0, or group by columns with public domains.",
    ),
)
DELTA_TOO_SMALL = declare(
    "plan_delta_too_small",
    zh=("delta 过小", "分组取值不公开时需要 delta 不小于 {limit}，作业给的是 {asked}。", "请提高 delta，或按有公开取值范围的列分组。"),
    en=(
        "delta is too small",
        "Grouping by values that are not public needs a delta of at least {limit}; the job gives {asked}.",
        "Raise delta, or group by columns with public domains.",
    ),
)
