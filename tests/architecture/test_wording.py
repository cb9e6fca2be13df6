"""What people read keeps to one word for each thing, and to one way of writing; `test_docs.py` holds that it is complete and true."""

from __future__ import annotations

import re

import pytest

from api.reference import import_every_room
from policies.problem import KINDS, Words
from tests.architecture.test_tree import ROOMS, ROOT, tracked

import_every_room()  # declares every kind of problem

INSTEAD = {  # what was said besides, and the word that stays; spelled with a gap, so that this file does not hold it
    "作业 种类": "作业类型",
    "常设 批准": "常态批准",
    "声明 回避": "申报回避",
    "公开 表": "公共表",
    "定期 产品": "定期制作",
    "取用 权（不是资格）": "取用资格",
    "应急 冻结": "应急暂停",
    "缺 省": "默认",
    "帐 号": "账号",
    "印 出": "显示",
    "树 根": "根哈希",
    "收 据": "回执",
    "人口 账户": "人群账户",
}
HAN = r"[\u4e00-\u9fff]"
TOUCHING = re.compile(f"{HAN}[A-Za-z]|[A-Za-z]{HAN}")  # a space stands between
HALF_WIDTH = re.compile(f"{HAN} ?[,;:!?] ?{HAN}")
QUAINT = re.compile(r"\b[Mm]end (the|it|them|each|that)|to be had|opens nothing|hand it in|\bcount the version|is not right\b")


@pytest.mark.parametrize("word", INSTEAD)
def test_one_word_for_each_thing(word: str) -> None:
    said = word.partition("（")[0].replace(" ", "")
    patterns = [f"{room}/*" for room in ROOMS] + ["docs/*", "README.md", "CONTRIBUTING.md"]
    texts = [path for path in tracked(*patterns) if path.suffix in {".py", ".j2", ".md", ".toml", ".cedar", ".yaml", ".sh"}]
    found = [str(path.relative_to(ROOT)) for path in texts if re.search(f"{said}(?!限)", path.read_text(encoding="utf-8"))]
    assert found == [], f"say {INSTEAD[word]}"


@pytest.mark.parametrize("code", sorted(KINDS))
def test_a_problem_is_written_as_the_others(code: str) -> None:
    kind = KINDS[code]
    for words in (kind.zh, kind.en):
        assert not words.title.endswith((".", "。"))
    for text in _texts(kind.zh):
        plain = re.sub(r"[A-Z][A-Z ]*(\([^()]*\))+|\w+\.列|\w+://\S+", " ", text)  # SQL and addresses hold their own signs
        assert not TOUCHING.search(plain), text
        assert not HALF_WIDTH.search(plain), text
    assert re.search("请|无需|^{", kind.zh.remedy), "say what to do"
    for text in _texts(kind.en):
        assert not QUAINT.search(text), text
    assert kind.en.remedy[0].isupper() or kind.en.remedy.startswith(("{", "yunei")), "a remedy is a sentence"
    assert kind.zh.remedy.endswith(("。", "}"))
    assert kind.en.remedy.endswith((".", "}"))


def test_pages_write_chinese_with_its_own_signs() -> None:
    found = [
        f"{path.name}: {text}"
        for path in tracked("api/console/templates/*.j2")
        for text in re.findall(r"\bt\('([^']+)'", path.read_text(encoding="utf-8"))
        if TOUCHING.search(text) or HALF_WIDTH.search(text)
    ]
    assert found == []


def _texts(words: Words) -> tuple[str, str, str]:
    return words.title, words.detail, words.remedy
