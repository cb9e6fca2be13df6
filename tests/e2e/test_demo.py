"""The demo runs to its end on a fresh folder: every chapter, in the order a bureau head is told the story."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

MILESTONES = (
    "1  数据局登记公共数据",
    "已登记 flights 第 1 版",
    "2  数据局授权运营单位",
    "3  运营单位提问",
    "无偿（公益或公共治理场景）",
    "涉及单元过少的分组不予显示",
    "免费，与上次逐字节相同",
    "plan_unit_key",
    "ledger_exhausted",
    "4  做成产品、登记、上架；数商取用",
    "✓ 清单的签名",
    "✓ 文件 patients-v1.parquet",
    "5  数据局独立核验",
    "本期应付（元）",
    "日志完整",
    "未发现问题",
    "verify_entry",
    "演示结束",
)


def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("YUNEI_", "LC_"))}
    told = subprocess.run(
        [sys.executable, "-m", "api.demo"],
        cwd=tmp_path,
        env=kept | {"LANG": "zh_CN.UTF-8", "COLUMNS": "200", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert told.returncode == 0, told.stdout[-6000:]
    at = [told.stdout.find(words) for words in MILESTONES]
    assert -1 not in at, MILESTONES[at.index(-1)]
    assert at == sorted(at)
    assert "Traceback" not in told.stdout
    # the story shows keys only where the command that made them does; every released half-width is beside its value
    assert len(re.findall(r"\d ± \d", told.stdout)) > 20
    leftovers = [path for path in (tmp_path / "build" / "demo").rglob("*") if path.is_file() and path.suffix == ".parquet"]
    assert any(path.name == "patients-v1.parquet" for path in leftovers)
