"""Taking a webhook in: signature, envelope, one durable row, and then the answer."""

from __future__ import annotations

import hashlib
import logging

from attrs import field, frozen

from ..domain.delivery import ReceivedEvent
from ..domain.envelope import read_envelope
from ..domain.news import OWN_PREFIX
from ..domain.signature import check_signature
from ..errors import InvalidSignature, MalformedEvent, StoreUnavailable
from ..ports import Clock, Meter, Store, Unmetered, Waiter

_log = logging.getLogger("payments_core.webhooks")


@frozen
class Intake:
    """Receives webhooks. `secrets` are all current; the order is that of the configuration."""

    store: Store
    waiter: Waiter
    clock: Clock
    secrets: tuple[str, ...] = field(repr=False)
    meter: Meter = field(factory=Unmetered)

    async def receive(self, body: bytes, signature: str | None, *, traceparent: str | None = None) -> bool:
        """Store an authenticated event; True when it is new. On return the row is on disk.

        Raises InvalidSignature, with nothing stored or logged of the body, and StoreUnavailable.
        """
        try:
            check_signature(body, signature, self.secrets, now_s=int(self.clock().timestamp()))
        except InvalidSignature as refused:
            _log.warning("Webhook refused: %s", refused.cause, extra={"cause": refused.cause})
            self.meter.webhook("refused", cause=refused.label)
            raise
        event = received_event(body, traceparent)
        if event.unreadable is not None:
            facts = {"eventId": event.event_id, "cause": event.unreadable}
            _log.error("Webhook cannot be read: %s", event.unreadable, extra=facts)
        try:
            is_new = await self.store.receive(event)
        except StoreUnavailable:
            self.meter.webhook("unavailable")
            raise
        self.waiter.nudge()
        self.meter.webhook("repeated" if not is_new else "stored" if event.unreadable is None else "unreadable")
        return is_new


def received_event(body: bytes, traceparent: str | None = None) -> ReceivedEvent:
    """The row for an authentic body; one that cannot be an event of Stripe's is kept under its digest and reported."""
    try:
        envelope = read_envelope(body)
        if envelope.type.startswith(OWN_PREFIX):
            raise MalformedEvent("Its type is one of this library's own, which Stripe does not send.")
    except MalformedEvent as unreadable:
        digest = hashlib.sha256(body).hexdigest()
        return ReceivedEvent(f"unreadable_{digest}", "unreadable", body, unreadable=str(unreadable))
    return ReceivedEvent(
        envelope.event_id, envelope.type, body, envelope.account, envelope.livemode, traceparent=traceparent
    )
