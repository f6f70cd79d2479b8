"""A price book over a memory gateway that can be made to wait, in either world."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

from payments_core.adapters.memory import MemoryGateway
from payments_core.app.flights import LoopFlights, ThreadFlights
from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io, PriceCache
from payments_core.services.price_book import PriceBook

FRESH_S = 40


class HeldGateway(MemoryGateway):
    """While `hold` is called, `catalogue` answers what it found before the wait, after the wait."""

    def __init__(self, io: Io) -> None:
        super().__init__(io=io)
        self._waits = False
        self._async_gate: asyncio.Event | None = None
        self._gate = threading.Event()
        self._news = asyncio.Event()

    def hold(self) -> None:
        self._waits = True
        self._gate = threading.Event()
        self._async_gate = asyncio.Event() if self.io == "async" else None

    def release(self) -> None:
        self._waits = False
        self._gate.set()
        if self._async_gate is not None:
            self._async_gate.set()

    async def until_asked(self, times: int) -> None:
        """Wait on the loop until Stripe was asked so often."""
        while len(self.asked("catalogue")) < times:
            self._news.clear()
            await self._news.wait()

    async def catalogue(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        found = await super().catalogue(references)
        self._news.set()
        if self._waits:
            if self._async_gate is not None:
                await self._async_gate.wait()
            else:
                assert self._gate.wait(20)
        return found


def put(gateway: MemoryGateway, name: str, unit: int, **fields: object) -> None:
    """A product of that name with a default price of so many cents."""
    gateway.put_price({"id": f"price_{name}_{unit}", "product": name, "currency": "usd", "unit_amount": unit, **fields})
    gateway.put_product({"id": name, "name": name, "default_price": f"price_{name}_{unit}"})


def book(gateway: MemoryGateway, cache: PriceCache, *, fresh_s: float = FRESH_S, stale_s: float = 0) -> PriceBook:
    """As a process of the deployment has it."""
    flights = ThreadFlights() if gateway.io == "blocking" else LoopFlights()
    return PriceBook(gateway, cache, flights, fresh_s, stale_s)


def asked(gateway: MemoryGateway) -> int:
    """How many references Stripe was asked for."""
    return sum(len(references) for references in gateway.asked("catalogue"))


async def units(of: PriceBook, *names: str) -> list[int | None]:
    """The prices in cents, None for unknown ones."""
    found = await of.prices(names)
    return [found[name].units["usd"] if name in found else None for name in names]
