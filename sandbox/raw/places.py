"""Data that stays where it is: whether there are workers that may read it, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence

from policies.problem import declare
from sandbox.plan.model import Scan
from sandbox.raw.released import Pool

PLACE_ABSENT = declare(
    "data_place_absent",
    zh=(
        "数据所在地没有可用的节点",
        "{datasets} 只能在指定地点的节点上读取；该地点目前没有节点在线，或者这些数据分属不同地点。没有读取任何数据。",
        "请稍后重试，或分别查询；数据主管部门请查看集群节点与 YUNEI_DATASET_PLACES。",
    ),
    en=(
        "No node is available where the data must stay",
        "{datasets} may be read only by nodes in one place; none is online there, or the datasets belong to different places. No row was read.",
        "Try again later, or query each dataset by itself. The bureau should check the cluster's nodes and YUNEI_DATASET_PLACES.",
    ),
)


def check_places(scans: Sequence[Scan], workers: Pool) -> None:
    """Raises `data_place_absent`. Reads nothing."""
    datasets = sorted({scan.dataset for scan in scans})
    if not workers.present(datasets):
        raise PLACE_ABSENT(datasets=", ".join(datasets))
