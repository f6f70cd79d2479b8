"""What Stripe says, broken one thing at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.doctor.conftest import CANARY, NEEDED, Doctor, Run, endpoint, not_ok, outcomes
from tests.gateway.stripe_server import Answer, StripeServer

KEY = ("stripe", "key accepted")
CLOCK = ("stripe", "clock")
ENDPOINT = ("stripe", "webhook endpoint")
PERMISSIONS = ("stripe", "permissions")
RESTRICTED = {"STRIPE_SECRET_KEY": f"rk_test_{CANARY}"}


@pytest.mark.parametrize(
    ("ahead_s", "outcome", "told"),
    [
        (0, "ok", "less than 60 s apart"),
        (-120, "warning", "ahead of Stripe's"),
        (120, "warning", "behind Stripe's"),
        (-400, "failed", "ahead of Stripe's: every webhook's signature is refused"),
        (4000, "failed", "behind Stripe's: every webhook's signature is refused"),
    ],
)
def test_a_clock_that_is_wrong_is_told(
    doctor: Doctor, server: StripeServer, ahead_s: int, outcome: str, told: str
) -> None:
    """By the time in the head of Stripe's answer."""
    server.ahead_s = ahead_s
    found = doctor()
    assert found[CLOCK]["outcome"] == outcome
    assert told in found[CLOCK]["found"]
    assert set(not_ok(found)) <= {CLOCK}


def test_a_key_that_stripe_does_not_know_has_failed(doctor: Doctor, server: StripeServer) -> None:
    """What needs a key is skipped then; the clock is told by a refusal too."""
    said = {"error": {"type": "invalid_request_error", "message": f"Invalid API Key provided: sk_test_{CANARY}"}}
    server.always = Answer(401, json.dumps(said).encode())
    found = doctor()
    assert not_ok(found) == {KEY: "failed"}
    assert outcomes(found, CLOCK, ENDPOINT) == ["ok", "skipped"]


def test_a_failing_stripe_has_failed_and_is_told_apart_from_a_refusal(doctor: Doctor, server: StripeServer) -> None:
    """With what to look at: here the server that stands in for Stripe."""
    server.always = Answer(500, b'{"error": {"type": "api_error"}}')
    found = doctor()
    assert not_ok(found) == {KEY: "failed"}
    assert "see what listens there" in found[KEY]["todo"]


def test_the_wrong_mode_has_failed(doctor: Doctor, server: StripeServer) -> None:
    """A test key, and somebody who answers for live."""
    server.scripted.append(Answer(body=b'{"object": "balance", "livemode": true}'))
    assert not_ok(doctor()) == {("stripe", "mode"): "failed"}


def test_another_api_version_is_warned_of(doctor: Doctor, server: StripeServer) -> None:
    """The one in which Stripe answered."""
    body = b'{"object": "balance", "livemode": false}'
    server.scripted.append(Answer(body=body, headers={"Stripe-Version": "2024-06-20"}))
    assert not_ok(doctor()) == {("stripe", "api version"): "warning"}


def test_a_restricted_key_is_told_what_it_lacks(doctor: Doctor, server: StripeServer) -> None:
    """What it may read is tried; what no payment needs is warned of, and what every payment needs has failed."""
    found = doctor(**RESTRICTED)
    assert not_ok(found) == {}
    assert "PaymentIntents" in found[PERMISSIONS]["found"]
    server.forbidden = {"/v1/events", "/v1/refunds"}
    found = doctor(**RESTRICTED)
    assert not_ok(found) == {PERMISSIONS: "warning"}
    assert "Give the key Read on Refunds and Events" in found[PERMISSIONS]["todo"]
    server.forbidden.add("/v1/checkout/sessions")
    assert not_ok(doctor(**RESTRICTED)) == {PERMISSIONS: "failed"}


def test_prices_are_vital_where_they_are_compared(doctor: Doctor, server: StripeServer) -> None:
    """Under `catalog`, and not under `declared`."""
    server.forbidden = {"/v1/products"}
    assert not_ok(doctor(**RESTRICTED, PAYMENTS_PRICE_POLICY="catalog")) == {PERMISSIONS: "failed"}
    assert not_ok(doctor(**RESTRICTED, PAYMENTS_PRICE_POLICY="declared")) == {PERMISSIONS: "warning"}


def test_what_a_restricted_key_may_not_see_is_skipped_with_the_permission_it_needs(
    doctor: Doctor, server: StripeServer
) -> None:
    """Neither the endpoints nor the balance are needed for payments."""
    server.forbidden = {"/v1/webhook_endpoints", "/v1/balance"}
    found = doctor(**RESTRICTED)
    assert not_ok(found) == {}
    assert outcomes(found, KEY, ENDPOINT, ("stripe", "mode")) == ["ok", "skipped", "skipped"]
    assert "Read on Webhook Endpoints" in found[ENDPOINT]["todo"]
    assert "Read on Balance" in found["stripe", "mode"]["todo"]


def test_an_unrestricted_key_is_not_tried(doctor: Doctor, server: StripeServer) -> None:
    """Two questions are enough."""
    assert PERMISSIONS not in doctor()
    assert [request.path for request in server.requests] == ["/v1/balance", "/v1/webhook_endpoints"]


@pytest.mark.parametrize(
    ("endpoints", "wrong"),
    [
        ([endpoint(status="disabled")], {ENDPOINT: "failed"}),
        ([endpoint(enabled_events=NEEDED[1:])], {ENDPOINT: "failed"}),
        ([endpoint(enabled_events=["*"])], {}),
        ([endpoint(), endpoint("we_2")], {("stripe", "one endpoint"): "warning"}),
        ([endpoint(), endpoint("we_2", status="disabled")], {ENDPOINT: "warning"}),
        ([endpoint(api_version="2020-08-27")], {("stripe", "event version"): "warning"}),
        ([endpoint(api_version=None)], {}),
        ([endpoint(), endpoint("we_2", url="https://erp.example/in", enabled_events=["charge.refunded"])], {}),
    ],
)
def test_endpoints_are_looked_at(
    doctor: Doctor, server: StripeServer, endpoints: list[dict[str, Any]], wrong: dict[tuple[str, str], str]
) -> None:
    """What is missing, disabled, doubled or of another version."""
    for one in endpoints:
        server.put(one)
    assert not_ok(doctor()) == wrong


def test_the_missing_types_are_named(doctor: Doctor, server: StripeServer) -> None:
    """All of them, so that one visit to the Dashboard is enough."""
    server.put(endpoint(enabled_events=["checkout.session.completed"]))
    told = doctor()[ENDPOINT]["found"]
    assert all(kind in told for kind in NEEDED[1:])
    assert NEEDED[0] not in told


def test_no_endpoint_in_test_mode_is_a_warning(doctor: Doctor, server: StripeServer) -> None:
    """`stripe listen` may bring the events."""
    server.objects["webhook_endpoint"].clear()
    found = doctor()
    assert not_ok(found) == {ENDPOINT: "warning"}
    assert "/webhooks/stripe in the Dashboard" in found[ENDPOINT]["todo"]


def test_a_connected_account_may_be_told_by_its_platform(doctor: Doctor, server: StripeServer) -> None:
    """And one that the key may not act for has failed, by its name."""
    server.objects["webhook_endpoint"].clear()
    found = doctor(PAYMENTS_ACCOUNT="acct_1")
    assert "Connect endpoint" in found[ENDPOINT]["todo"]
    assert {request.headers["stripe-account"] for request in server.requests} == {"acct_1"}
    said = {"error": {"type": "invalid_request_error", "code": "account_invalid", "message": "No access"}}
    server.always = Answer(403, json.dumps(said).encode())
    found = doctor(PAYMENTS_ACCOUNT="acct_1")
    assert not_ok(found) == {KEY: "failed"}
    assert "PAYMENTS_ACCOUNT" in found[KEY]["found"]


def test_nothing_that_stripe_sends_moves_the_cursor(run: Run, server: StripeServer) -> None:
    """Addresses and versions are text from elsewhere; those of others hide their paths."""
    server.objects["webhook_endpoint"].clear()
    url = f"https://user:{CANARY}@h\x1b[2Jost.example/{CANARY}/in?key={CANARY}"
    server.put(endpoint(url=url, api_version="\x1b]0;title\x07"))
    ran = run()
    assert ran.exit_code == 0
    assert "\x1b" not in ran.output
    assert "\x07" not in ran.output
    assert CANARY not in ran.output
