"""The schema in steps, for Alembic. Their sum is `tables.metadata`; a test compares the two."""

from __future__ import annotations
