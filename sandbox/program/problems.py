"""Why a package was not taken, located."""

from __future__ import annotations

from policies.problem import declare

PROGRAM_INVALID = declare(
    "program_invalid",
    zh=("程序包未通过检查", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改后重新提交；没有登记任何内容。"),
    en=(
        "The package does not hold",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Mend the places listed and submit it again; nothing was registered.",
    ),
)
