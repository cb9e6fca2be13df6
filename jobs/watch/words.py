"""What people read of a kind of rule, and of the numbers it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies.catalogue import Title


@dataclass(frozen=True, slots=True)
class RuleWords:
    """`title`; `sees`: what the rule looks for; `then`: what a supervisor may do about it."""

    title: Title
    sees: Title
    then: Title


def _words(title: tuple[str, str], sees: tuple[str, str], then: tuple[str, str]) -> RuleWords:
    return RuleWords(*(Title(zh=zh, en=en) for zh, en in (title, sees, then)))


KINDS: Mapping[str, RuleWords] = {
    "averaging": _words(
        ("反复提问", "Repeated questions"),
        (
            "同一单位短期内多次付费提出几乎相同的问题；各次噪声独立，取平均即可抵消。",
            "One operator paid for nearly the same question many times within a short period; the noise is independent, so an average "
            "would cancel it.",
        ),
        (
            "核对用途，必要时请其改用一次高精度提问，或暂停协议。",
            "Check the purpose; if necessary, ask the operator to submit one question of higher accuracy instead, or suspend the licence.",
        ),
    ),
    "sweep": _words(
        ("逐个扫描小人群", "Scan of small populations"),
        ("同一单位对大量很小的人群逐一提出同一问题。", "One operator asks the same question about each of very many very small populations."),
        ("核对应用场景是否需要逐一查询。", "Check whether the scenario requires asking about each of them."),
    ),
    "differencing": _words(
        ("相减可得小人群", "Differences of a few people"),
        (
            "同一单位多次就相互包含、只差极少数人的人群提出同一问题。",
            "One operator repeatedly asks the same question about pairs of populations, one within the other, that differ by very few people.",
        ),
        (
            "查看所列作业；噪声仍掩盖每一差值，但意图须说明。",
            "Check the jobs listed: noise still hides each difference, but the intent needs an explanation.",
        ),
    ),
    "collusion": _words(
        ("多家围绕同一小人群", "Several operators on one small population"),
        (
            "两家以上单位就同一极小人群、或相差极少的人群分别提问。",
            "Two or more operators ask about the same very small population, or about populations that differ by very few people.",
        ),
        ("核对各单位之间的关系；可先应急暂停，再行核查。", "Check how the operators are related; if in doubt, freeze first."),
    ),
    "probing": _words(
        ("连续被拒的作业", "Runs of refused jobs"),
        (
            "同一单位短时间内大量作业被拒，且占其提交的大部分。",
            "Many of one operator’s jobs are refused within a short time, and they are most of what it submitted.",
        ),
        ("查看拒绝代码，判断是程序差错还是试探边界。", "Check the refusal codes to tell a program error from probing of the limits."),
    ),
    "failures": _words(
        ("读取数据后屡次失败", "Failures after rows were read"),
        (
            "同一单位多个作业在读取数据后失败；失败与否可能泄露一个比特。",
            "Several jobs of one operator failed after reading data; whether a job fails may leak one bit.",
        ),
        ("查看这些作业；必要时暂停协议。", "Check these jobs; suspend the licence if necessary."),
    ),
    "refusals": _words(
        ("访问屡遭拒绝", "Repeated refusals of access"),
        ("同一来源或主体短时间内大量访问被拒。", "One source or principal was refused access very often within a short time."),
        ("核对密钥是否到期或泄露，必要时撤销。", "Check whether a key has expired or leaked; revoke it if necessary."),
    ),
    "hours": _words(
        ("异常时段", "Unusual hours"),
        ("同一单位在其从未工作过的时段多次提问。", "An operator asked several questions at hours at which it has never worked before."),
        ("向该单位核实；密钥可能被他人使用。", "Verify with the operator; someone else may be using its key."),
    ),
    "volume": _words(
        ("交付量异常", "Unusual volume of deliveries"),
        ("数商一日取用量远超其以往。", "A builder fetched far more in one day than ever before."),
        ("向数商核实用途。", "Ask the builder about the purpose."),
    ),
    "forecast": _words(
        ("预算即将用尽", "A budget will soon be used up"),
        ("按近四周速度，账户将在近期用尽。", "At the rate of the last four weeks, the account will be used up soon."),
        ("与运营单位商定优先次序，或由两人提高上限。", "Agree on priorities with the operator, or raise the cap (two people)."),
    ),
    "exhaustion": _words(
        ("预算几近用尽", "A budget is nearly used up"),
        ("账户已用至上限附近。", "The account is close to its cap."),
        (
            "与运营单位商定优先次序，或由两人提高上限；余额只够少数提问。",
            "Agree on priorities with the operator, or raise the cap (two people); the balance is enough for only a few questions.",
        ),
    ),
    "burn": _words(
        ("单日消耗过快", "High use in one day"),
        ("账户一日消耗远超平日。", "An account spent far more in one day than it usually does."),
        ("查看当日作业；可设置支出进度上限。", "Check the day’s jobs; a daily limit on spending can be set."),
    ),
    "cosigned": _words(
        ("日志未获联署", "The log is not cosigned"),
        ("见证方久未联署新的条目。", "Witnesses have not cosigned new entries for a long time."),
        ("联系见证方；恢复之前请勿采信新的回执。", "Contact the witnesses; do not trust new receipts until cosigning resumes."),
    ),
    "audited": _words(
        ("审计未通过", "The audit did not pass"),
        (
            "服务器定期审计发现日志、签名或数据库不符。",
            "The server’s regular audit found that the log, its signatures or the database do not agree.",
        ),
        ("立即运行 yunei audit 查看全文，并保全现场。", "Run yunei audit at once for the full findings, and preserve everything as it is."),
    ),
    "overdue": _words(
        ("审核逾期", "A review is overdue"),
        ("结果审核超过规定时限仍未办结。", "A review has passed its time limit and is not decided."),
        ("督促值班审核员，或增派人员。", "Remind the reviewers on duty, or assign more people."),
    ),
    "frozen": _words(
        ("应急暂停过久", "A freeze has been in force for long"),
        ("应急暂停长期未解除。", "An emergency freeze has not been lifted for a long time."),
        ("解除，或改为暂停协议。", "Lift the freeze, or suspend the licence instead."),
    ),
    "degraded": _words(
        ("隔离单元降级", "Isolation cells are degraded"),
        ("隔离自检发现有防护未生效且未被接受。", "The cells’ self-test found safeguards that are not effective and have not been accepted."),
        (
            "请系统管理员修复；修复之前，程序作业不读取数据。",
            "Ask the system administrator to repair it; until then, program jobs read no data.",
        ),
    ),
}

FACTS: Mapping[str, tuple[str, str]] = {
    "questions": ("问题数", "questions"),
    "window_h": ("时间窗（小时）", "window, hours"),
    "percent": ("视为相同的差别（%）", "difference treated as the same, %"),
    "populations": ("人群数", "populations"),
    "rows": ("预期行数不超过", "expected rows, at most"),
    "pairs": ("人群对数", "pairs"),
    "operators": ("单位数", "operators"),
    "refused": ("被拒作业", "jobs refused"),
    "admitted": ("受理作业", "jobs admitted"),
    "failed": ("失败作业", "jobs failed"),
    "attempts": ("被拒次数", "attempts refused"),
    "caller": ("来源（摘要）", "source (digest)"),
    "day": ("日期", "day"),
    "from_hour": ("最早时刻（时）", "earliest hour"),
    "deliveries": ("交付次数", "deliveries"),
    "usual": ("以往单日最多", "most in one day before"),
    "megabytes": ("交付量（MB）", "MB delivered"),
    "usual_megabytes": ("以往单日最多（MB）", "most MB in one day before"),
    "used_percent": ("已用（%）", "used, %"),
    "ends": ("预计用尽日", "expected to be used up on"),
    "days": ("天数", "days"),
    "today_percent": ("当日消耗（占上限 %）", "today, % of the cap"),
    "usual_permille": ("平日消耗（占上限 ‰）", "usual day, ‰ of the cap"),
    "entries": ("日志条目", "entries"),
    "cosigned": ("已联署至", "cosigned to"),
    "lag_h": ("滞后（小时）", "hours behind"),
    "witnesses": ("见证方", "witnesses"),
    "findings": ("发现数", "findings"),
    "first": ("第一项", "the first"),
    "due": ("应于此前办结", "due"),
    "since": ("起于", "since"),
    "missing": ("未生效防护", "safeguards not effective"),
}
