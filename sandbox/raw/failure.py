"""What is said when something goes wrong behind the wall.

`JOB_FAILED` is constant: once a row has been read, every failure is this one, with no field, no cause and no text of a library in it,
for whether and how something failed may depend on the data. `SNAPSHOT_REFUSED` is raised before any row is read.
"""

from __future__ import annotations

from policies.problem import declare

JOB_FAILED = declare(
    "job_failed",
    zh=("作业执行失败", "作业在读取数据之后未能完成。", "已预留的隐私预算不退还；请缩小查询后再提交，或联系数据主管部门。"),
    en=(
        "The job failed",
        "The job could not finish after it had begun to read data.",
        "The reserved privacy budget is not given back. Submit a smaller query, or contact the bureau.",
    ),
)

SNAPSHOT_REFUSED = declare(
    "data_snapshot_refused",
    zh=(
        "数据版本无法打开",
        "数据集 {dataset} 的第 {version} 版未通过校验（{reason}），没有读取任何数据。",
        "请联系数据主管部门重新入库或恢复该版本。",
    ),
    en=(
        "A dataset version cannot be opened",
        "Version {version} of dataset {dataset} did not pass its checks ({reason}); no row was read.",
        "Ask the bureau to ingest the version again or to restore it.",
    ),
)

KEYS_UNAVAILABLE = declare(
    "data_keys_unavailable",
    zh=(
        "密钥保管方没有应答",
        "保管主密钥的设备或服务没有应答，或拒绝访问，因此没有读取任何数据。",
        "请稍后重试；数据主管部门请查看 yunei vault keys。",
    ),
    en=(
        "The holder of the keys does not answer",
        "The device or service that holds the master key does not answer or refuses, so no row was read.",
        "Try again later. The bureau should check with yunei vault keys.",
    ),
)

DATA_DESTROYED = declare(
    "data_destroyed",
    zh=("数据已销毁", "数据集 {dataset} 第 {version} 版的密钥已经销毁，数据无法再读取。", "请改用其他版本或数据集；销毁记录在日志中。"),
    en=(
        "The data was destroyed",
        "The keys of version {version} of dataset {dataset} were destroyed; nobody can read it any more.",
        "Use another version or dataset. The destruction is recorded in the log.",
    ),
)
