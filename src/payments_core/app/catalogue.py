"""The catalogue's consumer put together: Stripe, the database, the topics, and the loop that they run in.

Asynchronous where aiohttp is installed, which lets several products be worked on at once; else one after another.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec

from attrs import evolve, frozen

from payments_core.adapters.kafka.consumer import ConsumerLimits, KafkaMessages
from payments_core.adapters.sql.consuming import async_consumed, blocking_consumed
from payments_core.adapters.stripe import async_gateway, blocking_gateway
from payments_core.app.consuming import ConsumerLoop
from payments_core.domain.consumption import CE_ID, CE_SOURCE, ConsumptionPolicy, Message, message_id
from payments_core.ports.catalogue import CatalogueGateway
from payments_core.ports.consuming import Consumed, Lane, MessageSource
from payments_core.ports.running import Waiter
from payments_core.published.incoming import PRODUCT_TYPES
from payments_core.services.catalogue import CatalogueFlow, CatalogueMessages, Pace
from payments_core.settings import Settings


class LoopWaiter:
    """`Waiter` on the running loop."""

    def nudge(self) -> None:
        """Nobody is waited for."""

    async def pause(self, seconds: float) -> None:
        """See Waiter."""
        await asyncio.sleep(seconds)

    def monotonic_s(self) -> float:
        """See Waiter."""
        return time.monotonic()


class ThreadWaiter(LoopWaiter):
    """`Waiter` on a thread of its own; never suspends."""

    async def pause(self, seconds: float) -> None:
        """See Waiter."""
        time.sleep(seconds)  # noqa: ASYNC251 - the blocking world has no loop to hold up


@frozen
class ByPosition:
    """A source whose messages without an id of their own are known by where they stand.

    By what they say they must not be known: a product whose price goes from 10 to 12 and back to 10 is told by two
    equal messages, and the second is as true as the first. What stands there is part of the id, because a topic that
    is made anew counts from 0 again.
    """

    source: MessageSource

    async def run(self, deliver: Callable[[Message, Lane], Awaitable[bool]]) -> None:
        """See MessageSource."""

        async def placed(message: Message, lane: Lane) -> bool:
            return await deliver(with_id(message), lane)

        await self.source.run(placed)

    def stop(self) -> None:
        """See MessageSource."""
        self.source.stop()


def with_id(message: Message) -> Message:
    """The message, with a `ce_id` that is its own: of its place and content if it was given none.

    One that it was given counts within its source (CloudEvents asks no more of it) and topic.
    """
    by_content = message_id(message)
    if by_content == message.headers.get(CE_ID):
        whole = json.dumps([message.topic, message.headers.get(CE_SOURCE), by_content])
        within = hashlib.sha256(whole.encode()).hexdigest()
        return evolve(message, headers={**message.headers, CE_ID: f"{by_content[:220]}/{within[:32]}"})
    if not by_content.startswith("sha256:"):
        return message
    place = f"{message.topic}/{message.partition}/{message.position}"
    digest = hashlib.sha256(f"{place}\n{by_content}".encode()).hexdigest()
    return evolve(message, headers={**message.headers, CE_ID: f"{place[-180:]}/{digest[:32]}"})


def topics_of(prefix: str, named: Sequence[str]) -> dict[str, str]:
    """Which topics are consumed, each with the type it stands for; "" for one that stands for none."""
    usual = {prefix + kind: kind for kind in PRODUCT_TYPES}
    return {name: usual.get(name, "") for name in named} if named else usual


@frozen
class Member:
    """A member of a consumer group, and how often it tries a message. See ConsumerLimits for `instance_id`."""

    group: str
    instance_id: str | None
    max_attempts: int


def catalogue_loop(
    settings: Settings, member: Member, topics: Mapping[str, str]
) -> tuple[ConsumerLoop, CatalogueGateway]:
    """The loop, and the gateway to close behind it. Call it on the loop that is to run it."""
    url = settings.payments_database_url.get_secret_value()
    gateway: CatalogueGateway
    consumed: Consumed
    waiter: Waiter
    if find_spec("aiohttp") is not None:
        gateway, consumed, waiter = async_gateway(settings), async_consumed(url), LoopWaiter()
    else:
        gateway, consumed, waiter = blocking_gateway(settings), blocking_consumed(url), ThreadWaiter()
    flow = CatalogueFlow(gateway, Pace(waiter, settings.payments_catalogue_calls_per_s))
    kinds = {name: kind for name, kind in topics.items() if kind}
    handler = CatalogueMessages(flow, kinds, settings.payments_currency)
    limits = ConsumerLimits(instance_id=member.instance_id)
    source = ByPosition(KafkaMessages(settings, member.group, topics, limits))
    policy = ConsumptionPolicy(max_attempts=member.max_attempts)
    return ConsumerLoop(source, group=member.group, consumed=consumed, handler=handler, policy=policy), gateway
