"""What a walk is handed, and the few ways in which an admitted job ends without an answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from infra.clock import Clock
from infra.keys import KeyRing, Random
from infra.settings import Settings
from infra.tracing import Tracing
from jobs.cells import CellRoom
from jobs.queue import Crew, Leases
from jobs.register import Register
from jobs.staging import Staging
from policies.problem import declare
from sandbox.raw.open import Vault
from sandbox.raw.run import Pool

SYSTEM = "system"

JOB_CANCELLED = declare(
    "job_cancelled",
    zh=("作业已取消", "作业按要求取消，没有发布结果。", "如仍需结果，请重新提交；读取原始数据之后取消的，预算不退。"),
    en=(
        "The job was cancelled",
        "The job was cancelled on request; nothing was published.",
        "Submit it again if you still need the result. If rows had already been read, the budget is not given back.",
    ),
)
JOB_WITHHELD = declare(
    "job_withheld",
    zh=("结果未予发布", "作业运行期间，授权或数据的状态发生变化，结果不再发布。", "已支出的预算不退；请联系数据主管部门。"),
    en=(
        "The result was withheld",
        "The state of the licence or data changed while the job ran; nothing was published.",
        "The budget spent is not given back. Contact the bureau.",
    ),
)
JOB_OUTDATED = declare(
    "job_outdated",
    zh=("作业已不能按受理时的计划执行", "系统更新后，该作业的计划与受理时不同。", "没有支出；请重新提交。"),
    en=(
        "The job can no longer run by the plan it was admitted with",
        "The system was updated, and the job's plan is no longer the same.",
        "Nothing was spent. Submit the job again.",
    ),
)
JOB_STOPPED = declare(
    "job_stopped",
    zh=("作业未予执行", "作业等待期间，授权或数据的状态发生变化；没有读取原始数据。", "没有支出；请核对协议状态后重新提交。"),
    en=(
        "The job was not run",
        "The state of the licence or data changed while the job waited; no row was read.",
        "Nothing was spent. Check the state of the licence, then submit the job again.",
    ),
)


JOB_RETURNED = declare(
    "job_returned",
    zh=(
        "审核退回",
        "审核员认为精确结果暂不宜发布；理由见审核记录（yunei review show）。",
        "请按所列理由修改后重新提交作业，或补充说明后再次提请审核。",
    ),
    en=(
        "The review returned the result",
        "The reviewers did not approve the exact table as it is; their reasons are in the review (yunei review show).",
        "Correct what the reasons name and submit the job again, or add an explanation and request another review.",
    ),
)
JOB_REJECTED = declare(
    "job_rejected",
    zh=("审核不予发布", "审核员决定不予发布该精确结果；理由见审核记录（yunei review show）。", "请改用噪声发布，或联系数据主管部门。"),
    en=(
        "The review rejected the result",
        "The reviewers decided not to release this exact table; their reasons are in the review (yunei review show).",
        "Release with noise instead, or contact the bureau.",
    ),
)


class GivenUp(Exception):
    """The job was forfeited; its charge stays. Carries nothing: what happened may depend on data."""


@dataclass(frozen=True)
class Office:
    """All that a walk needs, passed in. `vault` was opened by `sandbox.raw` and is only handed on to it."""

    settings: Settings
    clock: Clock
    random: Random
    register: Register
    key_ring: KeyRing
    vault: Vault
    workers: Pool
    cells: CellRoom
    staging: Staging
    leases: Leases
    crew: Crew
    tracing: Tracing
    done: Callable[[str], None]  # told the id of every job that comes to an end

    def new_id(self, kind: str) -> str:
        """An opaque id: 80 random bits."""
        return f"{kind}-{base64.b32encode(self.random(10)).decode().lower()}"
