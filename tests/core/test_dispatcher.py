"""The webhook dispatcher alone: verified, read, handed to its handlers, and nothing kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from payments_core import ConfigurationError, InvalidSignature, MalformedEvent, PaymentSuccessful, StripeEvent
from payments_core.domain.signature import sign
from payments_core.errors import FlowSuspendedError
from payments_core.webhooks import AsyncWebhookDispatcher, Dispatched, WebhookDispatcher

SECRET = "whsec_test_secret"
NOW = 1614265330
FAILED = b'{"id":"evt_1","type":"payment_intent.payment_failed","data":{"object":{"id":"pi_1","amount":2999}}}'


def at() -> datetime:
    return datetime.fromtimestamp(NOW, UTC)


class Plain:
    """The dispatcher of plain code."""

    build = WebhookDispatcher

    @staticmethod
    def dispatch(dispatcher: Any, body: bytes | str, signature: str | None) -> Dispatched:
        return dispatcher.dispatch(body, signature)


class Awaited:
    """Its twin."""

    build = AsyncWebhookDispatcher

    @staticmethod
    def dispatch(dispatcher: Any, body: bytes | str, signature: str | None) -> Dispatched:
        return asyncio.run(dispatcher.dispatch(body, signature))


@pytest.fixture(params=[Plain, Awaited], ids=["plain", "awaited"])
def world(request: pytest.FixtureRequest) -> Any:
    return request.param


def signed(body: bytes, secret: str = SECRET, *, timestamp_s: int = NOW) -> str:
    return sign(body, secret, timestamp_s=timestamp_s)


def test_an_event_reaches_its_handlers_in_order(world: Any) -> None:
    """Those of its type, then those of every type; the result says what was handled."""
    dispatcher = world.build([SECRET], now=at)
    seen: list[str] = []
    dispatcher.on("*")(lambda event: seen.append(f"any {event.id}"))
    dispatcher.on("payment_intent.payment_failed")(lambda event: seen.append(f"first {event.object['amount']}"))
    dispatcher.on("payment_intent.payment_failed")(lambda _: seen.append("second"))
    dispatcher.on("charge.refunded")(lambda _: seen.append("never"))
    done = world.dispatch(dispatcher, FAILED, signed(FAILED))
    assert seen == ["first 2999", "second", "any evt_1"]
    assert (done.handled, done.handlers) == (True, 3)
    assert isinstance(done.event, StripeEvent)


def test_a_type_nobody_registered_is_not_handled(world: Any) -> None:
    """It is verified all the same, and the result says so."""
    done = world.dispatch(world.build([SECRET], now=at), FAILED, signed(FAILED))
    assert (done.handled, done.event.type) == (False, "payment_intent.payment_failed")


def test_it_keeps_no_memory(world: Any) -> None:
    """The same delivery twice is dispatched twice; whoever needs once uses Payments."""
    dispatcher, seen = world.build([SECRET], now=at), []
    dispatcher.on("*")(seen.append)
    for _ in range(2):
        world.dispatch(dispatcher, FAILED, signed(FAILED))
    assert len(seen) == 2


def test_a_body_may_come_as_text(world: Any) -> None:
    """Some frameworks decode it; UTF-8 gives the same bytes."""
    body = FAILED.replace(b"pi_1", "pi_é".encode())
    assert world.dispatch(world.build([SECRET], now=at), body.decode(), signed(body)).event.id == "evt_1"


@pytest.mark.parametrize(
    "signature",
    [None, "", "rubbish", signed(FAILED, "whsec_other_secret"), signed(FAILED, timestamp_s=NOW - 301),
     signed(FAILED, timestamp_s=NOW + 301)],
)  # fmt: skip
def test_a_forgery_reaches_no_handler(world: Any, signature: str | None) -> None:
    """InvalidSignature, before the body is looked at."""
    dispatcher, seen = world.build([SECRET], now=at), []
    dispatcher.on("*")(seen.append)
    with pytest.raises(InvalidSignature):
        world.dispatch(dispatcher, FAILED, signature)
    assert seen == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", FAILED[:-1], FAILED.replace(b'"amount"', b'"id":"pi_2","amount"')]
)
def test_a_signed_body_that_is_no_event_is_malformed(world: Any, body: bytes) -> None:
    """MalformedEvent, and nothing that a parser raises."""
    dispatcher, seen = world.build([SECRET], now=at), []
    dispatcher.on("*")(seen.append)
    with pytest.raises(MalformedEvent):
        world.dispatch(dispatcher, body, signed(body))
    assert seen == []


def test_a_handlers_own_error_passes_through_and_ends_the_dispatch(world: Any) -> None:
    """Unchanged, so that the framework answers with an error and Stripe tries again."""
    dispatcher, seen = world.build([SECRET], now=at), []
    error = LookupError("no such order")

    def fails(_: object) -> None:
        raise error

    dispatcher.on("*")(fails)
    dispatcher.on("*")(seen.append)
    with pytest.raises(LookupError) as raised:
        world.dispatch(dispatcher, FAILED, signed(FAILED))
    assert raised.value is error
    assert seen == []


def test_async_handlers_are_awaited() -> None:
    """One after the other, plain ones among them."""
    dispatcher, seen = AsyncWebhookDispatcher([SECRET], now=at), []

    @dispatcher.on("*")
    async def slow(event: StripeEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.id)

    dispatcher.on("*")(lambda _: seen.append("after"))
    asyncio.run(dispatcher.dispatch(FAILED, signed(FAILED)))
    assert seen == ["evt_1", "after"]


def test_an_async_handler_cannot_run_in_plain_code() -> None:
    """Refused at registration, naming the twin."""

    async def handler(_: object) -> None: ...

    with pytest.raises(ConfigurationError, match="handler is an async function; use AsyncWebhookDispatcher"):
        WebhookDispatcher([SECRET]).on("*")(handler)


class AsyncObject:
    async def __call__(self, _: object) -> None: ...


def test_an_object_that_is_called_asynchronously_is_refused_too() -> None:
    """Else its coroutine would be dropped and the event lost without a word."""
    with pytest.raises(ConfigurationError, match="AsyncWebhookDispatcher"):
        WebhookDispatcher([SECRET]).on("*")(AsyncObject())


async def coroutine(_: object) -> None: ...


def test_an_awaitable_that_a_plain_handler_returns_is_not_dropped() -> None:
    """A lambda around a coroutine passes registration; running it is loud."""
    dispatcher = WebhookDispatcher([SECRET], now=at)
    dispatcher.on("*")(lambda event: coroutine(event))
    with pytest.raises(FlowSuspendedError, match="returned an awaitable"):
        dispatcher.dispatch(FAILED, signed(FAILED))


def generator(_: object) -> Iterator[None]:
    yield


async def async_generator(_: object) -> AsyncIterator[None]:
    yield


class GeneratorObject:
    def __call__(self, _: object) -> Iterator[None]:
        yield


@pytest.mark.parametrize("handler", [generator, async_generator, GeneratorObject(), partial(generator)])
def test_a_handler_that_yields_is_refused(world: Any, handler: Any) -> None:
    """Calling it would run nothing of it, and count as handled."""
    with pytest.raises(ConfigurationError, match="yields, and would never run: take the yield out"):
        world.build([SECRET]).on("*")(handler)


@pytest.mark.parametrize("made", [generator, async_generator])
def test_a_generator_that_a_handler_returns_is_not_dropped(world: Any, made: Any) -> None:
    """A lambda around a generator function passes registration; running it is loud."""
    dispatcher = world.build([SECRET], now=at)
    dispatcher.on("*")(lambda event: made(event))
    with pytest.raises(ConfigurationError, match="returned a generator, and nothing ran it"):
        world.dispatch(dispatcher, FAILED, signed(FAILED))


@pytest.mark.parametrize(
    "event", [StripeEvent, PaymentSuccessful, coroutine, 3, "", "payment.successful", "checkout.expired"]
)
def test_what_is_no_stripe_event_type_is_refused(world: Any, event: Any) -> None:
    """A class, a decorator without parentheses, the name of a domain event: the handler would wait for ever."""
    with pytest.raises(ConfigurationError, match="is no Stripe event type; .* such as charge"):
        world.build([SECRET]).on(event)


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ([], "is not set"),
        ([""], "blank"),
        ([" "], "blank"),
        (["whsec_changeme"], "placeholder"),
        (["sk_test_51Abc"], "API key"),
        (["whsec_"], "too short"),
        ("whsec_test_secret", "list of signing secrets"),
    ],
)
def test_it_refuses_secrets_that_anybody_knows(world: Any, secrets: Any, words: str) -> None:
    """At construction; a string is not taken for a list of letters."""
    with pytest.raises(ConfigurationError, match=words):
        world.build(secrets)


@pytest.mark.parametrize("tolerance_s", [0, -1])
def test_recency_cannot_be_switched_off(world: Any, tolerance_s: int) -> None:
    """Without it a recorded webhook could be replayed for ever."""
    with pytest.raises(ConfigurationError, match="tolerance_s must be at least 1"):
        world.build([SECRET], tolerance_s=tolerance_s)


def test_the_tolerance_is_honoured(world: Any) -> None:
    """In both directions."""
    dispatcher = world.build([SECRET], tolerance_s=10, now=at)
    assert world.dispatch(dispatcher, FAILED, signed(FAILED, timestamp_s=NOW - 10)).event.id == "evt_1"
    for timestamp_s in (NOW - 11, NOW + 11):
        with pytest.raises(InvalidSignature):
            world.dispatch(dispatcher, FAILED, signed(FAILED, timestamp_s=timestamp_s))


def test_no_secret_in_its_repr(world: Any) -> None:
    """Dispatchers are module globals that debuggers print."""
    assert "test_secret" not in repr(world.build([SECRET])) + str(world.build([SECRET]))
