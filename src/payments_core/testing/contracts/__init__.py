"""The ports' obligations as tests, for adapters of your own: one test per obligation.

Subclass a contract in a test module and give it the fixture it asks for:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def world(self) -> StoreWorld:
            return MyWorld()
"""

from __future__ import annotations

from payments_core.testing.contracts.consumed import ConsumedContract, ConsumedWorld
from payments_core.testing.contracts.gateway import GatewayContract
from payments_core.testing.contracts.gateway_account import AccountContract
from payments_core.testing.contracts.gateway_keeping import CatalogueKeepingContract
from payments_core.testing.contracts.gateway_world import GatewayWorld
from payments_core.testing.contracts.limiting import LimiterContract, LimiterWorld
from payments_core.testing.contracts.outbox import OutboxContract, OutboxWorld
from payments_core.testing.contracts.price_cache import PriceCacheContract, PriceCacheWorld
from payments_core.testing.contracts.publisher import PublisherContract, PublisherWorld
from payments_core.testing.contracts.store import StoreContract
from payments_core.testing.contracts.store_world import StoreWorld

__all__ = [
    "AccountContract",
    "CatalogueKeepingContract",
    "ConsumedContract",
    "ConsumedWorld",
    "GatewayContract",
    "GatewayWorld",
    "LimiterContract",
    "LimiterWorld",
    "OutboxContract",
    "OutboxWorld",
    "PriceCacheContract",
    "PriceCacheWorld",
    "PublisherContract",
    "PublisherWorld",
    "StoreContract",
    "StoreWorld",
]
