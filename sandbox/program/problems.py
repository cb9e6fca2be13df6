"""Why a package, or a run of one, was not taken, located."""

from __future__ import annotations

from policies.problem import declare

PROGRAM_INVALID = declare(
    "program_invalid",
    zh=("程序包未通过检查", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改后重新提交；没有登记任何内容。"),
    en=(
        "The package did not pass its checks",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed and submit it again. Nothing was registered.",
    ),
)
REQUEST_INVALID = declare(
    "program_request_invalid",
    zh=("运行请求与程序的声明不符", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改；没有读取任何数据，也没有支出。"),
    en=(
        "The request does not match the program's declaration",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed. No data was read and nothing was spent.",
    ),
)
TABLES_REFUSED = declare(
    "program_tables_refused",
    zh=(
        "程序不能读取这些表",
        "共 {count} 处；第一处在 {path}：{reason_zh}。",
        "请改正所列各处：一次运行只能读取同一隐私单元空间的受保护数据集，以及目录中已登记的列。",
    ),
    en=(
        "The program cannot read these tables",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed: one run can only read protected datasets of one unit space, and columns registered in the catalogue.",
    ),
)
CELLS_MISSING = declare(
    "program_cells_unavailable",
    zh=("现在不能运行程序", "隔离单元不可用：{feature}。没有读取任何数据，也没有支出。", "请联系系统管理员；隔离自检通过后再提交。"),
    en=(
        "Programs cannot be run now",
        "Isolation cells are not available: {feature}. No data was read and nothing was spent.",
        "Contact the platform's administrator; submit the job again once the cells' self-test passes.",
    ),
)
