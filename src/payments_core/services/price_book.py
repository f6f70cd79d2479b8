"""What the catalogue charges, from memory where that is fresh enough, else from Stripe, asked once for all who want it.

Only prices that can be charged are remembered: an unknown product, one that is not for sale, and every failure are
asked for again. A remembered price is at most `fresh_s` old. An older one, of at most `stale_s` more, is an answer only
while Stripe cannot be reached, and only where the deployment allows it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from attrs import frozen

from ..domain.pricing import CatalogPrice
from ..errors import StripeUnavailable
from ..ports import Flights, Gateway, PriceCache, Remembered

_log = logging.getLogger("payments_core.prices")


@frozen
class PriceBook:
    """The catalogue as verification sees it. With `fresh_s` 0 nothing is remembered."""

    gateway: Gateway
    cache: PriceCache
    flights: Flights
    fresh_s: float
    stale_s: float

    async def prices(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """What is charged for each reference; unknown ones are left out. Raises StripeError."""
        if not references:
            return {}
        if self.fresh_s <= 0:
            return await self.gateway.catalogue(references)
        remembered = await self.cache.read(references)
        found = self._fresh(remembered)
        missing = [one for one in references if one not in found]
        if not missing:
            return found
        try:
            return {**found, **await self._ask(remembered.generation, missing)}
        except StripeUnavailable:
            # Read again: somebody may have changed the catalogue, and then nothing old counts any more.
            old = {name: kept.price for name, kept in (await self.cache.read(missing)).entries.items()}
            if self.stale_s <= 0 or any(one not in old for one in missing):
                raise
            _log.warning("Stripe cannot be reached: %d price(s) are taken from an expired cache", len(missing))
            return {**found, **old}

    async def forget(self) -> None:
        """The catalogue has changed: nothing that was asked for before counts any more."""
        await self.cache.forget()

    def _fresh(self, remembered: Remembered) -> dict[str, CatalogPrice]:
        return {name: kept.price for name, kept in remembered.entries.items() if kept.age_s < self.fresh_s}

    async def _ask(self, generation: str | None, references: Sequence[str]) -> dict[str, CatalogPrice]:
        boarding = self.flights.board(generation, references)
        found: dict[str, CatalogPrice] = {}
        if boarding.mine:
            try:
                found = await self._fetch(generation, boarding.mine)
            except Exception as failure:
                boarding.fail(failure)
                raise
            except BaseException:
                boarding.fail(None)
                raise
            boarding.land(found)
        theirs, given_up = await boarding.joined()
        found.update(theirs)
        if given_up:
            found.update(await self._ask(generation, given_up))
        return found

    async def _fetch(self, generation: str | None, references: Sequence[str]) -> dict[str, CatalogPrice]:
        """From Stripe, unless somebody has asked for it since the caller looked."""
        await self.cache.lead(generation, references)
        again = await self.cache.read(references)
        found = self._fresh(again)
        missing = [one for one in references if one not in found]
        if missing:
            told = await self.gateway.catalogue(missing)
            found.update(told)
            await self.cache.write(again.generation, {name: price for name, price in told.items() if price.sellable})
        return found
