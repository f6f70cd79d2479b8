"""Event destinations and thin notifications, as stripe-python reads them in both worlds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
import stripe

from payments_core.adapters.stripe.in_process import InProcessClient
from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, Clock, Mailbox, cart

DESTINATIONS = "/v2/core/event_destinations"
THIN: dict[str, Any] = {
    "name": "The shop",
    "type": "webhook_endpoint",
    "event_payload": "thin",
    "enabled_events": ["v1.checkout.session.completed", "v1.charge.refunded"],
    "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
    "webhook_endpoint": {"url": "http://thin.test/hook"},
}


@pytest.fixture
def client(sandbox: Sandbox) -> stripe.StripeClient:
    """Stripe's own client, in this process."""
    return stripe.StripeClient("sk_test_x", http_client=InProcessClient(sandbox.call))


def pay(api: Caller) -> dict[str, Any]:
    """A session that is paid, and everything delivered."""
    session = api.sandbox.pay(api.ok("POST", "/v1/checkout/sessions", cart())["id"])
    asyncio.run(api.sandbox.deliver_due())
    return session


def sent_to(mailbox: Mailbox, url: str) -> list[Any]:
    """What one address got."""
    return [sent for sent in mailbox.sent if sent.url == url]


def v2(api: Caller, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str) -> Any:
    """A v2 request with a JSON body: status and body of the reply."""
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    given = {**api.headers, "content-type": "application/json", **headers}
    status, _, reply = api.sandbox.call(method, f"http://sandbox{path}?{query}", given, content)
    return status, json.loads(reply)


def test_a_thin_destination_is_told_what_to_fetch(api: Caller, client: stripe.StripeClient, mailbox: Mailbox) -> None:
    """The SDK makes it, verifies the notification, and fetches the event and the session."""
    made = client.v2.core.event_destinations.create(THIN)  # type: ignore[arg-type]
    assert made.webhook_endpoint is not None
    secret = made.webhook_endpoint.signing_secret
    session = pay(api)

    (sent,) = sent_to(mailbox, "http://thin.test/hook")
    notification = client.parse_event_notification(
        sent.body, sent.headers["Stripe-Signature"], secret or "", tolerance=0
    )
    event = notification.fetch_event()

    assert isinstance(notification, stripe.events.V1CheckoutSessionCompletedEventNotification)
    assert notification.related_object.id == session["id"]
    assert notification.fetch_related_object().payment_status == "paid"
    (snapshot,) = api.sandbox.events("checkout.session.completed")
    assert (event.id, event.snapshot_event) == (notification.id, snapshot["id"])
    assert "amount_total" not in sent.body.decode()
    with pytest.raises(ValueError, match=r"parse_event_notification"):
        client.construct_event(sent.body, sent.headers["Stripe-Signature"], secret or "", tolerance=0)


async def test_the_same_awaited(sandbox: Sandbox, client: stripe.StripeClient, mailbox: Mailbox) -> None:
    """The SDK's asynchronous methods."""
    made = await client.v2.core.event_destinations.create_async(THIN)  # type: ignore[arg-type]
    session = await client.v1.checkout.sessions.create_async(cart())  # type: ignore[arg-type]
    intent = sandbox.pay(session.id)["payment_intent"]
    sandbox.refund(intent, 100)
    await sandbox.deliver_due()

    assert made.webhook_endpoint is not None
    assert made.webhook_endpoint.signing_secret is not None
    refunded = next(
        notification
        for sent in sent_to(mailbox, "http://thin.test/hook")
        for notification in [
            client.parse_event_notification(
                sent.body, sent.headers["Stripe-Signature"], made.webhook_endpoint.signing_secret, tolerance=0
            )
        ]
        if isinstance(notification, stripe.events.V1ChargeRefundedEventNotification)
    )
    event = await refunded.fetch_event_async()

    assert (await refunded.fetch_related_object_async()).amount_refunded == 100
    assert event.changes is not None
    changed = event.changes["before"]["amount_refunded"], event.changes["after"]["amount_refunded"]
    assert changed == (0, 100)


def test_a_snapshot_destination_gets_snapshots(api: Caller, client: stripe.StripeClient, mailbox: Mailbox) -> None:
    """Signed with its own secret, which is shown once."""
    made = client.v2.core.event_destinations.create(
        THIN | {"event_payload": "snapshot", "enabled_events": ["charge.succeeded"]}  # type: ignore[arg-type]
    )
    pay(api)

    (sent,) = sent_to(mailbox, "http://thin.test/hook")
    assert made.webhook_endpoint is not None
    event = client.construct_event(
        sent.body, sent.headers["Stripe-Signature"], made.webhook_endpoint.signing_secret or "", tolerance=0
    )
    assert event.type == "charge.succeeded"
    again = client.v2.core.event_destinations.retrieve(made.id, {"include": ["webhook_endpoint.url"]})
    assert again.webhook_endpoint is not None
    assert (again.webhook_endpoint.url, again.webhook_endpoint.signing_secret) == ("http://thin.test/hook", None)


def test_destinations_are_listed_changed_switched_and_deleted(client: stripe.StripeClient, api: Caller) -> None:
    """Page by page; they are no webhook endpoints of v1."""
    service = client.v2.core.event_destinations
    ids = [service.create(THIN | {"name": f"no {n}"}).id for n in range(3)]  # type: ignore[arg-type]

    listed = service.list({"limit": 2, "include": ["webhook_endpoint.url"]})
    changed = service.update(ids[0], {"name": "other", "metadata": {"a": "b"}, "enabled_events": ["*"]})
    assert [one.id for one in listed.auto_paging_iter()] == ids[::-1]
    assert all(one.webhook_endpoint and one.webhook_endpoint.url for one in listed.auto_paging_iter())
    assert (changed.name, changed.enabled_events) == ("other", ["*"])
    assert changed.metadata is not None
    assert changed.metadata["a"] == "b"
    assert service.disable(ids[0]).status == "disabled"
    assert service.enable(ids[0]).status == "enabled"
    assert service.delete(ids[0]).id == ids[0]
    assert api.refusal("GET", f"{DESTINATIONS}/{ids[0]}")["status"] == 404
    assert api.refusal("GET", f"/v1/webhook_endpoints/{ids[1]}")["status"] == 404
    assert len(api.ok("GET", "/v1/webhook_endpoints")["data"]) == 1


def test_thin_events_are_listed_by_object_type_and_time_for_thirty_days(
    client: stripe.StripeClient, api: Caller, clock: Clock
) -> None:
    """As their snapshots are; an unknown or old one is gone."""
    session = pay(api)
    clock.advance(10)
    pay(api)
    events = client.v2.core.events
    by_object = list(events.list({"object_id": session["id"]}).data)
    by_type = list(events.list({"types": ["v1.charge.succeeded"], "limit": 1}).auto_paging_iter())
    late = list(events.list({"created": {"gt": by_object[0].created}, "types": ["v1.charge.succeeded"]}).data)

    assert [event.type for event in by_object] == ["v1.checkout.session.completed"]
    assert len(by_type) == 2
    assert [event.id for event in late] == [by_type[0].id]
    snapshot = api.sandbox.events()[0]["id"]
    assert api.refusal("GET", f"/v2/core/events/{snapshot}")["code"] == "resource_missing"
    clock.advance(30 * 86_400)
    assert api.refusal("GET", f"/v2/core/events/{by_object[0].id}")["code"] == "resource_missing"
    assert list(events.list().data) == []


def test_what_goes_out_has_stripes_fields(api: Caller, client: stripe.StripeClient) -> None:
    """No unknown field, none missing, every type right."""
    destination = client.v2.core.event_destinations.create(THIN)  # type: ignore[arg-type]
    pay(api)
    (event,) = api.ok("GET", "/v2/core/events", {"types": ["v1.checkout.session.completed"]})["data"]

    api.ok("GET", f"{DESTINATIONS}/{destination.id}")

    assert set(event["related_object"]) == {"id", "type", "url"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"type": "amazon_eventbridge"}, "type"),
        ({"events_from": ["@accounts"]}, "events_from"),
        ({"event_payload": None}, "event_payload"),
        ({"event_payload": "both"}, "event_payload"),
        ({"snapshot_api_version": "2026-10-28.endive"}, "snapshot_api_version"),
        ({"event_payload": "snapshot"}, "enabled_events[0]"),
        ({"event_payload": "snapshot", "enabled_events": ["charge.suceeded"]}, "enabled_events[0]"),
        ({"enabled_events": ["charge.succeeded"]}, "enabled_events[0]"),
        ({"enabled_events": []}, "enabled_events"),
        ({"webhook_endpoint": {"url": "thin.test"}}, "webhook_endpoint[url]"),
        ({"include": ["name"]}, "include[0]"),
        ({"azure_event_grid": {"azure_region": "x"}}, "azure_event_grid"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_destination_that_cannot_be_served_is_refused(api: Caller, change: Mapping[str, object], param: str) -> None:
    """It names the parameter, and nothing is kept."""
    status, reply = v2(api, "POST", DESTINATIONS, THIN | change)

    assert (status, reply["error"]["param"]) == (400, param)
    assert v2(api, "GET", DESTINATIONS)[1]["data"] == []


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'"x"', b"\xff", b"[" * 5000, b'{"name": "a\\u0000"}', b'{"name": "\\ud800"}']
)
def test_a_body_that_is_no_json_object_is_refused(api: Caller, raw: bytes) -> None:
    """In words, and without an accident."""
    status, reply = v2(api, "POST", DESTINATIONS, raw=raw)

    assert (status, reply["error"]["type"]) == (400, "invalid_request_error")


def test_v2_takes_json_only_and_keeps_its_idempotency_keys(api: Caller) -> None:
    """A form is refused; the same key gives the same destination."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert v2(api, "POST", DESTINATIONS, raw=b"name=x", **headers)[0] == 400

    first = v2(api, "POST", DESTINATIONS, THIN, **{"idempotency-key": "k"})[1]
    again = v2(api, "POST", DESTINATIONS, THIN, **{"idempotency-key": "k"})[1]

    assert first == again
    assert len(v2(api, "GET", f"{DESTINATIONS}?limit=5")[1]["data"]) == 1
