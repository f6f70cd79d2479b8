"""An event sent once more on request, and what that changes of its own deliveries: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, Clock, Mailbox, cart
from tests.sandbox.test_deliveries import expire_one

ENDPOINTS = "/v1/webhook_endpoints"


def deliver(sandbox: Sandbox) -> int:
    """Make what is due."""
    return asyncio.run(sandbox.deliver_due())


def test_a_resent_event_arrives_again_at_every_endpoint_that_wants_it(api: Caller, mailbox: Mailbox) -> None:
    """The same id, signed afresh; the answer is the event."""
    api.ok("POST", ENDPOINTS, {"url": "http://other.test/", "enabled_events": ["charge.succeeded"]})
    event_id = expire_one(api)
    deliver(api.sandbox)

    again = api.ok("POST", f"/v1/events/{event_id}/retry")

    assert deliver(api.sandbox) == 1
    assert again["id"] == event_id
    assert [sent.event["id"] for sent in mailbox.sent] == [event_id, event_id]


def test_one_endpoint_alone_may_be_named(api: Caller, mailbox: Mailbox) -> None:
    """As `stripe events resend --webhook-endpoint` does; a foreign or disabled one is refused."""
    other = api.ok("POST", ENDPOINTS, {"url": "http://other.test/", "enabled_events": ["*"]})
    event_id = expire_one(api)
    deliver(api.sandbox)
    mailbox.sent.clear()

    api.ok("POST", f"/v1/events/{event_id}/retry", {"webhook_endpoint": other["id"]})
    deliver(api.sandbox)
    api.ok("POST", f"{ENDPOINTS}/{other['id']}", {"disabled": True})

    assert [sent.url for sent in mailbox.sent] == ["http://other.test/"]
    refused = [
        api.refusal("POST", f"/v1/events/{event_id}/retry", {"webhook_endpoint": name})
        for name in (other["id"], "we_unknown")
    ]
    assert [refusal["param"] for refusal in refused] == ["webhook_endpoint", "webhook_endpoint"]


def test_a_manual_success_does_not_end_the_retries(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """The endpoint counts as told, and is told once more when the retry's time comes, as at Stripe."""
    event_id = expire_one(api)
    mailbox.status = 500
    deliver(api.sandbox)
    mailbox.status = 200

    api.sandbox.resend(event_id)
    deliver(api.sandbox)
    pending = api.ok("GET", f"/v1/events/{event_id}")["pending_webhooks"]
    clock.advance(2)

    assert pending == 0
    assert deliver(api.sandbox) == 1


def test_a_manual_failure_is_not_tried_again(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """Whoever asked sees it, and may ask again."""
    event_id = expire_one(api)
    deliver(api.sandbox)
    mailbox.status = 500
    api.sandbox.resend(event_id)
    deliver(api.sandbox)
    clock.advance(86_400)

    assert deliver(api.sandbox) == 0
    assert [(one.extra, one.last_status) for one in api.sandbox.deliveries()] == [(False, 200), (True, 500)]


def test_what_is_older_than_thirty_days_cannot_be_resent(api: Caller, clock: Clock) -> None:
    """Nor what never was."""
    event_id = expire_one(api)
    clock.advance(30 * 86_400)

    refused: list[dict[str, Any]] = [
        api.refusal("POST", f"/v1/events/{name}/retry") for name in (event_id, "evt_unknown")
    ]

    assert [refusal["status"] for refusal in refused] == [404, 404]


def test_an_endpoint_gets_only_its_own_types_again(api: Caller, mailbox: Mailbox) -> None:
    """A resend to all leaves out those that did not ask for the type."""
    (own,) = api.ok("GET", ENDPOINTS)["data"]
    api.ok("POST", f"{ENDPOINTS}/{own['id']}", {"enabled_events": ["checkout.session.completed"]})
    session = api.ok("POST", "/v1/checkout/sessions", cart())
    api.sandbox.pay(session["id"])
    created = next(event for event in api.sandbox.events("payment_intent.created"))
    deliver(api.sandbox)

    api.sandbox.resend(created["id"])

    assert deliver(api.sandbox) == 0
    assert [sent.event["type"] for sent in mailbox.sent] == ["checkout.session.completed"]
