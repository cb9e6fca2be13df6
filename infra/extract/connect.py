"""From an origin to its adapter: drivers are loaded when they are asked for."""

from __future__ import annotations

from infra.extract.base import Extract, Origin


def extract(origin: Origin, query: str) -> Extract:
    """Connect, begin the snapshot, and ask what the query's columns are. `query`: one SELECT. Raises ExtractFailed."""
    if origin.system == "postgresql":
        from infra.extract.postgresql import PostgresExtract

        return PostgresExtract(origin, query)
    from infra.extract.mysql import MySqlExtract

    return MySqlExtract(origin, query)
