"""What a consumer refuses before it starts, and how a message is known again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.adapters.memory.consuming import MemoryConsumed
from payments_core.consumer import ConfigurationError, ConsumerSettings, ConsumptionPolicy, EventConsumer
from payments_core.domain.consumption import Message, message_id
from payments_core.published import CheckoutExpired, PaymentFailed, PaymentSuccessful, PublishedEvent

SETTINGS = ConsumerSettings.of(kafka_brokers="127.0.0.1:1", payments_topic_prefix="test.")
MESSAGE = Message("payment.successful", 0, 0, b"k", b'{"eventId": "evt-1"}', {"ce_id": "ce-1"})


def plain(event: Any) -> None:
    """A handler of the synchronous world."""


async def on_the_loop(event: Any, tx: Any) -> None:
    """A handler of the asynchronous world."""


def test_both_kinds_of_handlers_are_refused_together() -> None:
    """Whichever comes first, the second kind is named, with what to do."""
    for first, second in ((plain, on_the_loop), (on_the_loop, plain)):
        consumer = EventConsumer("orders", settings=SETTINGS)
        consumer.on(PaymentSuccessful)(first)
        with pytest.raises(ConfigurationError, match=f"{second.__name__} is .* make them all async or all plain"):
            consumer.on(PaymentFailed)(second)


def test_topics_follow_the_handlers() -> None:
    """One for each event that anybody asked for, with the prefix."""
    consumer = EventConsumer("orders", settings=SETTINGS)
    consumer.on(PaymentSuccessful)(plain)
    consumer.on("payment.failed")(plain)
    assert consumer.topics == ("test.payment.failed", "test.payment.successful")


@pytest.mark.parametrize("event", [PublishedEvent, "payment.unheard-of", "charge.refunded"])
def test_an_event_that_is_not_published_is_refused(event: Any) -> None:
    """The message names those that are."""
    with pytest.raises(ConfigurationError, match=r"is published; register for one of payment\.successful"):
        EventConsumer("orders", settings=SETTINGS).on(event)


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b, c: None, 3])
def test_a_handler_that_cannot_be_called_is_refused(handler: Any) -> None:
    """It takes the event, or the event and the transaction."""
    with pytest.raises(ConfigurationError):
        EventConsumer("orders", settings=SETTINGS).on(CheckoutExpired)(handler)


def yielding(event: Any) -> Iterator[None]:
    yield


def test_a_handler_that_yields_is_refused() -> None:
    """Calling it would run nothing of it, and its message would count as handled."""
    with pytest.raises(ConfigurationError, match="yielding yields, and would never run"):
        EventConsumer("orders", settings=SETTINGS).on(CheckoutExpired)(yielding)


@pytest.mark.parametrize("group", ["", "two words", "x" * 201, "a/b"])
def test_a_group_without_a_fit_name_is_refused(group: str) -> None:
    """Kafka and the table both know the group by it."""
    with pytest.raises(ConfigurationError, match="group takes"):
        EventConsumer(group, settings=SETTINGS)


def test_a_consumer_without_handlers_does_not_start() -> None:
    """It would consume nothing for ever."""
    with pytest.raises(ConfigurationError, match="No handler is registered"):
        asyncio.run(EventConsumer("orders", settings=SETTINGS).consume())


def test_a_database_of_the_other_world_is_refused() -> None:
    """Async handlers cannot write through a blocking connection."""
    consumer = EventConsumer("orders", settings=SETTINGS, consumed=MemoryConsumed(io="blocking"))
    consumer.on(PaymentSuccessful)(on_the_loop)
    with pytest.raises(ConfigurationError, match="MemoryConsumed is blocking"):
        asyncio.run(consumer.consume())


def test_from_env_takes_settings_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt one is named."""
    monkeypatch.setenv("KAFKA_BROKERS", "127.0.0.1:1")
    assert EventConsumer.from_env("orders", policy=ConsumptionPolicy(max_attempts=2)).topics == ()
    with pytest.raises(ConfigurationError, match="payments_topic_prefx"):
        EventConsumer.from_env("orders", payments_topic_prefx="x")
    monkeypatch.setenv("PAYMENTS_CONSUMER_MAX_ATTEMPTS", "0")
    with pytest.raises(ConfigurationError, match="PAYMENTS_CONSUMER_MAX_ATTEMPTS"):
        EventConsumer.from_env("orders")


def test_importing_the_kit_brings_no_client_and_no_driver() -> None:
    """Neither Kafka's client nor a database is imported before a consumer runs."""
    program = (
        "import sys, payments_core.consumer; "
        "print([name for name in ('aiokafka', 'sqlalchemy', 'stripe', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_message_is_known_by_its_header_first() -> None:
    """Then by the event id in its body, then by what it is."""
    assert message_id(MESSAGE) == "ce-1"
    bare = attrs.evolve(MESSAGE, headers={})
    assert message_id(bare) == "evt-1"
    assert message_id(attrs.evolve(bare, body=b"no json")).startswith("sha256:")


@pytest.mark.parametrize("unfit", ["", "  ", "x" * 256, "a\nb", "a\x00b", "\ud800"])
def test_an_id_that_a_database_could_not_hold_is_none(unfit: str) -> None:
    """The next best one is taken."""
    assert message_id(attrs.evolve(MESSAGE, headers={"ce_id": unfit})) == "evt-1"


@given(st.lists(st.tuples(st.sampled_from(["t", "tk"]), *[st.none() | st.binary(max_size=3)] * 2), unique=True))
def test_messages_that_differ_are_not_taken_for_one(parts: list[tuple[str, bytes | None, bytes | None]]) -> None:
    """In topic, key or body, none and empty included; where it stands does not matter."""
    found = {message_id(Message(topic, 0, 0, key, body)) for topic, key, body in parts}
    assert len(found) == len(parts)
    assert found == {message_id(Message(topic, 7, 9, key, body)) for topic, key, body in parts}
