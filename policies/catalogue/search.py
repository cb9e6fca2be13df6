"""Finding datasets by what people type, in Chinese too: pairs of neighbouring characters stand for words, so no dictionary is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from policies.catalogue.base import Grade
from policies.catalogue.dataset import Dataset, Snapshot

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_HAN}]+|[^\W{_HAN}]+")
GRADE_WORDS: Mapping[Grade, str] = {
    "core": "core 核心数据",
    "important": "important 重要数据",
    "general-4": "general-4 一般数据四级",
    "general-3": "general-3 一般数据三级",
    "general-2": "general-2 一般数据二级",
    "general-1": "general-1 一般数据一级",
}
LIMIT = 200  # characters of a question that are looked at


def grams(text: str) -> frozenset[str]:
    """What a text can be found by: its words, folded; of Han characters every pair of neighbours, or the single one.

    >>> sorted(grams("就诊记录 visits 2026"))
    ['2026', 'visits', '就诊', '记录', '诊记']
    """
    found: set[str] = set()
    for word in _WORDS.findall(text.casefold()):
        if re.match(f"[{_HAN}]", word) and len(word) > 1:
            found |= {word[at : at + 2] for at in range(len(word) - 1)}
        else:
            found.add(word)
    return frozenset(found)


def _fields(dataset: Dataset) -> Iterable[tuple[int, str]]:
    """What is searched, with its weight."""
    yield 8, f"{dataset.name} {dataset.registration_no}"
    yield 6, f"{dataset.title.zh} {dataset.title.en}"
    yield 4, f"{dataset.source_body.zh} {dataset.source_body.en}"
    yield 3, f"{GRADE_WORDS[dataset.grade]} {dataset.share.attribute}"
    if dataset.unit is not None:
        yield 2, f"{dataset.space} {(title := dataset.unit_title or dataset.unit.title).zh} {title.en}"
    for column in dataset.columns:
        yield 2, f"{column.name} {column.title.zh} {column.title.en}"


def search(snapshots: Iterable[Snapshot], question: str) -> list[Snapshot]:
    """Those in which every gram of the question is found somewhere (a word also as the beginning of one), best first; all, in their order,
    for a question without words."""
    wanted = grams(question[:LIMIT])
    scored: list[tuple[int, int, Snapshot]] = []
    for snapshot in snapshots:
        best = dict.fromkeys(wanted, 0)
        for weight, text in _fields(snapshot.dataset):
            there = grams(text)
            for gram in wanted:
                if weight > best[gram] and found_in(gram, there):
                    best[gram] = weight
        if all(best.values()):
            scored.append((-sum(best.values()), len(scored), snapshot))
    return [snapshot for _, _, snapshot in sorted(scored, key=lambda each: each[:2])]


def found_in(gram: str, there: frozenset[str]) -> bool:
    """Whether a text with the grams `there` has this one: a word also as the beginning of one, a single character anywhere."""
    if gram in there:
        return True
    han = re.match(f"[{_HAN}]", gram) is not None
    if han:
        return len(gram) == 1 and any(gram in each for each in there)
    return any(each.startswith(gram) for each in there)
