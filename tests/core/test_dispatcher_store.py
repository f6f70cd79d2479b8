"""The lone dispatcher with a store that remembers what was handled."""

from __future__ import annotations

import time

import pytest

from payments_core.domain.signature import sign
from payments_core.errors import FlowSuspendedError
from payments_core.webhooks import AsyncWebhookDispatcher, StripeEvent, WebhookDispatcher

SECRET = "whsec_of_a_test"
BODY = b'{"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}}'


class Remembered:
    """A store in memory."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def is_handled(self, event_id: str) -> bool:
        return event_id in self.ids

    def mark_handled(self, event_id: str) -> None:
        self.ids.add(event_id)


class RememberedLater:
    """A store that has to be awaited."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def is_handled(self, event_id: str) -> bool:
        return event_id in self.ids

    async def mark_handled(self, event_id: str) -> None:
        self.ids.add(event_id)


def signature() -> str:
    """A header that is good now."""
    return sign(BODY, SECRET, timestamp_s=int(time.time()))


def test_without_a_store_every_delivery_is_dispatched() -> None:
    """It keeps no memory of its own."""
    seen: list[str] = []
    dispatcher = WebhookDispatcher([SECRET])
    dispatcher.on("charge.refunded")(lambda event: seen.append(event.id))
    assert [dispatcher.dispatch(BODY, signature()).handlers for _ in range(2)] == [1, 1]
    assert seen == ["evt_1", "evt_1"]


def test_a_store_keeps_a_handled_event_from_running_again() -> None:
    """The second delivery is told from the first, and runs nothing."""
    seen: list[str] = []
    dispatcher = WebhookDispatcher([SECRET], store=Remembered())
    dispatcher.on("charge.refunded")(lambda event: seen.append(event.id))
    first, second = (dispatcher.dispatch(BODY, signature()) for _ in range(2))
    assert (first.handlers, first.duplicate) == (1, False)
    assert (second.handlers, second.duplicate) == (0, True)
    assert seen == ["evt_1"]


def test_an_event_whose_handler_failed_is_not_remembered() -> None:
    """Handled means that every handler ran to its end; a failure is dispatched again."""
    seen: list[str] = []
    dispatcher = WebhookDispatcher([SECRET], store=Remembered())

    @dispatcher.on("charge.refunded")
    def fails_once(event: StripeEvent) -> None:
        seen.append(event.id)
        if len(seen) == 1:
            raise ValueError("not this time")

    with pytest.raises(ValueError, match="not this time"):
        dispatcher.dispatch(BODY, signature())
    assert dispatcher.dispatch(BODY, signature()).handled


def test_a_store_of_the_other_world_is_refused_loudly() -> None:
    """A store that has to be awaited would never be asked by the plain dispatcher."""
    dispatcher = WebhookDispatcher([SECRET], store=RememberedLater())
    with pytest.raises(FlowSuspendedError, match="AsyncWebhookDispatcher"):
        dispatcher.dispatch(BODY, signature())


@pytest.mark.parametrize("store", [Remembered(), RememberedLater()], ids=["plain", "awaited"])
async def test_the_asynchronous_dispatcher_takes_either_store(store: Remembered | RememberedLater) -> None:
    """Plain or awaited, the store is asked and told."""
    seen: list[str] = []
    dispatcher = AsyncWebhookDispatcher([SECRET], store=store)

    @dispatcher.on("charge.refunded")
    async def note(event: StripeEvent) -> None:
        seen.append(event.id)

    assert not (await dispatcher.dispatch(BODY, signature())).duplicate
    assert (await dispatcher.dispatch(BODY, signature())).duplicate
    assert seen == ["evt_1"]
