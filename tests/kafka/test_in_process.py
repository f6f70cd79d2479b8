"""From the webhook's request to the message, with the relay inside the application's own process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import attrs
import pytest

from chaos.stories import simple
from payments_core import AsyncPayments, Payments, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.domain.signature import sign
from payments_core.errors import ConfigurationError
from payments_core.http.messages import Headers, HttpRequest
from payments_core.http.routes import STRIPE_WEBHOOK
from tests.kafka.reading import Read, read_back
from tests.kafka.scenes import DEADLINE_S, Deployment, wait_until
from tests.metering.figures import Figures

SECRET = "whsec_test_0123456789abcdefghijklmnop"
TRACE = f"00-{'4b' * 16}-{'a1' * 8}-01"
RUN = "inproc"


def settings(deployment: Deployment, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "stripe_secret_key": "sk_test_123",
        "stripe_webhook_secret": SECRET,
        "payments_database_url": deployment.url,
        "kafka_brokers": (deployment.brokers,),
        "payments_topic_prefix": deployment.prefix,
        "payments_app": "shop",
    }
    return Settings.of(**{**values, **changes})


def delivery(body: bytes) -> HttpRequest:
    """A signed webhook with a trace of its own."""
    signature = sign(body, SECRET, timestamp_s=int(time.time()))
    headers = Headers([("stripe-signature", signature), ("traceparent", TRACE)])
    return HttpRequest("POST", "/webhooks/stripe", headers, body)


def told(deployment: Deployment) -> Read:
    """The one message that came of it."""
    [message] = read_back(deployment.brokers, deployment.topics)
    return message


def as_it_was_received(message: Read) -> None:
    assert message.topic.endswith("payment.successful")
    assert message.key == f"pi_{RUN}n0"
    assert message.headers["traceparent"] == TRACE
    assert message.headers["ce_source"] == "/payments-core/shop"
    assert f'"eventId":"{message.event_id}"' in message.value.replace(" ", "")


async def test_the_trace_of_a_webhook_reaches_the_message_on_a_loop(deployment: Deployment) -> None:
    """AsyncPayments with relay=True: received, handled, published, all in one process."""
    plan = simple(RUN, events=1)
    figures = Figures()
    payments = AsyncPayments(settings(deployment), gateway=MemoryGateway(io="async"), relay=True, meter=figures.meter)
    async with payments.lifespan():
        await payments.core.store.add_payment(attrs.evolve(plan.payments[0]))
        reply = await payments.answer(STRIPE_WEBHOOK, delivery(plan.events[0].body))
        assert reply.status == 200
        async with asyncio.timeout(DEADLINE_S):
            while not await asyncio.to_thread(published, deployment):  # noqa: ASYNC110 - the database is what is watched
                await asyncio.sleep(0.02)
    as_it_was_received(await asyncio.to_thread(told, deployment))
    assert figures.of("payments.outbox.events") == {"published": 1}


def test_the_trace_of_a_webhook_reaches_the_message_on_a_thread(deployment: Deployment) -> None:
    """Payments with relay=True: the relay has a thread and a loop of its own, beside the requests."""
    plan, figures = simple(RUN, events=1), Figures()
    payments = Payments(settings(deployment), gateway=MemoryGateway(io="blocking"), relay=True, meter=figures.meter)
    try:
        payments.start()
        from payments_core.drive import run_blocking

        run_blocking(payments.core.store.add_payment(plan.payments[0]))
        reply = payments.answer(STRIPE_WEBHOOK, delivery(plan.events[0].body))
        assert reply.status == 200
        assert wait_until(lambda: published(deployment))
    finally:
        payments.close()
    as_it_was_received(told(deployment))
    assert figures.of("payments.outbox.events") == {"published": 1}


def test_it_can_be_started_again_after_it_was_closed(deployment: Deployment) -> None:
    """As tests and reloads do; nothing is left running."""
    payments = Payments(settings(deployment), gateway=MemoryGateway(io="blocking"), relay=True)
    for _ in range(3):
        payments.start()
        payments.close()
    assert deployment.backlog() == 0


@pytest.mark.parametrize("facade", [Payments, AsyncPayments])
def test_a_relay_without_a_broker_is_refused(
    facade: type[Payments] | type[AsyncPayments], deployment: Deployment
) -> None:
    """At construction, with the variable's name."""
    with pytest.raises(ConfigurationError, match="KAFKA_BROKERS is not set"):
        facade(settings(deployment, kafka_brokers=()), relay=True)


def test_a_relay_beside_another_store_is_refused(deployment: Deployment) -> None:
    """It publishes from the library's own tables."""
    with pytest.raises(ConfigurationError, match="another store was given"):
        Payments(settings(deployment), store=MemoryStore(), relay=True)


def published(deployment: Deployment) -> bool:
    """Whether the outbox has a row that is marked."""
    return bool(deployment.query("SELECT 1 FROM payments_outbox WHERE published_at IS NOT NULL"))
