"""The articles that ask for each report. In words of our own: docs/reports.md says what each of them wants."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.reports.model import ReportKind, pair
from policies.catalogue import Title

_OPINION = ("《山西省关于促进数据要素市场化配置改革的实施意见》（晋数发〔2025〕3号）", "Implementing Opinion Jinshufa [2025] 3")
_MEASURES = ("《山西省数据工作管理办法（征求意见稿）》（2024年）", "Shanxi Measures on Data Work (2024 draft)")
_GOVERNMENT = ("《山西省政务数据管理应用条例（草案）》（2020年）", "Shanxi regulation on government data (2020 draft)")


def _article(law: tuple[str, str], zh: str, en: str) -> Title:
    return pair(law[0] + zh, f"{law[1]}, {en}")


DISCLOSED = _article(_OPINION, "二（三）8：授权运营情况披露", "part 2 (3) item 8: disclosure of authorised operation")
SHARED = _article(_OPINION, "二（三）8：谁投入、谁贡献、谁受益", "part 2 (3) item 8: revenue to who invests and contributes")
SUPERVISED = _article(_MEASURES, "第十四条：对授权运营单位的日常监督", "art. 14: supervision of authorised operators")
ASSETS = _article(_MEASURES, "第十八条第二款：数据资产信息披露", "art. 18 para. 2: disclosure about data assets")
WATCHED = _article(_MEASURES, "第四十一条：监测预警与应急处置", "art. 41: monitoring, early warning and emergency response")
REPORTED = _article(_MEASURES, "第四十四条：安全事件报告", "art. 44: reporting of security incidents")
FILED = _article(_GOVERNMENT, "第十九条：授权情况备案", "art. 19: filing of authorisations")
AGREED = _article(_GOVERNMENT, "第二十条：协议应明确的事项", "art. 20: what an agreement settles")
DIVIDED = _article(_GOVERNMENT, "第二十一条：收入按贡献分配", "art. 21: income is divided by contribution")

BASIS: Mapping[ReportKind, tuple[Title, ...]] = {
    "disclosure": (DISCLOSED, ASSETS, SUPERVISED),
    "usage": (SUPERVISED, DISCLOSED),
    "revenue": (SHARED, DIVIDED),
    "filing": (FILED, AGREED),
    "incident": (REPORTED, WATCHED),
}
