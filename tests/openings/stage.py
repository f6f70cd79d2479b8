"""Requests for a checkout that are run one port call at a time, over a real store and a Stripe that keeps its keys.

A flow awaits nothing but ports. Here every port call first hands control back, so that a test decides which request
goes on, which one is stopped for ever as by kill -9, and how much time passes in between. What happens within one call
is the database's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs

from payments_core import Cart, CheckoutRequest, CheckoutSession, Line, Money, PaymentsError, StripeUnavailable
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.memory.price_cache import MemoryPriceCache
from payments_core.app.flights import ThreadFlights
from payments_core.domain.listing import Page, Span
from payments_core.domain.stripe_objects import Session
from payments_core.errors import StripeError
from payments_core.ports import Store
from payments_core.services.checkout import Checkout
from payments_core.services.price_book import PriceBook
from payments_core.services.prices import Prices

T = TypeVar("T")
KEY_LIFE_S = 24 * 3600
SESSION_LIFE_S = 24 * 3600
#: What may become of a request at Stripe, beside being carried out and answered.
FAULTS = ("limited", "cut before", "cut after", "500 before", "500 after", "refused")


class Here:
    """A place where another may go on."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __await__(self) -> Generator[str, None, None]:
        yield self.name


class Stepping:
    """Any port, whose every call begins by handing control back."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name == "openings":
            return Stepping(found)
        if not callable(found) or name == "monotonic_s":
            return found

        async def stepped(*given: Any, **named: Any) -> Any:
            await Here(name)
            return await found(*given, **named)

        return stepped


class Waiter:
    """Patience whose time passes by waiting alone."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    async def pause(self, seconds: float) -> None:
        self.waited_s += seconds

    def monotonic_s(self) -> float:
        return self.waited_s


@attrs.define
class Kept:
    """What Stripe keeps under a key; no answer while the request runs."""

    params: Mapping[str, Any]
    since_s: float
    answer: Session | StripeError | None = None


class Stripe(MemoryGateway):
    """Stripe with its keys: the first result again, 500 included; 409 while it runs; forgotten after a day.

    `faults` are what becomes of the next requests. A request is at Stripe between two steps: it arrives, and is
    answered; if its sender is gone by then, it has been carried out all the same (`finish_what_arrived`).
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self.now_s = now_s
        self.kept: dict[str, Kept] = {}
        self.made: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self._arrived: list[Callable[[], None]] = []

    def open_sessions(self) -> list[dict[str, Any]]:
        """Those that a buyer can still pay."""
        return [one for one in self.made if self.now_s() < one["expires_at"]]

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Session:
        """See Gateway."""
        fault = self.faults.pop(0) if self.faults else ""
        self._forget()
        if fault in ("limited", "cut before"):
            raise StripeUnavailable("not carried out")
        kept = self.kept.get(idempotency_key)
        if kept is not None:
            return self._again(kept, params)
        if fault == "refused":
            error = StripeError("refused", "amount_too_small")
            error.answered = 400
            raise error
        kept = self.kept[idempotency_key] = Kept(params, self.now_s())

        def execute() -> None:
            if kept.answer is None:
                kept.answer = self._executed(params, fault)

        self._arrived.append(execute)
        await Here("at Stripe")
        execute()
        if fault == "cut after":
            raise StripeUnavailable("the answer was lost")
        return self._told(kept, replayed=False)

    async def sessions(self, span: Span, *, after: str | None = None) -> Page[Session]:
        """See Gateway."""
        found = [one for one in self.made if span.since_s <= one["created"] < span.until_s]
        return Page(tuple(self._read(one) for one in reversed(found)))

    def grow_older(self, seconds: float) -> None:
        """Move all that happened into the past, where time itself cannot be moved."""
        for one in self.made:
            one["created"] -= seconds
            one["expires_at"] -= seconds
        for kept in self.kept.values():
            kept.since_s -= seconds

    def finish_what_arrived(self) -> None:
        """Carry out what was sent by somebody who is gone."""
        for execute in self._arrived:
            execute()
        self._arrived.clear()

    def _executed(self, params: Mapping[str, Any], fault: str) -> Session | StripeError:
        if fault != "500 before":
            created = int(self.now_s())
            self.made.append(
                {
                    "id": f"cs_{len(self.made) + 1}",
                    "metadata": dict(params["metadata"]),
                    "created": created,
                    "expires_at": created + SESSION_LIFE_S,
                }
            )
        if fault in ("500 before", "500 after"):
            return StripeUnavailable("500")
        return self._read(self.made[-1])

    def _read(self, one: Mapping[str, Any]) -> Session:
        expired = self.now_s() >= one["expires_at"]
        return Session(
            one["id"],
            status="expired" if expired else "open",
            url=None if expired else f"https://pay.test/{one['id']}",
            metadata=one["metadata"],
            created_s=one["created"],
            expires_s=one["expires_at"],
        )

    def _again(self, kept: Kept, params: Mapping[str, Any]) -> Session:
        if kept.params != params:
            error = StripeError("other parameters", "idempotency_error")
            error.answered = 400
            raise error
        if kept.answer is None:
            raise StripeUnavailable("409")
        return self._told(kept, replayed=True)

    def _told(self, kept: Kept, *, replayed: bool) -> Session:
        if isinstance(kept.answer, Session):
            return kept.answer
        error = StripeUnavailable("500")
        error.answered, error.replayed = 500, replayed
        raise error

    def _forget(self) -> None:
        old_s = self.now_s() - KEY_LIFE_S
        self.kept = {key: kept for key, kept in self.kept.items() if kept.since_s > old_s}


class Request:
    """A request under way. `result` and `error` are there when it has ended."""

    def __init__(self, flow: Coroutine[Any, Any, CheckoutSession]) -> None:
        self._flow = flow
        self.steps = 0
        self.result: CheckoutSession | None = None
        self.error: PaymentsError | None = None
        self.is_over = False
        self.at = "the start"

    def step(self) -> None:
        """Go on to the next port call."""
        if self.is_over:
            return
        self.steps += 1
        try:
            self.at = self._flow.send(None)
        except StopIteration as done:
            self.result, self.is_over = done.value, True
        except PaymentsError as error:
            self.error, self.is_over = error, True

    def finish(self) -> None:
        """Go on to the end."""
        while not self.is_over:
            self.step()

    def kill(self) -> None:
        """Stop for ever; nothing of it runs any more, and what the interpreter would run at its end does not count."""
        self.is_over = True
        _GRAVES.append(self._flow)


#: A coroutine that is collected is told to end, and would tidy up: a killed process does not.
_GRAVES: list[object] = []


class Stage:
    """A shop over a store; each request as another process would run it."""

    def __init__(self, store: Store, stripe: Stripe, clock: Callable[[], datetime], *, first_id: int = 1) -> None:
        self.store, self.stripe, self.clock = store, stripe, clock
        self._ids = itertools.count(first_id)

    def ask(self, *, key: str | None = None, user_id: str | None = None, order: str = "1") -> Request:
        """A request for the checkout of an order, which has not begun."""
        wanted = CheckoutRequest(
            Cart([Line("Tee", Money(2999, "usd"), 1)]), "https://shop.test/ok", metadata={"order": order}
        )
        gateway: Any = Stepping(self.stripe)
        store: Any = Stepping(self.store)
        waiter: Any = Stepping(Waiter())
        checkout = Checkout(
            store,
            gateway,
            Prices(PriceBook(gateway, MemoryPriceCache(1), ThreadFlights(), 0, 0), "declared"),
            waiter,
            self.clock,
            lambda: f"id-{next(self._ids):08}",
            livemode=False,
            account=None,
            app=None,
            redirect_hosts=(),
        )
        return Request(checkout.open(wanted, user_id=user_id, idempotency_key=key))


def order_of(stripe: Stripe, session: CheckoutSession) -> str:
    """The order that a session was made for."""
    return next(str(one["metadata"]["order"]) for one in stripe.made if one["id"] == session.session_id)
