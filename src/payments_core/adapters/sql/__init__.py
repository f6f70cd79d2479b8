"""Payments, inbox and outbox in SQLite or PostgreSQL, through SQLAlchemy; one code for both worlds."""

from __future__ import annotations

from payments_core.adapters.sql.engines import Limits
from payments_core.adapters.sql.schema import check, current, upgrade
from payments_core.adapters.sql.store import SqlStore, async_store, blocking_store
from payments_core.adapters.sql.tables import metadata

__all__ = ["Limits", "SqlStore", "async_store", "blocking_store", "check", "current", "metadata", "upgrade"]
