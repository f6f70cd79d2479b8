"""The catalogue flow: look at Stripe, plan, carry out. Doing it again does only what is still missing.

An idempotency key is made of the message, the step, its parameters and the price that the product had: trying the same
again is one request to Stripe, however often the process dies, while the same message over a catalogue that has moved
on is another.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from ..domain.catalogue import (
    NEW_PRICE,
    Change,
    CreatePrice,
    CreateProduct,
    ListedProduct,
    RetirePrice,
    Step,
    UpdateProduct,
    plan,
)
from ..domain.consumption import Message, message_id, read_envelope
from ..errors import StripeError, StripeObjectMissing, StripeUnavailable
from ..ports import Transaction
from ..ports.catalogue import CatalogueGateway
from ..ports.consuming import Rejected
from ..ports.running import Waiter
from ..published.incoming import read_product_message

_log = logging.getLogger("payments_core.catalogue")

#: Looks at Stripe for one message, when what was seen is no longer so once it is acted on.
_LOOKS: Final = 3
#: What Stripe has moved on; the next look finds out how.
_MOVED: Final = ("resource_already_exists", "resource_missing", "idempotency_error")
#: Nothing is wrong with the message: the key is not accepted, or may not do this.
_KEY_REFUSED: Final = (401, 403)
_SERVER_ERROR: Final = 500
_BUSY_S: Final = 0.05


@define
class Pace:
    """At most so many calls a second, evenly spaced; several flows may share one."""

    waiter: Waiter
    calls_per_s: int
    _next_s: float = field(default=0.0, init=False)

    async def turn(self) -> None:
        """Wait for the next call's turn."""
        now = self.waiter.monotonic_s()
        # Taken before the wait, so that nobody else takes the same one.
        turn_s = max(now, self._next_s)
        self._next_s = turn_s + 1 / self.calls_per_s
        while (left_s := turn_s - self.waiter.monotonic_s()) > 0:
            await self.waiter.pause(left_s)


@frozen
class CatalogueFlow:
    """Brings Stripe's catalogue to what one message says."""

    gateway: CatalogueGateway
    pace: Pace
    #: Products that are being worked on: messages of one product may come by several topics at once.
    _busy: set[str] = field(factory=set[str], init=False, repr=False)
    #: How often Stripe failed over a message that is at the head of its partition. Stripe repeats its first answer
    #: under a key, even a 500: after one, only another key can get through.
    _broken: dict[str, int] = field(factory=dict[str, int], init=False, repr=False)

    async def apply(self, change: Change, message_id: str) -> None:
        """Carry the change out.

        Raises StripeUnavailable when it is to be tried again (no connection, a rate limit, a key that Stripe does not
        accept), and Rejected, with Stripe's code, when Stripe refuses the data.
        """
        while change.product_id in self._busy:
            await self.pace.waiter.pause(_BUSY_S)
        self._busy.add(change.product_id)
        try:
            await self._looked(change, message_id)
        finally:
            self._busy.discard(change.product_id)

    async def _looked(self, change: Change, message_id: str) -> None:
        for look in range(_LOOKS):
            try:
                await self._once(change, message_id, look)
            except StripeUnavailable as failure:
                if failure.answered is not None and failure.answered >= _SERVER_ERROR:
                    self._broken[message_id] = self._broken.get(message_id, 0) + 1
                raise
            except StripeError as refused:
                if refused.answered in _KEY_REFUSED:
                    raise StripeUnavailable(str(refused), refused.code) from refused
                moved = isinstance(refused, StripeObjectMissing) or refused.code in _MOVED
                if not moved or look == _LOOKS - 1:
                    raise Rejected(_refusal(refused)) from refused
            else:
                break
        self._broken.pop(message_id, None)

    async def _once(self, change: Change, message_id: str, look: int) -> None:
        await self.pace.turn()
        listed = await self.gateway.listed(change.product_id)
        steps = plan(change, listed)
        made: str | None = None
        for number, step in enumerate(steps):
            await self.pace.turn()
            key = _key(message_id, number, step, listed, look + _LOOKS * self._broken.get(message_id, 0))
            made = await self._step(step, made, key)
        facts = {"messageId": message_id, "productId": change.product_id, "calls": len(steps)}
        _log.info("Catalogue is as the message says", extra=facts)

    async def _step(self, step: Step, made: str | None, key: str) -> str | None:
        """One call; the id of the price that was made last."""
        if isinstance(step, CreatePrice):
            return await self.gateway.create_price(step.params, idempotency_key=key)
        if isinstance(step, CreateProduct):
            await self.gateway.create_product(step.params, idempotency_key=key)
        elif isinstance(step, UpdateProduct):
            params = _with_made(step.params, made)
            await self.gateway.update_product(step.product_id, params, idempotency_key=key)
        else:
            await self.gateway.update_price(step.price_id, {"active": False}, idempotency_key=key)
        return made


@frozen
class CatalogueMessages:
    """`MessageHandler` of the catalogue's topics.

    `kinds` says for which type each topic stands; on a topic that stands for none, a message must say its own. All
    work is outside the transaction: doing it again does nothing.
    """

    flow: CatalogueFlow
    kinds: Mapping[str, str]
    default_currency: str

    @property
    def works_outside(self) -> bool:
        """See MessageHandler."""
        return True

    def read(self, message: Message) -> Change | None:
        """See MessageHandler. A record without a body says nothing: a topic that is compacted has them."""
        if message.body is None:
            return None
        kind = self.kinds.get(message.topic)
        return read_product_message(read_envelope(message), kind, default_currency=self.default_currency)

    async def outside(self, asked: Any, message: Message) -> None:
        """See MessageHandler."""
        await self.flow.apply(asked, message_id(message))

    async def inside(self, asked: Any, tx: Transaction) -> None:
        """See MessageHandler: nothing but the record that the message was handled."""


def _with_made(params: Mapping[str, Any], made: str | None) -> Mapping[str, Any]:
    return {**params, "default_price": made} if params.get("default_price") == NEW_PRICE else params


def _key(message_id: str, number: int, step: Step, listed: ListedProduct | None, trial: int) -> str:
    """The same for the same attempt at the same thing, within Stripe's 255 characters."""
    had = None if listed is None else (listed.default_price_id, [price.id for price in listed.prices])
    params = step.price_id if isinstance(step, RetirePrice) else step.params
    parts = json.dumps([message_id, number, type(step).__name__, params, had, trial], sort_keys=True)
    return f"payments-core-catalogue-{hashlib.sha256(parts.encode()).hexdigest()}"


def _refusal(refused: StripeError) -> str:
    code = refused.code or "no code"
    about = f", parameter {refused.param}" if refused.param else ""
    request = f", request {refused.request_id}" if refused.request_id else ""
    return f"Stripe refuses the product ({code}{about}{request}). Correct it at its source and publish it again."
