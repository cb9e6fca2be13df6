"""What a steward is told when rows break the declaration: column, rule, how many, and where the first one is. Never a value.

All rows are checked before the refusal, so one run lists everything there is to mend.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.problem import Kind, Problem, declare

REFUSED = declare(
    "data_refused",
    zh=("数据未入库", "数据集 {dataset} 有 {faults} 处不符合目录声明；没有写入任何内容。", "请逐条处理所列问题后重新入库。"),
    en=(
        "The data was not ingested",
        "Dataset {dataset} does not match its declaration in {faults} ways; nothing was written.",
        "Resolve each problem listed, then ingest again.",
    ),
)

RULES: dict[str, Kind] = {
    "type": declare(
        "data_type",
        zh=(
            "值无法按声明类型读取",
            "列 {column}：{count} 个值不是 {expected}；首处在 {file} 第 {row} 行。",
            "请修正这些值，或修改该列的类型声明。",
        ),
        en=(
            "Values are not of the declared type",
            "Column {column}: {count} values are not of type {expected}; the first is in {file}, row {row}.",
            "Correct the values, or change the declared type.",
        ),
    ),
    "null": declare(
        "data_null",
        zh=("不允许为空的列中有空值", "列 {column}：{count} 个空值；首处在 {file} 第 {row} 行。", "请补全这些值，或声明 nullable = true。"),
        en=(
            "Nulls in a column that may not be null",
            "Column {column}: {count} nulls; the first is in {file}, row {row}.",
            "Fill them in, or declare nullable = true.",
        ),
    ),
    "unit": declare(
        "data_unit_null",
        zh=(
            "有记录不属于任何隐私单元",
            "单元列 {column}：{count} 行为空；首处在 {file} 第 {row} 行。",
            "请补全单元标识；如可舍弃这些行，请声明 on_null = drop，系统会计数。",
        ),
        en=(
            "Rows that belong to no unit",
            "Unit column {column}: {count} rows have none; the first is in {file}, row {row}.",
            "Fill it in; if such rows may be left out, declare on_null = drop, and they are counted.",
        ),
    ),
    "reference": declare(
        "data_unit_missing",
        zh=(
            "有记录引用的对象不存在",
            "列 {column}：{count} 行在 {expected} 中没有对应记录，无从认定隐私单元；首处在 {file} 第 {row} 行。",
            "请补全被引用的数据集；如可舍弃这些行，请声明 on_missing = drop，系统会计数。",
        ),
        en=(
            "Rows that refer to nothing",
            "Column {column}: {count} rows have no counterpart in {expected}, so their unit cannot be determined; the first is in "
            "{file}, row {row}.",
            "Complete the dataset referred to; if such rows may be left out, declare on_missing = drop, and they are counted.",
        ),
    ),
    "unique": declare(
        "data_not_unique",
        zh=("声明为唯一的列有重复值", "列 {column}：{count} 行的值重复出现。", "请去除重复，或取消 unique 声明。"),
        en=(
            "A column declared unique has repeated values",
            "Column {column}: {count} rows repeat a value.",
            "Remove the duplicates, or remove unique from the declaration.",
        ),
    ),
    "crowded": declare(
        "data_rows_per_unit",
        zh=(
            "有单元的行数超过声明",
            "{count} 个单元的行数超过声明的 {expected} 行。",
            "请核对数据，提高 rows_per_unit，或声明 over_rows = cut 以截去多余的行并计数。",
        ),
        en=(
            "Units with more rows than declared",
            "{count} units have more than the declared {expected} rows.",
            "Check the data, raise rows_per_unit, or declare over_rows = cut to have further rows cut and counted.",
        ),
    ),
    "range": declare(
        "data_range",
        zh=(
            "值超出声明范围",
            "列 {column}：{count} 个值不在 {expected} 内；首处在 {file} 第 {row} 行。",
            "请核对范围，或声明 out_of_range = clamp 以截断并计数。",
        ),
        en=(
            "Values outside the declared range",
            "Column {column}: {count} values are outside {expected}; the first is in {file}, row {row}.",
            "Check the range, or declare out_of_range = clamp to have them clamped and counted.",
        ),
    ),
    "finite": declare(
        "data_not_finite",
        zh=("无穷大的数值", "列 {column}：{count} 个值为无穷；首处在 {file} 第 {row} 行。", "请修正，或声明范围并设 out_of_range = clamp。"),
        en=(
            "Infinite numbers",
            "Column {column}: {count} values are infinite; the first is in {file}, row {row}.",
            "Correct the values, or declare a range with out_of_range = clamp.",
        ),
    ),
    "length": declare(
        "data_length",
        zh=(
            "文本过长",
            "列 {column}：{count} 个值超过 {expected} 个字符；首处在 {file} 第 {row} 行。",
            "请提高 max_length，或声明 out_of_range = clamp 以截短并计数。",
        ),
        en=(
            "Text too long",
            "Column {column}: {count} values have more than {expected} characters; the first is in {file}, row {row}.",
            "Raise max_length, or declare out_of_range = clamp to have them cut and counted.",
        ),
    ),
    "domain": declare(
        "data_domain",
        zh=(
            "值不在公开键之列",
            "列 {column}：{count} 个值不在声明的 {expected} 个键中；首处在 {file} 第 {row} 行。",
            "请补充键，或（列可为空时）声明 out_of_range = clamp 将其置空并计数。",
        ),
        en=(
            "Values that are not among the declared keys",
            "Column {column}: {count} values are not among the {expected} declared keys; the first is in {file}, row {row}.",
            "Add the keys, or, for a nullable column, declare out_of_range = clamp to have them made null and counted.",
        ),
    ),
    "fields": declare(
        "data_fields",
        zh=("CSV 行的字段数不对", "{count} 行的字段数与表头不同；首处在 {file} 第 {row} 行。", "请检查分隔符和引号。"),
        en=(
            "CSV lines with the wrong number of fields",
            "{count} lines do not have as many fields as the header; the first is in {file}, row {row}.",
            "Check separators and quotes.",
        ),
    ),
}


@dataclass(slots=True)
class _Fault:
    file: str
    row: int
    expected: str
    count: int = 0


@dataclass(slots=True)
class Faults:
    """Collects broken rules, first place and count of each, in the order met."""

    _found: dict[tuple[str, str], _Fault] = field(default_factory=dict)

    def add(self, column: str, rule: str, count: int, file: str, row: int, expected: str = "") -> None:
        """`count` more cells of `column` break `rule`; `row` is the first of them, counting data rows of `file` from 1."""
        self._found.setdefault((column, rule), _Fault(file, row, expected)).count += count

    def merge(self, later: Faults) -> None:
        """What was found after this, in rows that come later."""
        for (column, rule), fault in later._found.items():
            self.add(column, rule, fault.count, fault.file, fault.row, fault.expected)

    def __bool__(self) -> bool:
        return bool(self._found)

    def problem(self, dataset: str) -> Problem:
        parts = tuple(
            RULES[rule](column=column, count=fault.count, file=fault.file, row=fault.row, expected=fault.expected)
            for (column, rule), fault in self._found.items()
        )
        return REFUSED(dataset=dataset, faults=len(parts)).with_parts(parts)
