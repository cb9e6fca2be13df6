"""What an audit can find, in words for the person who has to act on it."""

from __future__ import annotations

from policies.problem import declare

_KEEP_ZH = "请保留现场，不要重启或修复；用另行保存的检查点和备份比对，查明何时、由谁改动。"
_KEEP_EN = (
    "Leave everything as it is: do not restart or repair. Compare with checkpoints and backups kept elsewhere to find out when it changed, "
    "and who changed it."
)

CHECKPOINT = declare(
    "log_checkpoint_invalid",
    zh=("检查点无效", "{which} 无法用所信任的公钥验证（{reason}）。", "请核对公钥来源；若公钥无误，" + _KEEP_ZH),
    en=(
        "The checkpoint is not valid",
        "{which} does not verify under the trusted keys ({reason}).",
        "Check where the public key came from; if it is right: " + _KEEP_EN,
    ),
)
TRUNCATED = declare(
    "log_truncated",
    zh=("日志被截短", "曾见过 {remembered} 条的检查点，现在只有 {size} 条。", _KEEP_ZH),
    en=("The log was truncated", "A checkpoint of {remembered} entries was seen earlier; now there are only {size}.", _KEEP_EN),
)
FORKED = declare(
    "log_forked",
    zh=("日志出现两个版本", "前 {size} 条与曾见过的检查点不符。", _KEEP_ZH),
    en=("There are two versions of this log", "The first {size} entries do not match a checkpoint seen earlier.", _KEEP_EN),
)
ENTRY = declare(
    "log_entry_changed",
    zh=("日志条目被改动", "第 {index} 条与已签名的日志不符，或已缺失。", _KEEP_ZH),
    en=("An entry was changed", "Entry {index} is not the one that was signed, or is missing.", _KEEP_EN),
)
TILE = declare(
    "log_tile_changed",
    zh=("哈希文件被改动", "哈希文件 {path} 与条目不符；条目本身与签名一致。", "该文件可由条目重新生成；请先查明改动原因。"),
    en=(
        "A hash tile was changed",
        "Hash tile {path} does not match the entries; the entries themselves match the signature.",
        "The file can be regenerated from the entries; first find out why it was changed.",
    ),
)
ROOT = declare(
    "log_root_differs",
    zh=("日志与签名不符", "全部 {size} 条算出的根哈希与已签名检查点不同；改动在第 {first} 至 {last} 条之间。", _KEEP_ZH),
    en=(
        "The log does not match its signature",
        "The root of all {size} entries is not that of the signed checkpoint; the change lies in entries {first} to {last}.",
        _KEEP_EN,
    ),
)
IMPOSSIBLE = declare(
    "log_entry_impossible",
    zh=("日志条目不可能成立", "第 {index} 条与此前的记录矛盾（{reason}）。", "签名无误而内容矛盾，说明写入日志的程序有误或被替换：" + _KEEP_ZH),
    en=(
        "An entry cannot be true",
        "Entry {index} contradicts what came before it ({reason}).",
        "Signed yet contradictory: the program that wrote the log is faulty or was replaced. " + _KEEP_EN,
    ),
)
TIME = declare(
    "log_time_backwards",
    zh=("日志时间倒退", "第 {index} 条早于前一条。", _KEEP_ZH),
    en=("The log's time runs backwards", "Entry {index} is earlier than the one before.", _KEEP_EN),
)
DOCUMENT = declare(
    "log_document_changed",
    zh=("日志附件缺失或被改动", "第 {index} 条引用的附件 {digest} 缺失，或内容与摘要不符。", _KEEP_ZH + "查明之后，再从备份恢复该附件。"),
    en=(
        "A document is missing or changed",
        "Document {digest}, named by entry {index}, is missing or has another digest.",
        _KEEP_EN + " Then restore the document from a backup.",
    ),
)
SUM = declare(
    "log_account_sum",
    zh=("账户与明细不符", "账户 {account} 的 {column} 不等于其各笔扣减之和。", _KEEP_ZH),
    en=("An account is not the sum of its charges", "{column} of account {account} is not the sum of its charges.", _KEEP_EN),
)
FEE = declare(
    "log_fee_wrong",
    zh=("费用与价目不符", "第 {index} 条（{what}）的费用、分配或结算不是协议价目所定。", _KEEP_ZH),
    en=(
        "A fee does not follow the tariff",
        "Entry {index} ({what}): the fee, its shares or the settlement do not follow the licence's tariff.",
        _KEEP_EN,
    ),
)
FEE_MISSING = declare(
    "log_fee_missing",
    zh=("没有计费", "第 {index} 条（{what}）应当计费而没有。", _KEEP_ZH),
    en=("A fee is missing", "Entry {index} ({what}) should have been charged for, and was not.", _KEEP_EN),
)
DATABASE_SHORT = declare(
    "log_database_short",
    zh=("数据库落后于日志", "已公布 {published} 条，数据库只有 {size} 条。", "数据库可能由旧备份恢复；请恢复更新的备份，切勿继续写入。"),
    en=(
        "The database is behind the log",
        "{published} entries were published; the database has {size}.",
        "The database may come from an old backup: restore a newer one, and write nothing until then.",
    ),
)
TABLE = declare(
    "log_table_differs",
    zh=("数据库与日志不符", "表 {table} 第 {row} 行的 {column} 与日志推算的不同。", _KEEP_ZH + "以日志为准，查明之后可由日志重建该表。"),
    en=(
        "The database disagrees with the log",
        "Table {table}, row {row}, {column}: not what follows from the log.",
        _KEEP_EN + " The log is right: once the cause is known, rebuild the table from the log.",
    ),
)
