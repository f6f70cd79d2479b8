"""`OfflineStripe` and `AsyncOfflineStripe`: a Stripe in the test's own process, and what a buyer or time does there.

Nothing is opened: the SDK's requests are function calls, webhooks go straight into the library, and what they bring is
handled before a helper returns. The two are one sandbox seen from a plain test and from an async one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from payments_core.app import AsyncPayments, Payments
from payments_core.app.runners import GRACE_S
from payments_core.drive import run_blocking
from payments_core.sandbox import Chaos, Sandbox
from payments_core.settings import Settings
from payments_core.testing.receivers import (
    BlockingReceiver,
    BridgedReceiver,
    Deliver,
    LoopReceiver,
    Receiver,
    ViewReceiver,
)
from payments_core.testing.stories import DECLINED, VISA, Effect, Json, SessionLike, Story, Why

if TYPE_CHECKING:
    from payments_core.adapters.stripe.in_process import InProcessClient

WEBHOOK_SECRET = "whsec_offline_test_secret"  # noqa: S105 - made up, and signs a test's own events
SECRET_KEY = "sk_test_offline"  # noqa: S105
#: No receiver is asked for by its address here.
_ADDRESS = "http://payments.invalid/webhooks/stripe"
BASE_URL = "http://127.0.0.1:12111"


class _Attached:
    """Who hears of events, in order; with the loop of those that have one."""

    def __init__(self) -> None:
        self.direct: list[Receiver] = []
        self.bridged: list[Receiver] = []

    def add(self, receiver: Receiver, bridged: Receiver | None = None) -> None:
        self.direct.append(receiver)
        self.bridged.append(bridged or receiver)


class OfflineStripe:
    """For plain tests. `sandbox` is the Stripe behind it, with everything that these helpers do not need."""

    def __init__(self, *, webhook_secret: str = WEBHOOK_SECRET, seed: int | None = None) -> None:
        self.sandbox = Sandbox(
            webhook_secret=webhook_secret, forward_to=[_ADDRESS], base_url=BASE_URL, seed=seed, moves_receivers=True
        )
        self.attached = _Attached()
        self._story = Story(self.sandbox, _ADDRESS, lambda: self.attached.bridged)

    @property
    def http_client(self) -> InProcessClient:
        """For `http_client=` of `stripe.StripeClient`, `Payments` and `AsyncPayments`."""
        from payments_core.adapters.stripe.in_process import InProcessClient

        return InProcessClient(self.sandbox.call)

    def settings(self, **overrides: Any) -> Settings:
        """Settings that fit this Stripe; raises ConfigurationError for what cannot be used."""
        ours = {
            "stripe_secret_key": SECRET_KEY,
            "stripe_webhook_secret": self.sandbox.webhook_secret,
            "stripe_api_base": BASE_URL,
        }
        return Settings.of(**(ours | overrides))

    def clock(self) -> datetime:
        """The sandbox's time, which `advance` moves: the `clock=` of `Payments` and `AsyncPayments`."""
        return datetime.fromtimestamp(time.time() + self.sandbox.ahead_s, UTC)

    def attach(self, payments: Payments | AsyncPayments) -> None:
        """Let these payments hear of events: built with this `http_client`, `settings()`, `clock`, and no runner."""
        if isinstance(payments, Payments):
            self.attached.add(BlockingReceiver(payments))
        else:
            self.attached.add(LoopReceiver(payments), BridgedReceiver(payments, _loop_of(payments)))

    def deliver_to(self, view: Deliver) -> None:
        """Let a webhook view of your own hear of events: it takes body and headers, and returns the HTTP status."""
        self.attached.add(ViewReceiver(view))

    def chaos(self, spec: str, *, seed: int | None = None) -> None:
        """From now on deliveries go wrong as `payments sandbox --chaos` says; the held back ones come by `advance`."""
        self.sandbox.chaos = Chaos.parse(spec, self.sandbox.seed if seed is None else seed)

    def pay(self, session: SessionLike, card: str = VISA, email: str | None = "buyer@example.com") -> Json:
        """Pay an open session; its events are delivered and handled. Returns Stripe's session.

        Raises StripeRefusal for a session that is not open, and ValueError for a number that is no test card.
        """
        return run_blocking(self._story.pay(session, card, email))

    def decline(self, session: SessionLike, card: str = DECLINED) -> Json:
        """Try a card that is declined. Returns the failed charge; the session stays open."""
        return run_blocking(self._story.decline(session, card))

    def expire(self, session: SessionLike) -> Json:
        """Let an open session run out. Returns it."""
        return run_blocking(self._story.expire(session))

    def refund(self, paid: SessionLike, amount_minor: int | None = None) -> Json:
        """Give back what a session or payment intent took, or a part of it. Returns the refund."""
        return run_blocking(self._story.refund(paid, amount_minor))

    def dispute(self, paid: SessionLike, why: Why = "fraudulent") -> Json:
        """Let the buyer's bank dispute what a session or payment intent took. Returns the dispute."""
        return run_blocking(self._story.dispute(paid, why))

    def advance(self, time_: timedelta | float) -> int:
        """Let time pass, by a timedelta or seconds: sessions run out, retries come, of webhooks and of handlers.

        Returns the new time in epoch seconds.
        """
        return run_blocking(self._story.advance(time_))

    def deliver(self) -> int:
        """Make the deliveries that are due, for what was done to `sandbox` itself. Returns how many there were."""
        return run_blocking(self._story.deliver())

    def events(self, *types: str) -> list[Json]:
        """Stripe's events so far, or those of the types given."""
        return self.sandbox.events(*types)

    def assert_effect_once(self, effect: Effect, session: SessionLike | None = None, *, twins: bool = True) -> None:
        """Fail unless an effect has happened once, and stays at once whatever is delivered again.

        `effect` tells how often it happened: a number, or what it left behind (a list of orders). Every event of the
        session, or of all sessions, is delivered again, latest first, and once more under another id, as Stripe
        documents that it may; then the success page and the reconciler look. Raw handlers (`"charge.refunded"`) run
        once per event id: for their effects say `twins=False`.
        """
        run_blocking(self._story.assert_effect_once(effect, session, twins=twins))


class AsyncOfflineStripe:
    """For async tests: what `OfflineStripe` has, awaited on the test's own loop."""

    def __init__(self, offline: OfflineStripe) -> None:
        self.offline = offline
        self.sandbox = offline.sandbox
        self._story = Story(offline.sandbox, _ADDRESS, lambda: offline.attached.direct)

    async def pay(self, session: SessionLike, card: str = VISA, email: str | None = "buyer@example.com") -> Json:
        """See OfflineStripe."""
        return await self._story.pay(session, card, email)

    async def decline(self, session: SessionLike, card: str = DECLINED) -> Json:
        """See OfflineStripe."""
        return await self._story.decline(session, card)

    async def expire(self, session: SessionLike) -> Json:
        """See OfflineStripe."""
        return await self._story.expire(session)

    async def refund(self, paid: SessionLike, amount_minor: int | None = None) -> Json:
        """See OfflineStripe."""
        return await self._story.refund(paid, amount_minor)

    async def dispute(self, paid: SessionLike, why: Why = "fraudulent") -> Json:
        """See OfflineStripe."""
        return await self._story.dispute(paid, why)

    async def advance(self, time_: timedelta | float) -> int:
        """See OfflineStripe."""
        return await self._story.advance(time_)

    async def deliver(self) -> int:
        """See OfflineStripe."""
        return await self._story.deliver()

    def events(self, *types: str) -> list[Json]:
        """See OfflineStripe."""
        return self.sandbox.events(*types)

    async def assert_effect_once(
        self, effect: Effect, session: SessionLike | None = None, *, twins: bool = True
    ) -> None:
        """See OfflineStripe; `effect` may be a coroutine function."""
        await self._story.assert_effect_once(effect, session, twins=twins)


class LocatedPayments(AsyncPayments):
    """AsyncPayments that knows the loop it was started on, so that a plain test can reach it there.

    Connections belong to their loop, and the runners of async tests end it before any fixture is told. What such an end
    does first is to cancel the loop's tasks: one of them waits for just that, and closes everything.
    """

    loop: asyncio.AbstractEventLoop | None = None
    _watch: asyncio.Task[None] | None = None

    async def start(self, *, runner: bool | None = None) -> None:
        """See AsyncPayments."""
        await super().start(runner=runner)
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
            self._watch = self.loop.create_task(self._close_with_the_loop())

    async def close(self, *, grace_s: float = GRACE_S) -> None:
        """See AsyncPayments."""
        self.loop, watch, self._watch = None, self._watch, None
        if watch is not None and watch is not asyncio.current_task():
            watch.cancel()
        await super().close(grace_s=grace_s)

    async def _close_with_the_loop(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if self._watch is not None:
                await self.close()


def _loop_of(payments: AsyncPayments) -> Callable[[], asyncio.AbstractEventLoop | None]:
    return lambda: payments.loop if isinstance(payments, LocatedPayments) else None
