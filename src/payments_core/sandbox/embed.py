"""`Sandbox`: one local Stripe as a Python object, for tests, for embedding and for the command line.

Every door into the state leads through here and takes the same lock, so that a test's thread may pay a session while
a server thread answers requests. Deliveries are made by whoever asks for them: `deliver_due()` in a test, a loop in
`payments sandbox`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from . import deliveries, page, payments, refunds, render
from .api import Api, ApiReply, ApiRequest, Opened
from .cards import Attempt, CardFields, read
from .deliveries import Post
from .dispatch import Sender, SendFailed, send
from .errors import JsonObject, StripeRefusal
from .form import Tree
from .ids import RandomIds
from .params import Params, absolute_url
from .records import Buyer, Charge, Delivery, Endpoint, Session
from .state import Context, State

if TYPE_CHECKING:
    from starlette.applications import Starlette

T = TypeVar("T")
FIRST_DELIVERY_WAIT_S = 10


def wall_clock() -> int:
    """Epoch seconds by this machine's clock."""
    return int(time.time())


async def _at_once() -> None:
    """Requests take no time unless a test says so."""


class Sandbox:
    """A stateful local Stripe.

    `clock` returns epoch seconds, `seed` makes ids repeatable, `forward_to` are webhook URLs that get every event
    signed with `webhook_secret` (made up where not given). `send` replaces the HTTP client of deliveries, `pause` is
    awaited inside every API request and stands for the time Stripe takes.
    """

    def __init__(
        self,
        *,
        webhook_secret: str | None = None,
        forward_to: Sequence[str] = (),
        clock: Callable[[], int] = wall_clock,
        seed: int | None = None,
        base_url: str = "http://127.0.0.1:12111",
        send: Sender = send,
        pause: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._ids = RandomIds(seed)
        self._send = send
        self._pause = pause
        self._lock = threading.RLock()
        self._app: Starlette | None = None
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self.webhook_secret = webhook_secret or self._ids.new("whsec_", 32)
        self.state = State(account=self._ids.new("acct_1", 15), opened=clock())
        self._api = Api(self.state, self._ids)
        for url in forward_to:
            self._forward(absolute_url(url, "forward_to"))

    @property
    def app(self) -> Starlette:
        """The ASGI application: the API under `/v1`, the payment page under `/c/pay`, the status page at `/`.

        Raises ImportError where the `sandbox` extra is not installed.
        """
        if self._app is None:
            from .app import create_app

            self._app = create_app(self)
        return self._app

    def pay(
        self, session_id: str, card: str = "4242424242424242", email: str | None = "buyer@example.com"
    ) -> JsonObject:
        """Pay an open session as a buyer would. Returns the session; the card may be a declining one.

        Raises StripeRefusal for a session that is not open, and ValueError for a number that is no test card.
        """
        self._attempt(session_id, card, email)
        return self.session(session_id)

    def decline(
        self, session_id: str, card: str = "4000000000000002", email: str | None = "buyer@example.com"
    ) -> JsonObject:
        """Try a card that is declined. Returns the failed charge; the session stays open."""
        charge = self._attempt(session_id, card, email)
        if charge is None or charge.decline is None:
            raise ValueError("this session was paid: the card is not one that declines, or the total is zero")
        return self._do(lambda context: render.charge(context, charge))

    def refund(self, payment_intent: str, amount_minor: int | None = None) -> JsonObject:
        """Give back what a payment intent took, or a part of it. Returns the refund.

        Raises StripeRefusal where there is nothing, or not so much, to give back.
        """
        wanted: Tree = {"payment_intent": payment_intent}
        if amount_minor is not None:
            wanted["amount"] = str(amount_minor)
        return self._do(lambda context: render.refund(refunds.create(context, Params(wanted))))

    def lose_event(self, event_id: str) -> None:
        """Forget an event and its deliveries, as if Stripe had never made it."""

        def work(context: Context) -> None:
            for delivery in deliveries.of_event(context.state, event_id):
                context.state.deliveries.drop(delivery.id)
            context.state.events.drop(event_id)

        self._do(work)

    def expire(self, session_id: str) -> JsonObject:
        """End an open session, as its time running out would. Returns it."""
        return self._do(
            lambda context: render.session(
                context, payments.expire(context, context.state.sessions.need(session_id, "session"))
            )
        )

    def session(self, session_id: str) -> JsonObject:
        """A session as the API shows it."""
        return self._do(lambda context: render.session(context, context.state.sessions.need(session_id, "session")))

    def events(self, *types: str) -> list[JsonObject]:
        """All events so far in the order they happened, or those of the types given."""
        return self._do(
            lambda context: [
                render.event(context, event) for event in context.state.events if not types or event.type in types
            ]
        )

    def deliveries(self) -> list[Delivery]:
        """Every delivery with its attempts, last status and next try."""
        return self._do(lambda context: list(context.state.deliveries))

    def due(self) -> list[Post]:
        """The signed requests that should be made by now. Whoever makes one reports it with `record`."""
        return self._do(self._compose)

    def record(self, post: Post, *, status: int | None, error: str | None = None) -> None:
        """Report how a delivery went: the reply's status, or None and a reason."""
        self._do(
            lambda context: deliveries.record(context.state, post.delivery, context.now, status=status, error=error)
        )

    async def deliver_due(self) -> int:
        """Make every delivery that is due, at once and in no promised order. Returns how many were tried."""
        tasks = self.start_due()
        await asyncio.gather(*tasks)
        return len(tasks)

    def start_due(self) -> list[asyncio.Task[None]]:
        """Begin every delivery that is due and not under way, without waiting for any. Needs a running loop."""
        self._forget_dead_loops()
        return [self._task(post) for post in self.due() if post.delivery not in self._in_flight]

    async def first_deliveries(self) -> None:
        """Make what is due and wait for all deliveries under way, at most 10 s, as Stripe does before it redirects."""
        self.start_due()
        if self._in_flight:
            await asyncio.wait(list(self._in_flight.values()), timeout=FIRST_DELIVERY_WAIT_S)

    def next_due_in(self) -> int | None:
        """Seconds until something is to be done by itself: a delivery or a session's expiry. None: nothing waits."""

        def soonest(context: Context) -> int | None:
            times = [session.expires_at for session in context.state.sessions if session.status == "open"]
            at = deliveries.next_due_at(context.state)
            times += [] if at is None else [at]
            return max(0, min(times) - context.now) if times else None

        return self._do(soonest)

    async def answer(self, request: ApiRequest) -> ApiReply:
        """One API request, for the ASGI application."""
        with self._lock:
            opened = self._api.open(request, self._clock())
        if not isinstance(opened, Opened):
            return opened
        try:
            await self._pause()
        except BaseException:
            self._api.abandon(opened)
            raise
        with self._lock:
            return self._api.run(opened, self._clock(), self.base_url)

    def show_page(self, session_id: str) -> page.Outcome:
        """The payment page of a session, for the ASGI application."""
        return self._do(lambda context: page.show(context, session_id))

    def submit_page(self, session_id: str, form: page.PayForm) -> page.Outcome:
        """A submitted payment page, for the ASGI application."""
        return self._do(lambda context: page.submit(context, session_id, form))

    def _forward(self, url: str) -> None:
        endpoint = Endpoint(
            id=self._ids.new("we_1", 23),
            created=self._clock(),
            url=url,
            secret=self.webhook_secret,
            description="Given to the sandbox at its start",
        )
        self.state.endpoints.put(endpoint)

    def _do(self, work: Callable[[Context], T]) -> T:
        """Run `work` on the state under the lock, after ending what has run out by now."""
        with self._lock:
            context = Context(self.state, self._clock(), self._ids, self.base_url)
            payments.expire_overdue(context)
            return work(context)

    def _compose(self, context: Context) -> list[Post]:
        composed = [
            deliveries.compose(context.state, delivery, context.now)
            for delivery in deliveries.due(context.state, context.now)
        ]
        return [post for post in composed if post is not None]

    def _forget_dead_loops(self) -> None:
        """A test's loop may have been closed with a delivery under way: it is due again."""
        for delivery_id, task in list(self._in_flight.items()):
            if task.get_loop().is_closed():
                del self._in_flight[delivery_id]

    def _task(self, post: Post) -> asyncio.Task[None]:
        task = asyncio.create_task(self._try(post))
        self._in_flight[post.delivery] = task
        task.add_done_callback(lambda _: self._in_flight.pop(post.delivery, None))
        return task

    async def _try(self, post: Post) -> None:
        try:
            status = await self._send(post.url, post.body, post.headers)
        except SendFailed as failure:
            self.record(post, status=None, error=str(failure))
        else:
            self.record(post, status=status)

    def _attempt(self, session_id: str, number: str, email: str | None) -> Charge | None:
        def work(context: Context) -> Charge | None:
            session: Session = context.state.sessions.need(session_id, "session")
            buyer = Buyer(session.customer_email or email, "Jenny Rosen")
            if session.amount_minor == 0:
                payments.settle_free(context, session, buyer)
                return None
            return payments.attempt(context, session, buyer, _test_card(number, context.now))

        return self._do(work)


def _test_card(number: str, now: int) -> Attempt:
    expiry = f"12/{time.gmtime(now).tm_year + 2}"
    found = read(CardFields(number, expiry, "123"), now)
    if isinstance(found, Attempt):
        return found
    raise ValueError(" ".join(found.values()))


__all__ = ["Sandbox", "StripeRefusal"]
