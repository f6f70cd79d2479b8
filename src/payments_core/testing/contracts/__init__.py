"""The ports' obligations as tests, for adapters of your own: one test per obligation.

Subclass a contract in a test module and give it the fixture it asks for:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def world(self) -> StoreWorld:
            return MyWorld()
"""

from __future__ import annotations

from payments_core.testing.contracts.gateway import GatewayContract
from payments_core.testing.contracts.gateway_world import GatewayWorld
from payments_core.testing.contracts.store import StoreContract
from payments_core.testing.contracts.store_world import StoreWorld

__all__ = ["GatewayContract", "GatewayWorld", "StoreContract", "StoreWorld"]
