"""Run by Alembic, on the connection and in the transaction that `schema.upgrade` opened."""

from __future__ import annotations

from alembic import context

from payments_core.adapters.sql.schema import VERSION_TABLE
from payments_core.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
