"""`Sandbox`: one local Stripe as a Python object, for tests, for embedding and for the command line.

Every door into the state leads through here and takes the same lock, so that a test's thread may pay a session while
a server thread answers requests. Deliveries are made by whoever asks for them: `deliver_due()` in a test, a loop in
`payments sandbox`. Time passes by the machine's clock, and faster by `advance`.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from attrs import evolve

from payments_core.drive import run_blocking

from . import deliveries, disputes, intents, payments, refunds, render, timetable
from .api import Api, ApiReply, ApiRequest, Opened
from .cards import Attempt, CardFields, code_length, read, two_years_on
from .chaos import CALM, Chaos
from .clock import SandboxClock, wall_clock
from .courier import Courier
from .debits import FAILED, ROUTING_NUMBER, Account, DebitFields, read_sepa, read_us
from .deliveries import Post
from .dispatch import Sender, send
from .errors import JsonObject, StripeRefusal
from .form import Tree
from .ids import RandomIds
from .params import Params, absolute_url
from .records.checkout import Session
from .records.events import Delivery, Endpoint
from .records.payments import Buyer, Decline, PaymentIntent
from .state import DEFAULT_TAX_PERCENT, Context, State
from .state_file import About, StateFile, StateFileRefused

if TYPE_CHECKING:
    from starlette.applications import Starlette

T = TypeVar("T")
GIVEN_AT_START = "Given to the sandbox at its start"


async def _at_once() -> None:
    """Requests take no time unless a test says so."""


def resume(state: State, urls: list[str]) -> None:
    """Make a kept state fit this start: who was given then and is not now hears no more, and connections are gone.

    Takes the URLs out of `urls` that are there already.
    """
    for endpoint in state.endpoints:
        if endpoint.description == GIVEN_AT_START and endpoint.kind == "webhook" and endpoint.url in urls:
            state.endpoints.put(evolve(endpoint, secret=state.webhook_secret))
            urls.remove(endpoint.url)
        elif endpoint.description == GIVEN_AT_START or endpoint.kind == "listener":
            state.endpoints.drop(endpoint.id)
    for entry in state.keys:
        if entry.reply is None:
            state.keys.drop(entry.id)


class Sandbox:
    """A stateful local Stripe.

    `clock` returns epoch seconds, `seed` makes ids and chaos repeatable (made up where not given, see `.seed`),
    `forward_to` are webhook URLs that get every event signed with `webhook_secret` (made up where not given). `chaos`
    says which deliveries go wrong: a `Chaos`, or text as `--chaos` takes it. `tax_percent` is what automatic tax
    takes. `send` replaces the HTTP client of deliveries, `pause` is awaited inside every API request and stands for
    the time Stripe takes.

    Signatures bear the time of `clock`, and not what `advance` added to it: the shop that checks them was not moved.
    `state_file` keeps everything across restarts; raises StateFileRefused for a file that is not a sandbox's.
    With `moves_receivers=True` they bear the moved time, for receivers whose clock is `now`.
    """

    def __init__(
        self,
        *,
        webhook_secret: str | None = None,
        forward_to: Sequence[str] = (),
        clock: Callable[[], int] = wall_clock,
        seed: int | None = None,
        base_url: str = "http://127.0.0.1:12111",
        chaos: Chaos | str | None = None,
        send: Sender = send,
        pause: Callable[[], Awaitable[None]] = _at_once,
        moves_receivers: bool = False,
        tax_percent: Decimal | str = DEFAULT_TAX_PERCENT,
        state_file: Path | str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.seed = secrets.randbits(32) if seed is None else seed
        self.chaos = Chaos.parse(chaos, self.seed) if isinstance(chaos, str) else chaos or CALM
        urls = [absolute_url(url, "forward_to") for url in forward_to]
        self.state_path = None if state_file is None else Path(state_file)
        self._file = None if self.state_path is None else StateFile(self.state_path)
        kept = self._file.about() if self._file else None
        self._starts = kept.starts + 1 if kept else 0
        self._clock = SandboxClock(clock, kept.ahead_s if kept else 0)
        self._signing_clock = self._clock.now if moves_receivers else clock
        self._ids = RandomIds(self.seed, starts=self._starts)
        self._pause = pause
        self._lock = threading.RLock()
        self._app: Starlette | None = None
        self.courier = Courier(self, send)
        secret = webhook_secret or (kept.webhook_secret if kept else self._ids.new("whsec_", 32))
        self.state = State(
            account=kept.account if kept else self._ids.new("acct_1", 15),
            opened=kept.opened if kept else clock(),
            webhook_secret=secret,
            tax_percent=_percent(tax_percent),
        )
        self._api = Api(self.state, self._ids)
        if self._file:
            self._file.load(self.state)
            resume(self.state, urls)
        for url in urls:
            self._forward(url)
        self._keep()

    @property
    def webhook_secret(self) -> str:
        """Signs what `forward_to` and `stripe listen` get."""
        return self.state.webhook_secret

    @property
    def app(self) -> Starlette:
        """The ASGI application: the API under `/v1`, the payment page under `/c/pay`, the dashboard at `/`.

        Raises ImportError where the `sandbox` extra is not installed.
        """
        if self._app is None:
            from .app import create_app

            self._app = create_app(self)
        return self._app

    def pay(
        self,
        session_id: str,
        card: str = "4242424242424242",
        email: str | None = "buyer@example.com",
        *,
        debit: str | None = None,
        authenticate: bool = True,
    ) -> JsonObject:
        """Pay an open session as a buyer would. Returns the session; the card may be a declining one.

        `debit`: pay by bank debit instead, with this test IBAN (EUR) or account number (USD); the session is then
        complete and unpaid until `settle`, `fail` or the clock. `authenticate`: how the buyer meets a 3-D Secure card.
        Raises StripeRefusal for a session that is not open, and ValueError for a number that is no test number.
        """
        intent = self._attempt(session_id, card, email, debit)
        if intent is not None and intent.status == "requires_action":
            self.authenticate(intent.id, passed=authenticate)
        return self.session(session_id)

    def decline(
        self, session_id: str, card: str = "4000000000000002", email: str | None = "buyer@example.com"
    ) -> JsonObject:
        """Try a card that is declined. Returns the failed charge; the session stays open."""
        intent = self._attempt(session_id, card, email)
        if intent is None or intent.failure is None or intent.failure.charge is None:
            raise ValueError("nothing was declined: the card is not one that declines at once, or the total is zero")
        charge_id = intent.failure.charge
        return self.do(lambda context: render.charge(context, context.state.charges.need(charge_id)))

    def authenticate(self, payment_intent: str, *, passed: bool = True) -> JsonObject:
        """Answer the 3-D Secure challenge of a payment intent that requires action. Returns the intent."""

        def work(context: Context) -> JsonObject:
            intent = context.state.intents.need(payment_intent, "intent")
            return render.payment_intent(context, intents.authenticate(context, intent, passed=passed))

        return self.do(work)

    def settle(self, session_id: str) -> JsonObject:
        """The bank pays a session's debit. Returns the session. Raises StripeRefusal where none is under way."""
        return self._answer_debit(session_id, None)

    def fail(self, session_id: str) -> JsonObject:
        """The bank refuses a session's debit. Returns the session. Raises StripeRefusal where none is under way."""
        return self._answer_debit(session_id, FAILED)

    def refund(self, payment_intent: str, amount_minor: int | None = None) -> JsonObject:
        """Give back what a payment intent took, or a part of it. Returns the refund.

        Raises StripeRefusal where there is nothing, or not so much, to give back.
        """
        wanted: Tree = {"payment_intent": payment_intent}
        if amount_minor is not None:
            wanted["amount"] = str(amount_minor)
        return self.do(lambda context: render.refund(refunds.create(context, Params(wanted))))

    def dispute(
        self, payment_intent: str, why: Literal["fraudulent", "product_not_received", "inquiry"] = "fraudulent"
    ) -> JsonObject:
        """Let the buyer's bank dispute what a payment intent took. Returns the dispute.

        Raises StripeRefusal where nothing was taken, or it is disputed already.
        """

        def work(context: Context) -> JsonObject:
            intent = context.state.intents.need(payment_intent, "intent")
            charge = context.state.charges.need(intent.latest_charge or "", "charge")
            return render.dispute(context, disputes.raise_by_bank(context, charge, why))

        return self.do(work)

    def lose_event(self, event_id: str) -> None:
        """Forget an event and its deliveries, as if Stripe had never made it."""

        def work(context: Context) -> None:
            for delivery in deliveries.of_event(context.state, event_id):
                context.state.deliveries.drop(delivery.id)
            context.state.events.drop(event_id)

        self.do(work)

    def expire(self, session_id: str) -> JsonObject:
        """End an open session, as its time running out would. Returns it."""
        return self.do(
            lambda context: render.session(
                context, payments.expire(context, context.state.sessions.need(session_id, "session"))
            )
        )

    def session(self, session_id: str) -> JsonObject:
        """A session as the API shows it."""
        return self.do(lambda context: render.session(context, context.state.sessions.need(session_id, "session")))

    def events(self, *types: str) -> list[JsonObject]:
        """All events so far in the order they happened, or those of the types given."""
        return self.do(
            lambda context: [
                render.event(context, event) for event in context.state.events if not types or event.type in types
            ]
        )

    def deliveries(self) -> list[Delivery]:
        """Every delivery with its attempts, last status and next try."""
        return self.do(lambda context: list(context.state.deliveries))

    def due(self, but: Collection[str] = ()) -> list[Post]:
        """The signed requests that should be made by now, but for the deliveries named.

        Whoever makes one reports it with `record`.
        """
        return self.do(lambda context: self._compose(context, but))

    def record(self, post: Post, *, status: int | None, error: str | None = None) -> None:
        """Report how a delivery went: the reply's status, or None and a reason."""
        self.do(
            lambda context: deliveries.record(context.state, post.delivery, context.now, status=status, error=error)
        )

    def resend(self, event_id: str, endpoint_id: str | None = None) -> JsonObject:
        """Send an event once more, to one endpoint or to all that want it. Returns the event.

        Raises StripeRefusal for an unknown or too old event, and for an unknown or disabled endpoint.
        """
        return self.do(lambda context: render.event(context, deliveries.resend(context, event_id, endpoint_id)))

    async def deliver_due(self) -> int:
        """Make every delivery that is due, at once and in no promised order. Returns how many were tried."""
        return await self.courier.deliver_due()

    def start_due(self) -> list[asyncio.Task[None]]:
        """Begin every delivery that is due and not under way, without waiting for any. Needs a running loop."""
        return self.courier.start_due()

    async def first_deliveries(self) -> None:
        """Make what is due and wait for all deliveries under way, at most 10 s, as Stripe does before it redirects."""
        await self.courier.first_deliveries()

    def now(self) -> int:
        """The sandbox's own time, epoch seconds."""
        return self._clock.now()

    @property
    def ahead_s(self) -> int:
        """How far `advance` has moved the sandbox's time, in seconds."""
        return self._clock.ahead_s

    def advance(self, time_: timedelta | float) -> int:
        """Move the sandbox's time on, by a timedelta or seconds; what runs out or settles on the way does so then.

        Deliveries that fall due are due, and not yet made. Returns the new time; raises ValueError for going back.
        """
        with self._lock:
            target = self._clock.now() + _seconds(time_)
            while (at := timetable.next_at(self.state)) is not None and at <= target:
                self._move_to(at)
            self._move_to(target)
            return target

    async def advance_and_deliver(self, time_: timedelta | float) -> int:
        """Move on as `advance` does, and make each delivery and each retry when its time comes. Returns the time."""
        target = self._clock.now() + _seconds(time_)
        await self.courier.deliver_due()
        while (at := self._next_at()) is not None and at <= target:
            step = max(0, at - self._clock.now())
            self.advance(step)
            if not await self.courier.deliver_due() and step == 0:
                # What waits for a connection that is away does not hold the time up.
                self.advance(min(1, target - self._clock.now()))
                if self._clock.now() >= target:
                    break
        return self.advance(max(0, target - self._clock.now()))

    def next_due_in(self) -> int | None:
        """Seconds until something is to be done by itself: a delivery or a session's expiry. None: nothing waits."""
        at = self._next_at()
        return None if at is None else max(0, at - self._clock.now())

    async def answer(self, request: ApiRequest) -> ApiReply:
        """One API request, for the ASGI application."""
        with self._lock:
            opened = self._api.open(request, self._clock.now())
        if not isinstance(opened, Opened):
            return opened
        try:
            await self._pause()
        except BaseException:
            self._api.abandon(opened)
            raise
        with self._lock:
            reply = self._api.run(opened, self._clock.now(), self.base_url, self.chaos)
            try:
                self._keep()
            except StateFileRefused as trouble:
                return ApiReply(500, StripeRefusal(str(trouble), status=500, kind="api_error").body(), reply.headers)
            return reply

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One API request without a server: status, headers and JSON of the reply. Header names are in lower case.

        Raises FlowSuspendedError where `pause` really waits.
        """
        parts = urlsplit(url)
        reply = run_blocking(self.answer(ApiRequest(method, parts.path, parts.query, body, headers)))
        return reply.status, reply.headers, json.dumps(reply.body, ensure_ascii=False).encode()

    def do(self, work: Callable[[Context], T]) -> T:
        """Run `work` on the state under the lock, after letting happen what has come due by now."""
        with self._lock:
            context = Context(self.state, self._clock.now(), self._ids, self.base_url, chaos=self.chaos)
            timetable.catch_up(context)
            result = work(context)
            self._keep()
            return result

    def close(self) -> None:
        """Let others have the state file, where there is one."""
        if self._file:
            self._file.close()
            self._file = None

    def _keep(self) -> None:
        """Under the lock: have the file say what is true now, before anybody hears of it."""
        if self._file:
            state = self.state
            self._file.save(
                state, About(state.account, state.opened, state.webhook_secret, self._clock.ahead_s, self._starts)
            )

    def _forward(self, url: str) -> None:
        endpoint = Endpoint(
            id=self._ids.new("we_1", 23),
            created=self._clock.now(),
            url=url,
            secret=self.webhook_secret,
            description=GIVEN_AT_START,
        )
        self.state.endpoints.put(endpoint)

    def _compose(self, context: Context, but: Collection[str]) -> list[Post]:
        composed = [
            deliveries.compose(context.state, delivery, self._signing_clock())
            for delivery in deliveries.due(context.state, context.now)
            if delivery.id not in but
        ]
        return [post for post in composed if post is not None]

    def _move_to(self, at: int) -> None:
        """Under the lock: make it `at`, and let happen what happens then."""
        self._clock.ahead_s += max(0, at - self._clock.now())
        self.do(lambda _: None)

    def _next_at(self) -> int | None:
        def soonest(context: Context) -> int | None:
            times = (timetable.next_at(context.state), deliveries.next_due_at(context.state))
            return min((at for at in times if at is not None), default=None)

        return self.do(soonest)

    def _answer_debit(self, session_id: str, decline: Decline | None) -> JsonObject:
        def work(context: Context) -> JsonObject:
            session = context.state.sessions.need(session_id, "session")
            intent = context.state.intents.get(session.payment_intent or "")
            if intent is None or intent.status != "processing":
                raise StripeRefusal(f"No debit of the Checkout Session {session_id} is under way.")
            intents.settle(context, intent, decline)
            return render.session(context, context.state.sessions.need(session_id))

        return self.do(work)

    def _attempt(
        self, session_id: str, number: str, email: str | None, debit: str | None = None
    ) -> PaymentIntent | None:
        def work(context: Context) -> PaymentIntent | None:
            session: Session = context.state.sessions.need(session_id, "session")
            buyer = Buyer(session.customer_email or email, "Jenny Rosen")
            if session.amount_minor == 0:
                payments.settle_free(context, session, buyer)
                return None
            how = _test_card(number, context.now) if debit is None else _test_account(debit)
            return payments.attempt(context, session, buyer, how)

        return self.do(work)


def _percent(tax_percent: Decimal | str) -> Decimal:
    try:
        percent = Decimal(tax_percent)
    except InvalidOperation:
        percent = Decimal(-1)
    if not percent.is_finite() or not 0 <= percent <= 100:
        raise ValueError("the tax percentage is an exact number from 0 to 100, as 8.875")
    return percent


def _seconds(time_: timedelta | float) -> int:
    seconds = time_.total_seconds() if isinstance(time_, timedelta) else time_
    if seconds < 0:
        raise ValueError("the sandbox's time goes forward only")
    return math.ceil(seconds)


def _test_account(number: str) -> Account:
    """By IBAN or by account number, whichever it is."""
    fields = DebitFields("Jenny Rosen", iban=number, routing_number=ROUTING_NUMBER, account_number=number)
    found = read_us(fields) if number.isdigit() else read_sepa(fields)
    if isinstance(found, Account):
        return found
    raise ValueError(" ".join(found.values()))


def _test_card(number: str, now: int) -> Attempt:
    month, year = two_years_on(now)
    found = read(CardFields(number, f"{month}/{year}", "1" * code_length(number)), now)
    if isinstance(found, Attempt):
        return found
    raise ValueError(" ".join(found.values()))


__all__ = ["Sandbox", "StripeRefusal"]
