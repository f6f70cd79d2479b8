"""A store without a database, for tests."""

from __future__ import annotations

from payments_core.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
