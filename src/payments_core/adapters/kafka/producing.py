"""One producer's life: started within bounds, loaded with batches, given up without waiting for a broker that is gone.

An idempotent producer of aiokafka's repeats a batch for ever and numbers what it sends, so that a repeat is no double.
Two things follow. The bound on waiting is ours. And after any batch that failed, the numbers have a gap that the broker
refuses: such a producer is given up, and the next one begins with an identity of its own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from aiokafka import AIOKafkaProducer  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.partitioner import DefaultPartitioner  # pyright: ignore[reportMissingTypeStubs]
from attrs import field, frozen

from payments_core.adapters.kafka.diagnosis import cause_of_silence
from payments_core.adapters.kafka.messages import Headers
from payments_core.adapters.kafka.quiet import quiet
from payments_core.adapters.kafka.refusals import outage
from payments_core.ports.publishing import BrokerUnavailable, OwedRow

_GIVE_UP_S: Final = 1.0
_partition_of: Final[Any] = DefaultPartitioner()


@frozen(kw_only=True)
class Patience:
    """How long a publisher waits.

    `delivery_s`: for the acknowledgement of what was sent, repeats included. `request_s`: for one answer. `topic_s`:
    for a topic that the broker does not know to turn up. `call_s`: after it a call that has settled something begins
    nothing more.
    """

    delivery_s: float = 30.0
    request_s: float = 10.0
    topic_s: float = 5.0
    call_s: float = 60.0


@frozen
class Message:
    """A row as it is sent."""

    row: OwedRow
    topic: str
    key: bytes
    value: bytes
    headers: Headers

    @property
    def size_bytes(self) -> int:
        """What it takes in a request, nearly."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) + 2 for name, value in self.headers) + 32


def place_of(message: Message, partitions: Mapping[str, int]) -> tuple[str, int]:
    """Topic and partition, where topics have so many of them."""
    numbers = range(partitions[message.topic])
    return message.topic, int(_partition_of(message.key, numbers, numbers))


@frozen
class Sending:
    """A batch on its way. `answer` has an exception when the broker did not take it."""

    topic: str
    partition: int
    messages: Sequence[Message] = field(repr=False)
    answer: asyncio.Future[Any] = field(repr=False)

    @property
    def is_acknowledged(self) -> bool:
        """Whether all in-sync replicas have it."""
        return self.answer.done() and self.answer.exception() is None

    @property
    def error(self) -> BaseException:
        """Why it is not acknowledged."""
        return self.answer.exception() or TimeoutError()


class Producer:
    """An AIOKafkaProducer: idempotent, acknowledged by all in-sync replicas, nothing held back to fill a batch."""

    def __init__(self, arguments: Mapping[str, Any], patience: Patience, batch_bytes: int) -> None:
        self._arguments = arguments
        self._patience = patience
        quiet()
        self._producer: Any = AIOKafkaProducer(
            **arguments,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=batch_bytes,
            request_timeout_ms=round(patience.request_s * 1000),
        )
        self._starting: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable with the reason."""
        # Shielded: cancelled in the middle of a handshake, the client forgets the connection and leaves it open.
        starting: asyncio.Future[None] = asyncio.ensure_future(self._producer.start())
        starting.add_done_callback(_looked_at)
        self._starting = starting
        try:
            async with asyncio.timeout(self._patience.request_s):
                await asyncio.shield(starting)
        except (KafkaError, OSError) as error:
            await self.give_up()
            plain = isinstance(error, KafkaConnectionError | TimeoutError)
            cause = await cause_of_silence(self._arguments) if plain else error
            raise BrokerUnavailable(outage(cause)) from error
        except BaseException:
            await self.give_up()
            raise

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has; None when the broker says that there is no such topic.

        Raises aiokafka's TopicAuthorizationFailedError, and BrokerUnavailable when no broker says anything.
        """
        client = self._producer.client
        known = client.cluster.partitions_for_topic(topic)
        if known is None:
            # Unlike the client's own waiting this one tells a missing topic from a broker that does not answer.
            client.add_topic(topic)
            answered = await client.force_metadata_update()
            known = client.cluster.partitions_for_topic(topic)
            if known is None and topic in client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
            if known is None and not answered:
                raise BrokerUnavailable(outage(await cause_of_silence(self._arguments)))
        return None if known is None else len(known)

    async def send(self, messages: Iterable[Message], partitions: Mapping[str, int], sent: list[Sending]) -> None:
        """Send messages in as few batches as they fit, without waiting for answers; each batch is added to `sent`."""
        batches = self._batches(messages, partitions)
        # The first batch of every partition before the second of any: one that is queued waits for the one before it.
        for number in range(max(map(len, batches.values()), default=0)):
            for (topic, partition), built in batches.items():
                if number < len(built):
                    builder, inside = built[number]
                    answer = await self._producer.send_batch(builder, topic, partition=partition)
                    # Looked at also where nobody waits for it any more: asyncio complains of what was never asked for.
                    answer.add_done_callback(_looked_at)
                    sent.append(Sending(topic, partition, inside, answer))

    def _batches(
        self, messages: Iterable[Message], partitions: Mapping[str, int]
    ) -> dict[tuple[str, int], list[tuple[Any, list[Message]]]]:
        made: dict[tuple[str, int], list[tuple[Any, list[Message]]]] = defaultdict(list)
        for one in messages:
            built = made[place_of(one, partitions)]
            # No timestamp of the event's own: retention counts from it, and an old event would be gone at once.
            if not built or not built[-1][0].append(timestamp=None, key=one.key, value=one.value, headers=one.headers):
                builder = self._producer.create_batch()
                builder.append(timestamp=None, key=one.key, value=one.value, headers=one.headers)
                built.append((builder, []))
            built[-1][1].append(one)
        return made

    async def give_up(self) -> None:
        """Close, without waiting for what is still on its way: what was not acknowledged counts as not sent."""
        # Its own stop() waits until everything is delivered, which a broker that is down never lets happen.
        queued = self._producer._message_accumulator
        for batch in chain(*queued._batches.values(), queued._pending_batches):
            # Failed with the batch, and waited for by nobody: see `send`.
            batch._drain_waiter.add_done_callback(_looked_at)
        queued.fail_all(KafkaConnectionError("given up"))
        # Its sender falls over what has failed, and leaves requests behind that connect when everything is closed.
        self._producer.client._get_conn = _nowhere
        await asyncio.shield(asyncio.ensure_future(self._stop()))

    async def _stop(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=_GIVE_UP_S)
            self._starting.cancel()
        with suppress(KafkaError, OSError):
            async with asyncio.timeout(_GIVE_UP_S):
                await self._producer.stop()
        client = self._producer.client
        with suppress(KafkaError, OSError):
            async with asyncio.timeout(_GIVE_UP_S), client._get_conn_lock:
                # Whoever was connecting already is done, and his connection is known.
                await client.close()


async def _nowhere(_node: object, **_: object) -> None:
    """In the place of the client's way to a broker: none is reached."""


def _looked_at(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
