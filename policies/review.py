"""What two reviewers' votes come to, and in which words they may say why.

Result review (结果审核) is the last of the three reviews; its rules are a table and a function of the votes, so that an auditor computes the
same outcome from the log. A reviewer tells the author *why* by codes from a closed list alone: words of their own could carry a number out,
so those stay with the bureau.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal, get_args

from policies.catalogue import Title

Verdict = Literal["release", "return", "reject"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Outcome = Literal["release", "return", "reject", "referred"]
Reason = Literal[
    "small_counts",
    "dominance",
    "class_disclosure",
    "differencing",
    "not_rounded",
    "context_missing",
    "counts_missing",
    "wrong_type",
    "outside_scenario",
    "not_needed",
    "query_unclear",
    "other",
]
VOTES_NEEDED = 2
CHINA = timezone(timedelta(hours=8))  # duty is by days of the bureau's calendar


@dataclass(frozen=True, slots=True)
class Why:
    """A reason as its author is told it, with what to do; no fields, so that nothing of a table can be in it."""

    title: Title
    remedy: Title


def _why(zh: str, en: str, do_zh: str, do_en: str) -> Why:
    return Why(Title(zh=zh, en=en), Title(zh=do_zh, en=do_en))


# Source of most: the reasons for which OpenSAFELY's output checkers send requests back, as its guide counts them.
REASONS: Mapping[Reason, Why] = {
    "small_counts": _why("单元格人数过少", "counts too low", "合并分组，或改用噪声发布", "merge groups, or release with noise"),
    "dominance": _why("少数单元占比过高", "few units make up most of a cell", "合并分组，或去掉该合计", "merge groups, or drop that sum"),
    "class_disclosure": _why("整组同属一类", "a whole group is in one class", "合并类别", "merge classes"),
    "differencing": _why(
        "与以往发布相减可得小群体", "subtracting earlier releases leaves a few", "改用与以往相同的口径", "use the populations released before"
    ),
    "not_rounded": _why("未按要求取整", "not rounded as asked", "选择取整方式后重新提请", "choose a rounding and ask again"),
    "context_missing": _why("缺少说明", "context is missing", "补充用途、口径和列的说明", "say purpose, population and columns"),
    "counts_missing": _why("缺少对应的人数", "underlying counts are missing", "加上人数列", "add the column of counts"),
    "wrong_type": _why("不是可审核的汇总表", "not a table that can be reviewed", "改为计数、合计或平均", "ask for counts, sums or means"),
    "outside_scenario": _why("超出应用场景", "outside the scenario", "核对协议的应用场景", "compare it with the licence's scenarios"),
    "not_needed": _why("范围大于用途所需", "more than the purpose needs", "减少分组或列", "ask for fewer groups or columns"),
    "query_unclear": _why("查询口径不清", "the query is unclear", "改写查询或补充说明", "rewrite it, or say more"),
    "other": _why("其他", "other", "请联系主管部门", "ask the bureau"),
}  # fmt: skip


def outcome(votes: Sequence[Verdict]) -> Outcome | None:
    """What the votes so far come to, in the order cast; None while the first two are not both in.

    Two who agree decide. Two who differ are followed by a third, whose vote makes a majority or does not: without one the request goes back.

    >>> outcome(["release"]), outcome(["release", "release"]), outcome(["release", "return"]), outcome(["release", "return", "release"])
    (None, 'release', 'referred', 'release')
    >>> outcome(["release", "return", "reject"])
    'return'
    """
    if len(votes) < VOTES_NEEDED:
        return None
    if len(votes) == VOTES_NEEDED:
        return votes[0] if votes[0] == votes[1] else "referred"
    verdict, count = Counter(votes[:3]).most_common(1)[0]
    return verdict if count >= VOTES_NEEDED else "return"


def on_duty(since: date, until: date, ended_at: datetime | None, at: datetime) -> bool:
    """Whether a term of duty, whole days of China with both ends in it, covers the moment.

    >>> from datetime import UTC
    >>> on_duty(date(2026, 11, 22), date(2026, 11, 22), None, datetime(2026, 11, 22, 15, 59, tzinfo=UTC))
    True
    >>> on_duty(date(2026, 11, 22), date(2026, 11, 22), None, datetime(2026, 11, 22, 16, 0, tzinfo=UTC))
    False
    """
    return since <= at.astimezone(CHINA).date() <= until and (ended_at is None or at < ended_at)


def escalation(due_at: datetime, hours: int, now: datetime) -> int:
    """How far overdue: 0 in time, 1 past due, 2 when the time allowed has passed twice, and so on; for whoever raises alerts.

    >>> from datetime import UTC
    >>> due = datetime(2026, 11, 22, tzinfo=UTC)
    >>> [escalation(due, 24, due + timedelta(hours=late)) for late in (0, 1, 24, 49)]
    [0, 1, 2, 3]
    """
    late = now - due_at
    return 0 if late <= timedelta(0) else 1 + int(late / timedelta(hours=max(1, hours)))
