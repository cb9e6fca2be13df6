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
        ("反复提问", "The same question, paid for again and again"),
        (
            "同一单位短期内多次付费提出几乎相同的问题；各次噪声独立，取平均即可抵消。",
            "One operator paid for nearly one question many times: independent noise averages out.",
        ),
        (
            "核对用途，必要时请其改用一次高精度提问，或暂停协议。",
            "Ask what for; one question at a higher price does the same honestly. Suspend the licence if need be.",
        ),
    ),
    "sweep": _words(
        ("逐个扫描小人群", "Small groups, one after another"),
        ("同一单位对大量很小的人群逐一提出同一问题。", "One operator asks one measure of very many small populations."),
        ("核对应用场景是否需要逐一查询。", "Look whether the scenario needs one answer for each."),
    ),
    "differencing": _words(
        ("相减可得小人群", "Pairs whose difference is a few"),
        (
            "同一单位多次就相互包含、只差极少数人的人群提出同一问题。",
            "One operator asks the same of populations that lie within each other with very few between them.",
        ),
        (
            "查看所列作业；噪声仍掩盖每一差值，但意图须说明。",
            "Look at the jobs listed: noise hides each difference, the intent wants an explanation.",
        ),
    ),
    "collusion": _words(
        ("多家围绕同一小人群", "Several operators circle one population"),
        (
            "两家以上单位就同一极小人群、或相差极少的人群分别提问。",
            "Two operators or more ask about one very small population, or populations that differ by few.",
        ),
        ("核对各单位之间的关系；可先应急暂停，再行核查。", "Check how the operators are related; if in doubt, freeze first."),
    ),
    "probing": _words(
        ("连续被拒的作业", "Runs of refused jobs"),
        (
            "同一单位短时间内大量作业被拒，且占其提交的大部分。",
            "Most of what one operator submits within a short time is refused, and it is much.",
        ),
        ("查看拒绝代码，判断是程序差错还是试探边界。", "Read the codes: a broken script, or somebody feeling for the edges."),
    ),
    "failures": _words(
        ("读取数据后屡次失败", "Failures after rows were read"),
        (
            "同一单位多个作业在读取数据后失败；失败与否可能泄露一个比特。",
            "Several jobs failed after reading: whether one fails can be a bit of the data.",
        ),
        ("查看这些作业；必要时暂停协议。", "Look at these jobs; suspend the licence if they were made to fail."),
    ),
    "refusals": _words(
        ("访问屡遭拒绝", "Bursts of refusals at the door"),
        ("同一来源或主体短时间内大量访问被拒。", "One caller is refused very often within a short time."),
        ("核对密钥是否到期或泄露，必要时吊销。", "See whether a key expired or leaked; revoke it if so."),
    ),
    "hours": _words(
        ("异常时段", "Unusual hours"),
        ("同一单位在其从未工作过的时段多次提问。", "An operator works at hours at which it never did."),
        ("向该单位核实；密钥可能被他人使用。", "Ask the operator: somebody else may have its key."),
    ),
    "volume": _words(
        ("交付量异常", "Unusual volume of deliveries"),
        ("数商一日取用量远超其以往。", "A builder fetches far more in a day than it ever did."),
        ("向数商核实用途。", "Ask the builder what for."),
    ),
    "forecast": _words(
        ("预算即将用尽", "A budget will soon be used up"),
        ("按近四周速度，账户将在近期用尽。", "At the rate of the last four weeks the account is used up before long."),
        ("与运营单位商定优先次序，或由两人提高上限。", "Agree what comes first, or raise the cap as two people."),
    ),
    "exhaustion": _words(
        ("预算几近用尽", "A budget is nearly used up"),
        ("账户已用至上限附近。", "The account is close to its cap."),
        ("同上；余额只够少数提问。", "As for the forecast: what is left answers few questions."),
    ),
    "burn": _words(
        ("单日消耗过快", "A day that burns"),
        ("账户一日消耗远超平日。", "An account lost far more in one day than it usually does."),
        ("查看当日作业；可设置支出进度上限。", "Look at the day's jobs; a pace bounds what a day may take."),
    ),
    "cosigned": _words(
        ("日志未获联署", "The log is not cosigned"),
        ("见证方久未联署新的条目。", "Witnesses have not cosigned new entries for long."),
        ("联系见证方；恢复之前不要采信新的回执。", "Call the witness; trust no new receipt before it answers."),
    ),
    "audited": _words(
        ("审计未通过", "The audit found something"),
        ("服务器定期审计发现日志、签名或数据库不符。", "The server's own audit found that log, signatures or database do not agree."),
        ("立即运行 yunei-server audit 查看全文，并保全现场。", "Run yunei-server audit now for the whole of it, and keep everything as it is."),
    ),
    "overdue": _words(
        ("审核逾期", "A review is overdue"),
        ("结果审核超过规定时限仍未办结。", "A review is past its time and not decided."),
        ("督促值班审核员，或增派人员。", "See who is on duty, or put more people on it."),
    ),
    "frozen": _words(
        ("应急暂停过久", "A freeze has been in force for long"),
        ("应急暂停长期未解除。", "A freeze for an emergency has not been lifted."),
        ("解除，或改为暂停协议。", "Thaw it, or suspend the licence instead."),
    ),
    "degraded": _words(
        ("隔离单元降级", "Cells are degraded"),
        ("隔离自检发现有防护未生效且未被接受。", "The cells' own probe found safeguards that do not hold and that nobody accepted."),
        ("请管理员修复；其间程序作业不读取数据。", "Have the administrator mend it; until then no program is given rows."),
    ),
}

FACTS: Mapping[str, tuple[str, str]] = {
    "questions": ("问题数", "questions"),
    "window_h": ("时间窗（小时）", "window, hours"),
    "percent": ("视为相同的差别（%）", "taken for the same up to, %"),
    "populations": ("人群数", "populations"),
    "rows": ("预期行数不超过", "expected rows at most"),
    "pairs": ("人群对数", "pairs"),
    "operators": ("单位数", "operators"),
    "refused": ("被拒作业", "jobs refused"),
    "admitted": ("受理作业", "jobs admitted"),
    "failed": ("失败作业", "jobs failed"),
    "attempts": ("被拒次数", "attempts refused"),
    "caller": ("来源（摘要）", "caller, keyed"),
    "day": ("日期", "day"),
    "from_hour": ("最早时刻（时）", "earliest hour"),
    "deliveries": ("交付次数", "deliveries"),
    "usual": ("以往单日最多", "most on a day before"),
    "megabytes": ("交付量（MB）", "MB delivered"),
    "usual_megabytes": ("以往单日最多（MB）", "most MB on a day before"),
    "used_percent": ("已用（%）", "used, %"),
    "ends": ("预计用尽日", "used up on"),
    "days": ("天数", "days"),
    "today_percent": ("当日消耗（占上限 %）", "today, % of the cap"),
    "usual_permille": ("平日消耗（占上限 ‰）", "usual day, ‰ of the cap"),
    "entries": ("日志条目", "entries"),
    "cosigned": ("已联署至", "cosigned to"),
    "lag_h": ("滞后（小时）", "hours behind"),
    "witnesses": ("见证方", "witnesses"),
    "findings": ("发现数", "findings"),
    "first": ("其一", "the first"),
    "due": ("应于此前办结", "due"),
    "since": ("起于", "since"),
    "missing": ("未生效防护", "safeguards missing"),
}
