"""Refusals of what an exact table cannot be."""

from __future__ import annotations

from policies.problem import declare

EXACT_PARTS = declare(
    "plan_exact_parts",
    zh=(
        "精确汇总须是单独一次分组汇总",
        "{fragment} 不是对受保护数据的一次 SELECT … GROUP BY，或其中嵌有跨单元的汇总。",
        "请写成一个 SELECT … GROUP BY；子查询中可按单元先行汇总。需要多步的，请改用噪声发布。",
    ),
    en=(
        "An exact table is one aggregation",
        "{fragment} is not one SELECT … GROUP BY over protected data, or aggregates across units inside.",
        "Write one SELECT … GROUP BY; a subquery may aggregate within a unit first. For several steps, release with noise instead.",
    ),
)
EXACT_PERIODS = declare(
    "plan_exact_periods",
    zh=(
        "预算按期计算的数据集不作精确汇总",
        "数据集的隐私单元是 {space}：按它计数，一人多期就是多个单元，发布规则的最少人数会落空。",
        "请改用噪声发布；需要精确汇总的，请以个人为单元另行登记数据集。",
    ),
    en=(
        "No exact tables of data with budgets by period",
        "The privacy unit is {space}: one person in several periods counts as several units, so the minimum number of people that the "
        "rules require would not hold.",
        "Release with noise instead, or ask for the data to be registered separately with the person as its unit.",
    ),
)
EXACT_CLAUSE = declare(
    "plan_exact_clause",
    zh=(
        "精确汇总不支持该子句",
        "{fragment} 含有 {clause}：表的行数和次序不得取决于数据。",
        "请去掉该子句：精确汇总逐一给出各分组，按分组取值的次序排列。",
    ),
    en=(
        "An exact table does not support this clause",
        "{fragment} has {clause}: the rows of the table and their order may not depend on the data.",
        "Remove it: an exact table has one row for every combination of keys, in the order of the keys.",
    ),
)
EXACT_KEYS = declare(
    "plan_exact_keys",
    zh=(
        "精确汇总的分组须是公开的",
        "{fragment} 没有公开的取值列表，表中有哪些行会透露数据。",
        "请按目录中声明了取值的列分组，或用 CASE WHEN 写成取值固定的表达式，或请数据提供方声明取值。",
    ),
    en=(
        "An exact table needs public keys",
        "{fragment} has no public list of values, so which rows appear would reveal the data.",
        "Group by a column whose values the catalogue declares or by a CASE over constants, or ask the steward to declare the values.",
    ),
)
EXACT_COLUMN = declare(
    "plan_exact_column",
    zh=(
        "精确汇总的列须是分组，或一个计数、合计、平均",
        "列“{label}”是别的计算。",
        "请只选分组列和 COUNT、SUM、AVG；比值等由使用者自行计算。最值和分位数是单个单元的数值，只以噪声发布。",
    ),
    en=(
        "A column of an exact table is a key, or one COUNT, SUM or AVG",
        "Column {label} is a different calculation.",
        "Select only keys and COUNT, SUM, AVG; compute ratios from the table afterwards. Extremes and quantiles are values of single units "
        "and are released with noise only.",
    ),
)
EXACT_UNSELECTED = declare(
    "plan_exact_unselected",
    zh=("分组没有列出", "{fragment} 是分组，但没有列在 SELECT 中，结果的各行无从区分。", "请在 SELECT 中列出每个分组。"),
    en=(
        "A grouping key is not selected",
        "{fragment} is in GROUP BY but not in SELECT, so the rows could not be told apart.",
        "List every grouping key in SELECT.",
    ),
)
EXACT_TOO_MANY = declare(
    "plan_exact_too_many",
    zh=("精确汇总的单元格过多", "表有 {count} 行，上限为 {limit}。", "请减少分组，或分成几个作业。"),
    en=("The exact table is too large", "The table would have {count} rows; the limit is {limit}.", "Use fewer keys, or several jobs."),
)
