"""What only the real gateway has of an account: Stripe's clock and version, as they stand in its answers' heads."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import stripe

from payments_core.domain.account import Greeting, read_greeting, read_webhook_endpoint
from payments_core.ports import Io
from tests.gateway.stripe_server import Answer, StripeServer
from tests.gateway.worlds import SdkWorld

both = pytest.mark.parametrize("io", ["blocking", "async"])


def greeting(io: Io, server: StripeServer) -> Greeting:
    """What the gateway tells in this world."""
    world = SdkWorld(io, server)
    found: list[Greeting] = []

    async def asked() -> None:
        found.append(await world.gateway.greeting())

    world.run(asked())
    return found[0]


@both
def test_the_time_is_stripe_s_and_not_this_machine_s(io: Io, server: StripeServer) -> None:
    """The Date header of the answer, of a refusal too."""
    for ahead_s in (-4000, 0, 4000):
        server.ahead_s = ahead_s
        for server.forbidden in (set[str](), {"/v1/balance"}):
            said_at = greeting(io, server).said_at
            assert said_at is not None
            assert abs((said_at - datetime.now(UTC)).total_seconds() - ahead_s) < 60


@both
def test_the_version_is_the_one_that_stripe_answers_in(io: Io, server: StripeServer) -> None:
    """Its header says so; another word there is no version."""
    for said, read in ((stripe.api_version, stripe.api_version), ("2020-08-27", "2020-08-27"), ("\x1b[2Jnew", None)):
        body = json.dumps({"object": "balance", "livemode": True}).encode()
        server.always = Answer(200, body, {"Stripe-Version": said})
        found = greeting(io, server)
        assert (found.version, found.livemode, found.refusal) == (read, True, None)


def test_the_version_that_the_library_was_written_for_is_the_one_that_the_sdk_pins() -> None:
    """A new SDK with another version changes this constant, after everything that reads was looked at."""
    from payments_core.domain.account import API_VERSION

    assert stripe.api_version == API_VERSION


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Nov 2026 00:00:00 GMT", "9" * 400])
def test_a_date_that_is_none_is_unknown(date: str | None) -> None:
    """Proxies write what they like; nothing is raised for it."""
    headers = {} if date is None else {"date": date}
    assert read_greeting({"livemode": "yes"}, headers) == Greeting()


@pytest.mark.parametrize("events", [None, "*", {"a": 1}, []])
def test_an_endpoint_without_a_list_of_types_gets_none(events: object) -> None:
    """Whatever is not said is not taken for every type."""
    found = read_webhook_endpoint({"id": "we_1", "enabled_events": events})
    assert not found.sends("checkout.session.completed")
    assert not found.is_enabled
