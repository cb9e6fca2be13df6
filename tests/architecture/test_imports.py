"""What a process need not wait for before it is ready."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each took a good part of the time a process takes to start: on the way of every restart, and of each process that Ray starts.
SLOW = {
    "a server": (
        "api.server",
        "alembic authlib.oidc fontTools fpdf httpx2 matplotlib opentelemetry.sdk pandas polars psycopg scipy sklearn "
        "sqlalchemy.dialects.postgresql",
    ),
    "what a server is before it starts Ray": ("api.server_cli, api.home", "api.app duckdb fastapi numpy opendp pyarrow ray sqlalchemy sqlglot"),
    "a process of Ray's": ("ray", "pandas rfc3987_syntax scipy"),
    "a worker": ("sandbox.raw.shards", "fastapi opendp pandas ray scipy sklearn sqlalchemy"),
}


@pytest.mark.parametrize("process", SLOW)
def test_what_takes_long_is_imported_when_it_is_needed(process: str) -> None:
    module, names = SLOW[process]
    code = f"import sys, {module}; print(*sorted(set({names.split()!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == []
