"""What can happen to a payment in a test, told once for both worlds.

It happens at the sandbox, and everybody who is attached hears of it and handles it before the story goes on.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from payments_core.domain.signature import sign

if TYPE_CHECKING:
    from payments_core.sandbox import Sandbox
    from payments_core.testing.receivers import Receiver

Json: TypeAlias = "dict[str, Any]"
#: A session's id, what `create_checkout_session` returned, the route's JSON, or Stripe's session.
SessionLike: TypeAlias = "str | Mapping[str, Any] | HasSessionId"
#: Why a bank disputes a charge.
Why: TypeAlias = Literal["fraudulent", "product_not_received", "inquiry"]
#: How often something happened: a number, or a collection of what it left behind.
Effect: TypeAlias = "Callable[[], int | Sized | Awaitable[int | Sized]]"

VISA: Final = "4242424242424242"
DECLINED: Final = "4000000000000002"
_SIGNATURE: Final = "Stripe-Signature"


class HasSessionId(Protocol):
    """What `create_checkout_session` returns."""

    @property
    def session_id(self) -> str:
        """`cs_…`."""
        ...


class Story:
    """The flows over one sandbox and whoever is attached to it now."""

    def __init__(self, sandbox: Sandbox, address: str, receivers: Callable[[], Sequence[Receiver]]) -> None:
        """`address` is where the sandbox believes the receivers to be."""
        self._sandbox = sandbox
        self._address = address
        self._receivers = receivers

    async def pay(self, session: SessionLike, card: str, email: str | None) -> Json:
        """A buyer pays."""
        paid = self._sandbox.pay(id_of(session), card, email)
        await self.deliver()
        return paid

    async def decline(self, session: SessionLike, card: str) -> Json:
        """A buyer's card is declined."""
        charge = self._sandbox.decline(id_of(session), card)
        await self.deliver()
        return charge

    async def expire(self, session: SessionLike) -> Json:
        """The session's time runs out."""
        ended = self._sandbox.expire(id_of(session))
        await self.deliver()
        return ended

    async def refund(self, paid: SessionLike, amount_minor: int | None) -> Json:
        """The shop gives money back."""
        refund = self._sandbox.refund(self._intent_of(paid), amount_minor)
        await self.deliver()
        return refund

    async def dispute(self, paid: SessionLike, why: Why) -> Json:
        """The buyer's bank takes the money back."""
        dispute = self._sandbox.dispute(self._intent_of(paid), why)
        await self.deliver()
        return dispute

    async def advance(self, time: timedelta | float) -> int:
        """Time passes, for the sandbox and for the library alike; what comes due happens at its own moment."""
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        target = self._sandbox.now() + math.ceil(seconds)
        await self.deliver()
        while (wait := await self._next_s()) is not None and self._sandbox.now() + wait <= target:
            self._sandbox.advance(wait)
            await self.deliver()
        self._sandbox.advance(max(0, target - self._sandbox.now()))
        await self.deliver()
        return self._sandbox.now()

    async def deliver(self) -> int:
        """Make the deliveries that are due and let them be handled; how many there were.

        Handlers may cause events of their own; those are delivered as well.
        """
        receivers, made = self._receivers(), 0
        while receivers:
            posts = self._sandbox.due()
            for post in posts:
                if post.url != self._address:
                    self._sandbox.record(post, status=None, error="nobody listens there in this test")
                    continue
                statuses = [await receiver.receive(post.body, dict(post.headers)) for receiver in receivers]
                self._sandbox.record(post, status=max(statuses))
            for receiver in receivers:
                await receiver.drain()
            made += len(posts)
            if not posts:
                break
        return made

    async def assert_effect_once(self, effect: Effect, session: SessionLike | None, *, twins: bool) -> None:
        """Bring all the news again, in every way there is, and see that nothing happens again."""
        wanted = None if session is None else id_of(session)
        await _expect_once(effect, "before anything was delivered again")
        for event, body in self._bodies(wanted, twins=twins):
            await self._bring(body)
            await _expect_once(effect, f"after {event} was delivered again")
        for session_id in [wanted] if wanted else self._sessions():
            for receiver in self._receivers():
                await receiver.look_again(session_id)
                await receiver.drain()
            await _expect_once(effect, "after success page and reconciler had looked again")

    async def _bring(self, body: bytes) -> None:
        header = sign(body, self._sandbox.webhook_secret, timestamp_s=self._sandbox.now())
        for receiver in self._receivers():
            await receiver.receive(body, {_SIGNATURE: header, "Content-Type": "application/json"})
            await receiver.drain()

    def _bodies(self, session_id: str | None, *, twins: bool) -> list[tuple[str, bytes]]:
        """What to deliver again, the latest first: each event as it was, and a second event of the same fact."""
        events = [event for event in self._sandbox.events() if session_id is None or _is_about(event, session_id)]
        if session_id is not None:
            intent = self._sandbox.session(session_id)["payment_intent"]
            events += [event for event in self._sandbox.events() if intent is not None and _is_about(event, intent)]
        found: dict[str, Json] = {event["id"]: event for event in events}
        bodies: list[tuple[str, bytes]] = []
        for event in reversed(found.values()):
            name = f"{event['type']} ({event['id']})"
            bodies.append((name, json.dumps(event).encode()))
            if twins:
                twin = {**event, "id": f"{event['id']}twin"}
                bodies.append((f"a second event of the same fact as {name}", json.dumps(twin).encode()))
        return bodies

    def _sessions(self) -> list[str]:
        events = self._sandbox.events("checkout.session.completed")
        return [event["data"]["object"]["id"] for event in events]

    async def _next_s(self) -> int | None:
        """Whole seconds until something is due anywhere; at least one, since time must pass for it."""
        waits = [self._sandbox.next_due_in(), *[await receiver.next_due_s() for receiver in self._receivers()]]
        return min((max(1, math.ceil(wait)) for wait in waits if wait is not None), default=None)

    def _intent_of(self, paid: SessionLike) -> str:
        if isinstance(paid, str) and paid.startswith("pi_"):
            return paid
        session = self._sandbox.session(id_of(paid))
        if session["payment_intent"] is None:
            raise ValueError(f"{session['id']} has not been paid")
        return str(session["payment_intent"])


def id_of(session: SessionLike) -> str:
    """The id of a session in any of its forms. Raises TypeError for what is none."""
    if isinstance(session, Mapping):
        found: object = session.get("sessionId", session.get("id"))
    elif isinstance(session, str):
        found = session
    else:
        found = getattr(session, "session_id", getattr(session, "id", None))
    if not isinstance(found, str):
        raise TypeError(f"{type(session).__name__} is no checkout session: give its id, or what was answered for it")
    return found


def _is_about(event: Json, object_id: str) -> bool:
    subject = event["data"]["object"]
    return object_id in (subject["id"], subject.get("payment_intent"))


async def _expect_once(effect: Effect, when: str) -> None:
    found = effect()
    if inspect.isawaitable(found):
        found = await found
    times = found if isinstance(found, int) else len(found)
    if times != 1:
        raise AssertionError(f"The effect was there {times} times, not once, {when}.")
