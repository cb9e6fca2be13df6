"""The register's tables at start: brought up to this version, or refused when they are a later one's."""

from __future__ import annotations

from sqlalchemy import Engine

from infra.database import NewerSchema, migrate
from policies.problem import declare

REGISTER_NEWER = declare(
    "server_register_newer",
    zh=(
        "登记册属于更新的版本",
        "数据库结构是 {found}，本版本只认识到 {known}。未作任何改动。",
        "请启动升级后的版本；若要退回旧版本，请把升级前的备份恢复到空数据库（docs/deploy/upgrade.md）。",
    ),
    en=(
        "The register belongs to a later version",
        "The database schema is {found}; this version knows up to {known}. Nothing was changed.",
        "Start the later version; to go back, restore the backup made before the upgrade into an empty database (docs/deploy/upgrade.md).",
    ),
)


def brought_up(engine: Engine) -> None:
    """All tables of an empty database, the missing steps of an older one. Raises server_register_newer, having touched nothing."""
    try:
        migrate(engine)
    except NewerSchema as newer:
        raise REGISTER_NEWER(found=newer.found, known=newer.known) from newer
