"""Refusals of the SQL itself. Each names the fragment of the operator's text and says what to write instead."""

from __future__ import annotations

from policies.problem import Kind, declare

EMPTY = declare(
    "sql_empty",
    zh=("没有查询语句", "作业中的 SQL 为空。", "请写一条 SELECT 语句，例如 SELECT city, COUNT(*) FROM visits GROUP BY city。"),
    en=("No query", "The job's SQL is empty.", "Write one SELECT, e.g. SELECT city, COUNT(*) FROM visits GROUP BY city."),
)
TOO_LONG = declare(
    "sql_too_long",
    zh=("语句过长", "语句有 {size} 字节，上限为 {limit} 字节。", "请拆成几个作业，或用公共表代替很长的取值清单。"),
    en=(
        "The query is too long",
        "The query has {size} bytes; the limit is {limit}.",
        "Split it into several jobs, or use a public table instead of long lists of values.",
    ),
)
TOO_LARGE = declare(
    "sql_too_large",
    zh=("语句过于庞大", "语句的语法单元超过 {limit} 个。", "请拆成几个作业，或用公共表代替很长的取值清单。"),
    en=(
        "The query is too large",
        "The query has more than {limit} syntax elements.",
        "Split it into several jobs, or use a public table instead of long lists of values.",
    ),
)
TOO_DEEP = declare(
    "sql_too_deep",
    zh=("嵌套过深", "表达式嵌套超过 {limit} 层。", "请减少括号与函数的嵌套。"),
    en=("Nested too deeply", "Expressions are nested more than {limit} deep.", "Use fewer nested parentheses and functions."),
)
BAD_CHARACTER = declare(
    "sql_bad_character",
    zh=("含有不可用字符", "语句第 {position} 个字符 {character} 不能使用。", "请删除控制字符或残缺字符后重新提交。"),
    en=(
        "An unusable character",
        "Character {position} of the query, {character}, cannot be used.",
        "Remove control characters and broken characters, then submit again.",
    ),
)
SYNTAX = declare(
    "sql_syntax",
    zh=("语法错误", "第 {line} 行第 {column} 列附近无法解析：{fragment}", "请检查此处的拼写、逗号、括号与引号；语法以 DuckDB 的 SELECT 为准。"),
    en=(
        "Syntax error",
        "The query cannot be parsed near line {line}, column {column}: {fragment}",
        "Check spelling, commas, parentheses and quotes there; the syntax is that of DuckDB's SELECT.",
    ),
)
ONE_STATEMENT = declare(
    "sql_one_statement",
    zh=("只能有一条语句", "作业中有多条 SQL 语句。", "请在一个作业中只写一条 SELECT；其余语句另行提交作业。"),
    en=("One statement only", "The job contains several SQL statements.", "Write one SELECT per job; submit the others as separate jobs."),
)
NOT_SELECT = declare(
    "sql_not_select",
    zh=("只能查询", "语句以 {fragment} 开头，不是 SELECT。", "作业只能读取统计结果，请改写为 SELECT … GROUP BY …。"),
    en=("Queries only", "The statement starts with {fragment}, not SELECT.", "A job can only read statistics: write SELECT … GROUP BY …."),
)
NOT_SUPPORTED = declare(
    "sql_not_supported",
    zh=("不支持的写法", "不支持 {fragment}（{element}）。", "请只用支持的写法；清单见文档“支持的 SQL”。"),
    en=(
        "Not supported",
        "{fragment} is not supported ({element}).",
        "Use only supported SQL; see the list “Supported SQL” in the documentation.",
    ),
)
REPHRASE = declare(
    "sql_rephrase",
    zh=("请换一种写法", "不支持 {fragment}。", "{instead_zh}"),
    en=("Write it differently", "{fragment} is not supported.", "{instead_en}"),
)
SUBQUERY = declare(
    "sql_subquery",
    zh=(
        "此处不支持这种子查询",
        "不支持 {fragment}。",
        "请把子查询写在 FROM、WITH 中，或在 WHERE 中写成 单元列 IN (SELECT …)、[NOT] EXISTS (…)、(SELECT 汇总 FROM …)。",
    ),
    en=(
        "This subquery is not supported here",
        "{fragment} is not supported.",
        "Write subqueries in FROM or WITH, or in WHERE as unit IN (SELECT …), [NOT] EXISTS (…), (SELECT aggregate FROM …).",
    ),
)
SET_OPERATION = declare(
    "sql_set_operation",
    zh=("不支持这种集合运算", "{fragment} 用到集合运算。", "请用 UNION ALL，写在 FROM 的子查询或 WITH 中，外层再汇总。"),
    en=(
        "This set operation is not supported",
        "{fragment} is a set operation.",
        "Use UNION ALL in a subquery in FROM or WITH, and aggregate outside it.",
    ),
)
WINDOW = declare(
    "sql_window",
    zh=(
        "此处不支持窗口函数",
        "{fragment} 是窗口函数或 QUALIFY。",
        "窗口请写在 FROM 的子查询中，PARTITION BY 含单元列；框架可写 ROWS BETWEEN n PRECEDING AND m FOLLOWING；对结果的排名请在取回后计算。",
    ),
    en=(
        "Window functions are not supported here",
        "{fragment} is a window function or QUALIFY.",
        "Write windows in a subquery in FROM, with the unit column in PARTITION BY; frames may be ROWS BETWEEN n PRECEDING AND m "
        "FOLLOWING. Rank results after fetching them.",
    ),
)
DISTINCT_ROWS = declare(
    "sql_select_distinct",
    zh=("不支持 SELECT DISTINCT", "{fragment} 会列出不同的行。", "请把这些列写进 GROUP BY，并加上 COUNT(*) 一类的汇总。"),
    en=(
        "SELECT DISTINCT is not supported",
        "{fragment} would list distinct rows.",
        "Put the columns into GROUP BY and add an aggregate such as COUNT(*).",
    ),
)
GROUPING_SETS = declare(
    "sql_grouping_sets",
    zh=("分组集太多", "{fragment} 展开后超过 {limit} 个分组集。", "请减少 ROLLUP、CUBE 或 GROUPING SETS 中的分组，或分成几个作业。"),
    en=(
        "Too many grouping sets",
        "{fragment} expands to more than {limit} grouping sets.",
        "Use fewer groups in ROLLUP, CUBE or GROUPING SETS, or split them over several jobs.",
    ),
)
SAMPLE = declare(
    "sql_sample",
    zh=("不支持抽样", "{fragment} 用到抽样子句。", "请去掉抽样；计算在全部数据上进行。"),
    en=("Sampling is not supported", "{fragment} uses a sampling clause.", "Remove the sampling clause; the job runs on all rows."),
)
PARAMETER = declare(
    "sql_parameter",
    zh=("不支持参数占位符", "{fragment} 是参数占位符。", "请把取值直接写在语句中。"),
    en=("Parameter placeholders are not supported", "{fragment} is a parameter placeholder.", "Write the value directly in the query."),
)
TABLE_FUNCTION = declare(
    "sql_table_function",
    zh=("不能读取文件或表函数", "FROM 中的 {fragment} 不是已登记的数据集。", "请在 FROM 与 JOIN 之后只写数据目录中的数据集名称。"),
    en=(
        "Files and table functions cannot be read",
        "{fragment} in FROM is not a registered dataset.",
        "After FROM and JOIN, write only names of datasets in the catalogue.",
    ),
)
COLLATION = declare(
    "sql_collation",
    zh=("不支持排序规则", "{fragment} 指定了排序规则。", "请去掉 COLLATE；需要忽略大小写时用 lower()。"),
    en=("Collations are not supported", "{fragment} sets a collation.", "Remove COLLATE; use lower() to ignore case."),
)
FUNCTION_UNKNOWN = declare(
    "sql_function_unknown",
    zh=("函数不在允许清单中", "{fragment} 用到函数 {function}，它不在允许清单中。", "{instead_zh}"),
    en=("The function is not on the allow-list", "{fragment} uses {function}, which is not on the allow-list.", "{instead_en}"),
)
ARGUMENTS = declare(
    "sql_function_arguments",
    zh=("函数参数不合要求", "{fragment}：{reason_zh}。", "请按 {signature} 的形式书写。"),
    en=("The function's arguments are not valid", "{fragment}: {reason_en}.", "Write it as {signature}."),
)
TYPES = declare(
    "sql_type_mismatch",
    zh=("类型不一致", "{fragment}：{reason_zh}。", "请用 CAST 转换为同一类型，或改用同类型的列与取值。"),
    en=("Types do not match", "{fragment}: {reason_en}.", "Use CAST to convert to one type, or use columns and values of the same type."),
)
LITERAL = declare(
    "sql_literal",
    zh=("取值无法识别", "{fragment} 不是有效的{kind_zh}。", "请写成{example}这样的形式。"),
    en=("Not a valid value", "{fragment} is not a valid {kind_en}.", "Write it like {example}."),
)
UNKNOWN_TABLE = declare(
    "sql_unknown_table",
    zh=("没有这个数据集", "数据目录中没有名为 {fragment} 的数据集。", "请用 yunei dataset list 查看可用的数据集名称。"),
    en=("No such dataset", "The catalogue has no dataset named {fragment}.", "Run yunei dataset list to see the names of datasets."),
)
UNKNOWN_COLUMN = declare(
    "sql_unknown_column",
    zh=("没有这一列", "查询到的数据集中没有列 {fragment}。", "请改用这些列：{columns}。"),
    en=("No such column", "The datasets of this query have no column {fragment}.", "Use one of these columns: {columns}."),
)
AMBIGUOUS_COLUMN = declare(
    "sql_ambiguous_column",
    zh=("列名有歧义", "列 {fragment} 在多个数据集中都有。", "请写明数据集，例如 {example}。"),
    en=("Ambiguous column", "More than one dataset has a column {fragment}.", "Name the dataset, e.g. {example}."),
)
DUPLICATE_ALIAS = declare(
    "sql_duplicate_alias",
    zh=("表名重复", "名称 {fragment} 在 FROM 中出现两次。", "请用 AS 给其中一个另起名称。"),
    en=("Duplicate table name", "The name {fragment} occurs twice in FROM.", "Give one of them another name with AS."),
)
DUPLICATE_COLUMN = declare(
    "sql_duplicate_column",
    zh=("结果列重名", "结果中有两列都叫 {label}（误差列以 __half_width 结尾）。", "请用 AS 给其中一列另起名称。"),
    en=(
        "Two result columns have the same name",
        "Two columns of the result would be called {label} (error columns end in __half_width).",
        "Rename one with AS.",
    ),
)
NOT_GROUPED = declare(
    "sql_not_grouped",
    zh=("列未分组也未汇总", "{fragment} 既不在 GROUP BY 中，也不在汇总函数内。", "请把它写进 GROUP BY，或放进 COUNT、SUM、AVG 中。"),
    en=(
        "Neither grouped nor aggregated",
        "{fragment} is not in GROUP BY nor inside an aggregate.",
        "Add it to GROUP BY, or put it inside COUNT, SUM or AVG.",
    ),
)
MISPLACED_AGGREGATE = declare(
    "sql_misplaced_aggregate",
    zh=("汇总函数位置不对", "{fragment} 不能出现在{place_zh}。", "请把对行的筛选写在 WHERE，对汇总结果的筛选写在 HAVING；汇总函数不能嵌套。"),
    en=(
        "An aggregate in the wrong place",
        "{fragment} is not allowed in {place_en}.",
        "Filter rows in WHERE and aggregated results in HAVING; do not nest aggregates.",
    ),
)
ORDINAL = declare(
    "sql_ordinal",
    zh=("序号超出范围", "{fragment} 不是结果列的序号，结果共有 {count} 列。", "请写 1 到 {count} 之间的序号，或写列名。"),
    en=(
        "No such position",
        "{fragment} is not the position of a result column; there are {count} columns.",
        "Write a position from 1 to {count}, or the column's name.",
    ),
)
JOIN_CONDITION = declare(
    "sql_join_condition",
    zh=("连接缺少等值条件", "{fragment} 没有两表列相等的连接条件。", "请写成 JOIN … ON a.列 = b.列，或 JOIN … USING (列)。"),
    en=(
        "A join without an equality",
        "{fragment} has no join condition that equates columns of the two tables.",
        "Write JOIN … ON a.column = b.column or JOIN … USING (column).",
    ),
)
JOIN_KIND = declare(
    "sql_join_kind",
    zh=("不支持的连接方式", "{fragment} 的连接方式不受支持。", "请用 JOIN 或 LEFT JOIN。"),
    en=("Join kind not supported", "{fragment} is a kind of join that is not supported.", "Use JOIN or LEFT JOIN."),
)

UNSUPPORTED: dict[str, Kind] = {  # sqlglot node, or node and argument, to the refusal that says more than NOT_SUPPORTED
    "Subquery": SUBQUERY,
    "With": SUBQUERY,
    "Any": SUBQUERY,
    "All": SUBQUERY,
    "Union": SET_OPERATION,
    "Distinct.on": DISTINCT_ROWS,
    "Except": SET_OPERATION,
    "Intersect": SET_OPERATION,
    "Window": WINDOW,
    "WindowSpec": WINDOW,
    "Select.windows": WINDOW,
    "Select.sample": SAMPLE,
    "Table.sample": SAMPLE,
    "TableSample": SAMPLE,
    "Placeholder": PARAMETER,
    "Parameter": PARAMETER,
    "Table.this": TABLE_FUNCTION,
    "Table.db": TABLE_FUNCTION,
    "Table.catalog": TABLE_FUNCTION,
    "Lateral": TABLE_FUNCTION,
    "Unnest": TABLE_FUNCTION,
    "Values": TABLE_FUNCTION,
    "ReadCSV": TABLE_FUNCTION,
    "ReadParquet": TABLE_FUNCTION,
    "Collate": COLLATION,
}
OTHERWISE: dict[str, tuple[str, str]] = {  # sqlglot node, or node and argument, to what to write instead
    "Star.except_": ("请逐列写出需要的列。", "Name the columns you need one by one."),
    "Star.replace": ("请逐列写出，并以 AS 命名改动的列。", "Name the columns one by one, the changed one with AS."),
    "Table.when": ("作业总是读取数据集的当前版本；请去掉 AT。", "A job reads the present version of a dataset: leave AT out."),
    "Limit.limit_options": ("LIMIT 须为行数，例如 LIMIT 10。", "LIMIT takes a number of rows: LIMIT 10."),
    "Fetch": ("请写 LIMIT 10。", "Write LIMIT 10."),
    "PositionalColumn": (
        "请写列名；GROUP BY 与 ORDER BY 中可写序号 1、2……",
        "Write the column's name; in GROUP BY and ORDER BY positions are 1, 2 …",
    ),
    "ByteString": ("请写成普通文本常量 '…'。", "Write an ordinary constant '…'."),
    "RawString": ("请写成普通文本常量 '…'，其中的单引号写两次。", "Write an ordinary constant '…', a quote in it doubled."),
    "AtTimeZone": (
        "时间按入库时的 UTC 保存；请加减 INTERVAL，例如 t + INTERVAL 8 HOUR。",
        "Times are stored in UTC: add an interval, t + INTERVAL 8 HOUR.",
    ),
    "Order.this": ("汇总与行的次序无关；请去掉其中的 ORDER BY。", "Aggregates do not depend on the order of rows: leave ORDER BY out of them."),
    "Group.rollup": ("请写 GROUP BY ROLLUP (a, b)。", "Write GROUP BY ROLLUP (a, b)."),
    "Select.into": ("请去掉 INTO；结果随作业返回。", "Leave INTO out: the job returns the answer."),
    "Select.locks": ("请去掉 FOR UPDATE。", "Leave FOR UPDATE out."),
    "RegexpLike.flag": ("选项请写进模式，例如 '(?i)abc'。", "Put options into the pattern: '(?i)abc'."),
    "Glob": ("请用 LIKE 'a%' 或 regexp_full_match(s, 'a.*')。", "Use LIKE 'a%' or regexp_full_match(s, 'a.*')."),
    "Escape": ("请用 contains、starts_with、ends_with，或正则 regexp_matches。", "Use contains, starts_with, ends_with or regexp_matches."),
    "Between.symmetric": ("请写 BETWEEN least(a, b) AND greatest(a, b)。", "Write BETWEEN least(a, b) AND greatest(a, b)."),
    "BitwiseLeftShift": ("请乘以 2 的幂，例如 x * 4。", "Multiply by a power of two: x * 4."),
    "BitwiseRightShift": ("请整除以 2 的幂，例如 x // 4。", "Divide by a power of two: x // 4."),
    "Pivot": ("请写 GROUP BY，或按列写 COUNT(*) FILTER (WHERE …)。", "Write GROUP BY, or a COUNT(*) FILTER (WHERE …) for each column."),
    "Lambda": ("请改用 CASE 或允许清单中的函数。", "Use CASE or functions of the allow-list."),
    "Struct": ("请把各部分写成单独的列。", "Write each part as a column of its own."),
}
