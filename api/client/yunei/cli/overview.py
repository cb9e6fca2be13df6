"""What there is to do, in the order one does it: what `yunei` alone prints. Typer is not needed for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from yunei import __version__
from yunei.cli.verbs import NOUNS
from yunei.config import colours_wanted
from yunei.words import say

EXAMPLES: tuple[tuple[str, str, str], ...] = (
    ("yunei login", "保存服务器地址与密钥", "store the server's address and your key"),
    ("yunei dataset list", "有哪些数据可用", "see what data is available"),
    ("yunei job check -f q.sql --licence L --scenario S --epsilon 0.5", "先看价格与误差，不花预算", "see price and error first; free"),
    ("yunei job submit -f q.sql --licence L --scenario S --epsilon 0.5", "提交，等待，显示结果", "submit, wait, show the result"),
    ("yunei release fetch RELEASE -o answer.parquet", "下载结果与回执", "download the result and its receipt"),
    ("yunei log verify", "独立验证整个存证日志", "verify the whole log independently"),
)
More = Sequence[tuple[str, str, Sequence[str]]]  # (noun or command, what it does, verbs)


def overview(more: More = (), faults: Sequence[str] = ()) -> str:
    """`more` are what other packages add: verbs of the client's nouns, nouns and commands of their own."""
    bold, dim = _styles()
    added = {name: (title, list(verbs)) for name, title, verbs in more}
    rows: list[tuple[str, str, list[str]]] = []
    for noun in NOUNS:
        names = [verb.name for verb in noun.verbs]
        if noun.name:
            beside = [name for name in added.pop(noun.name, ("", []))[1] if name not in names]  # the same verb, for a home of this machine
            rows.append((noun.name, say(noun.zh, noun.en), names + beside))
        else:
            rows += [(verb.name, say(verb.zh, verb.en), []) for verb in noun.verbs]
    rows += [(name, title, verbs) for name, (title, verbs) in added.items()]
    title = say("域内：原始数据不出域，数据可用不可见", "compute beside public data: raw data never leaves")
    usage = say("名词 动词 …", "NOUN VERB …")
    lines = [f"{bold('yunei')} {__version__}  {title}", "", f"  {bold(say('用法', 'Usage'))}  yunei [--url URL] [--lang zh|en] {usage}", ""]
    for name, words, verbs in rows:
        lines.append(f"  {bold(name)}{' ' * max(2, 10 - len(name))}{words}")
        if verbs:
            lines.append(f"  {' ' * 10}{dim('  '.join(verbs))}")
    lines += ["", f"  {bold(say('从这里开始', 'Start here'))}"]
    for command, zh, en in EXAMPLES:
        lines += [f"    {command}", f"        {dim(say(zh, en))}"]
    codes = say(
        "0 成功  1 被拒绝  2 用法错误  3 无法连接  4 验证不通过  5 仍在运行",
        "0 done  1 refused  2 usage  3 unreachable  4 does not verify  5 still running",
    )
    lines += [
        "",
        f"  {bold(say('设置', 'Settings'))}  YUNEI_URL  YUNEI_KEY  YUNEI_LANG  YUNEI_LICENCE  YUNEI_SCENARIO  YUNEI_STATE",
        f"  {bold(say('退出码', 'Exit codes'))}  {codes}",
        f"  {say('各命令的说明', 'More on each')}  yunei {say('名词', 'NOUN')} {say('动词', 'VERB')} --help",
        *(f"  ! {fault}" for fault in faults),
    ]
    return "\n".join(lines)


def _styles() -> tuple[Callable[[str], str], Callable[[str], str]]:
    if sys.stdout.isatty() and colours_wanted():
        return (lambda text: f"\x1b[1m{text}\x1b[0m"), (lambda text: f"\x1b[2m{text}\x1b[0m")
    return (lambda text: text), (lambda text: text)
