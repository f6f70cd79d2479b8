"""`PriceCache` in Redis, shared by all processes of a deployment.

The generation is a random word under one key, and part of the key of every price. To forget is to delete that word: the
next reader makes up another one, and what was written under the old one is never read again, whoever writes it and
however late. Nothing has to be compared or locked for that, and a server that loses all or some of its keys loses
speed alone. Deleting also works where no memory is left.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from payments_core.adapters.redis.server import Reply, Server, is_refusal
from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io, Kept, Remembered

#: How long one process asks before another one may ask for the same; a process that dies holds nobody up for longer.
LEAD_MS: Final = 3000
#: How long the others wait for it.
WAIT_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.05


class RedisPriceCache:
    """See `payments_core.ports.PriceCache`. `namespace` keeps deployments apart; `clock` gives epoch seconds.

    Ages are told by the clocks of the machines, and never exceed `keep_s`, which is Redis's own time to live.
    """

    def __init__(
        self, server: Server, keep_s: float, *, namespace: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._server = server
        self._keep_ms = max(1, int(keep_s * 1000))
        self._prefix = f"payments-core:{namespace}:prices"
        self._clock = clock
        # A forgetting that Redis did not hear of: until it has, this process takes nothing from there.
        self._owes_forgetting = False

    @property
    def io(self) -> Io:
        """See PriceCache."""
        return self._server.io

    async def read(self, references: Sequence[str]) -> Remembered:
        """See PriceCache."""
        if self._owes_forgetting:
            await self._forget(urgent=False)
        generation = None if self._owes_forgetting else await self._generation()
        if generation is None or not references:
            return Remembered(generation)
        replies = await self._server.run(("MGET", *(self._entry(generation, one) for one in references)))
        if replies is None or is_refusal(replies[0]):
            return Remembered(None)
        found = {one: self._kept(value) for one, value in zip(references, replies[0], strict=True)}
        return Remembered(generation, {one: kept for one, kept in found.items() if kept is not None})

    async def write(self, generation: str | None, prices: Mapping[str, CatalogPrice]) -> None:
        """See PriceCache."""
        if generation is None or not prices:
            return
        at = self._clock()
        await self._server.run(
            *(
                ("SET", self._entry(generation, one), _to_json(price, at), "PX", self._keep_ms)
                for one, price in prices.items()
            )
        )

    async def forget(self) -> None:
        """See PriceCache.

        Where Redis cannot be reached, this process forgets before it reads again; the others go by the time to live.
        """
        await self._forget(urgent=True)

    async def lead(self, generation: str | None, references: Sequence[str]) -> bool:
        """See PriceCache."""
        if generation is None:
            return True
        digest = hashlib.sha256("\n".join(sorted(references)).encode()).hexdigest()
        lock = f"{self._prefix}:{generation}:asking:{digest}"
        replies = await self._server.run(("SET", lock, b"1", "NX", "PX", LEAD_MS))
        if replies is None or is_refusal(replies[0]) or replies[0]:
            return True
        wanted = [self._entry(generation, one) for one in references]
        for _ in range(int(WAIT_S / _LOOK_EVERY_S)):
            await self._server.pause(_LOOK_EVERY_S)
            seen = await self._server.run(("EXISTS", *wanted), ("EXISTS", lock))
            if seen is None or seen[0] == len(wanted) or not seen[1]:
                break
        return False

    async def close(self) -> None:
        """See PriceCache."""
        await self._server.close()

    async def _forget(self, *, urgent: bool) -> None:
        replies = await self._server.run(("DEL", f"{self._prefix}:generation"), urgent=urgent)
        self._owes_forgetting = replies is None or is_refusal(replies[0])

    async def _generation(self) -> str | None:
        key = f"{self._prefix}:generation"
        replies = await self._server.run(("GET", key))
        if replies is not None and replies[0] is None:
            # Of those who find none, one makes it up, and all take that one.
            replies = (await self._server.run(("SET", key, str(uuid.uuid4()), "NX"), ("GET", key)) or [None])[-1:]
        if replies is None or replies[0] is None:
            return None
        if is_refusal(replies[0]) or not isinstance(replies[0], bytes):
            # Something else stands under our key.
            await self._forget(urgent=False)
            return None
        return replies[0].decode("ascii", "replace")

    def _entry(self, generation: str, reference: str) -> str:
        return f"{self._prefix}:{generation}:{reference}"

    def _kept(self, value: Reply) -> Kept | None:
        if not isinstance(value, bytes):
            return None
        try:
            document = json.loads(value)
            return Kept(_from_json(document), max(0.0, self._clock() - float(document["at"])))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _to_json(price: CatalogPrice, at: float) -> bytes:
    document = {"at": at, "price_id": price.price_id, "units": dict(price.units), "name": price.name}
    return json.dumps(document, separators=(",", ":")).encode()


def _from_json(document: Any) -> CatalogPrice:
    price_id, name, units = document["price_id"], document["name"], cast("dict[str, object]", document["units"])
    whole = {currency: unit for currency, unit in units.items() if type(unit) is int}
    if not isinstance(price_id, str) or not isinstance(name, str | None) or len(whole) != len(units):
        raise TypeError("no entry of ours")
    return CatalogPrice(price_id, whole, name=name)
