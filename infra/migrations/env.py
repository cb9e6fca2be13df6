"""Alembic's entry: runs the steps on the connection, and in the transaction, that `infra.database.migrate` passes in."""

from __future__ import annotations

from alembic import context

from infra.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
