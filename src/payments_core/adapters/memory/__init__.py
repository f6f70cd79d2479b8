"""A store without a database and a gateway without Stripe, for tests."""

from __future__ import annotations

from payments_core.adapters.memory.gateway import GatewayCall, MemoryGateway, SentSession
from payments_core.adapters.memory.store import MemoryStore

__all__ = ["GatewayCall", "MemoryGateway", "MemoryStore", "SentSession"]
