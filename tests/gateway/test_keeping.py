"""The catalogue's contract, in both worlds: in memory, and over the SDK against the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from payments_core.adapters.memory.gateway import MemoryGateway
from payments_core.drive import run_blocking
from payments_core.ports import Io
from payments_core.ports.catalogue import CatalogueGateway
from payments_core.sandbox import running
from payments_core.testing.contracts.gateway_keeping import CatalogueKeepingContract, Run
from tests.gateway.worlds import gateway_of, settings

both = pytest.mark.parametrize("io", ["blocking", "async"])


def runner(gateway: CatalogueGateway) -> Run:
    def run(scenario: Callable[[CatalogueGateway], Coroutine[Any, Any, None]]) -> None:
        async def closing() -> None:
            try:
                await scenario(gateway)
            finally:
                await gateway.close()

        run_blocking(closing()) if gateway.io == "blocking" else asyncio.run(closing())

    return run


@both
class TestMemory(CatalogueKeepingContract):
    """Without any server."""

    @pytest.fixture
    def run(self, io: Io) -> Run:
        return runner(MemoryGateway(io=io))


@both
class TestSandbox(CatalogueKeepingContract):
    """stripe-python's synchronous client, and its aiohttp client."""

    @pytest.fixture
    def run(self, io: Io) -> Iterator[Run]:
        with running() as sandbox:
            yield runner(gateway_of(io, settings(sandbox.base_url)))
