"""The gateway's contract, in both worlds: in memory, and over the SDK."""

from __future__ import annotations

import pytest

from payments_core.ports import Io
from payments_core.testing.contracts import AccountContract, GatewayContract, GatewayWorld
from tests.gateway.stripe_server import StripeServer
from tests.gateway.worlds import MemoryWorld, SdkWorld

both = pytest.mark.parametrize("io", ["blocking", "async"])


@both
class TestMemory(GatewayContract, AccountContract):
    """Without any server."""

    @pytest.fixture
    def world(self, io: Io) -> GatewayWorld:
        return MemoryWorld(io)


@both
class TestSdk(GatewayContract, AccountContract):
    """stripe-python's synchronous client, and its aiohttp client."""

    @pytest.fixture
    def world(self, io: Io, server: StripeServer) -> GatewayWorld:
        return SdkWorld(io, server)
