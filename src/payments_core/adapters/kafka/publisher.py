"""Sends outgoing events to Kafka: in order per key, idempotently, and each refusal to the row that it is about.

Of one key a row is sent when the one before it is acknowledged: first the first rows of all keys at once, then the
second ones, and so on (waves). No transactions: their protocol can lose writes when an ending is delayed,
and the client does not speak its repair (KIP-890); `ce_id` lets every consumer tell a repeat.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, TopicAuthorizationFailedError  # pyright: ignore[reportMissingTypeStubs]
from attrs import define, field

from payments_core.adapters.kafka.connection import connection
from payments_core.adapters.kafka.messages import headers_of, source_of
from payments_core.adapters.kafka.producing import Message, Patience, Producer, Sending, place_of
from payments_core.adapters.kafka.refusals import concerns_topic, missing_topic, outage, refusal, too_large
from payments_core.ports.publishing import BrokerUnavailable, OwedRow, Refusal
from payments_core.settings import BrokerSettings

#: Kafka's own default on both sides (max.request.size, message.max.bytes), less what a batch of one adds.
LARGEST_BYTES: Final = 1_048_576 - 256
#: Below it key and headers cannot make a message too large.
_LOOKED_AT_BYTES: Final = LARGEST_BYTES // 2
_BATCH_BYTES: Final = 262_144
_SMALLEST_BATCH_BYTES: Final = 16_384
_LOOK_AGAIN_S: Final = 0.1


@define
class _Ledger:
    """What is known of the rows of one call."""

    acknowledged: list[int] = field(factory=list[int])
    refused: dict[int, Refusal] = field(factory=dict[int, Refusal])
    #: Rows that were sent in vain, where they were to go, and why they are not there.
    unanswered: list[int] = field(factory=list[int])
    away: set[tuple[str, int]] = field(factory=set[tuple[str, int]])
    trouble: BaseException | None = None
    #: Keys of refused and of unanswered rows.
    shut: set[str] = field(factory=set[str])

    @property
    def is_begun(self) -> bool:
        """Whether anything was settled."""
        return bool(self.acknowledged or self.refused)

    def refuse(self, row: OwedRow, reason: str) -> None:
        """Nothing more of its key is sent."""
        self.refused[row.row_id] = Refusal(reason)
        self.shut.add(row.key)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """The broker has them."""
        self.acknowledged += [one.row.row_id for one in messages]

    def leave(self, messages: Sequence[Message]) -> None:
        """It is not known whether the broker has them; nothing more of their keys is sent."""
        self.unanswered += [one.row.row_id for one in messages]
        self.shut |= {one.row.key for one in messages}


class KafkaPublisher:
    """`payments_core.ports.publishing.Publisher` over aiokafka. `app` is PAYMENTS_APP, for `ce_source`.

    Nothing is connected yet. Raises ConfigurationError where no broker is named, or a certificate cannot be read.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        app: str | None = None,
        patience: Patience | None = None,
        batch_bytes: int = _BATCH_BYTES,
    ) -> None:
        self._arguments = connection(settings)
        self._prefix = settings.payments_topic_prefix
        self._source = source_of(app).encode()
        self._patience = patience or Patience()
        self._batch_bytes = batch_bytes
        self._producer: Producer | None = None
        #: Topics that were waited for in vain: once more is asked for them, without waiting.
        self._missing: set[str] = set()

    async def publish(self, rows: Sequence[OwedRow]) -> tuple[Sequence[int], Mapping[int, Refusal]]:
        """See Publisher."""
        ledger = _Ledger()
        until_s = asyncio.get_running_loop().time() + self._patience.call_s
        try:
            for wave in _waves(rows):
                if _is_late(ledger, until_s):
                    break
                open_keys = [self._message(row) for row in wave if row.key not in ledger.shut]
                await self._deliver(open_keys, ledger, until_s)
            if ledger.trouble is not None:
                raise BrokerUnavailable(outage(ledger.trouble)) from ledger.trouble
        except BrokerUnavailable as trouble:
            await self.close()
            raise BrokerUnavailable(
                str(trouble),
                acknowledged=ledger.acknowledged,
                refused=ledger.refused,
                unanswered=ledger.unanswered,
            ) from trouble.__cause__
        except BaseException:
            await self.close()
            raise
        return ledger.acknowledged, ledger.refused

    async def close(self) -> None:
        """See Publisher."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.give_up()

    async def _deliver(self, messages: Sequence[Message], ledger: _Ledger, until_s: float) -> None:
        """Send messages of different keys, and find among those that failed together the ones that are at fault."""
        groups = await self._attempt(self._fitting(messages, ledger), ledger)
        while groups and not _is_late(ledger, until_s):
            for half in _halves(groups.pop()):
                groups += await self._attempt(half, ledger)

    def _fitting(self, messages: Sequence[Message], ledger: _Ledger) -> list[Message]:
        for one in messages:
            if len(one.value) > _LOOKED_AT_BYTES and one.size_bytes > LARGEST_BYTES:
                ledger.refuse(one.row, too_large(one.size_bytes, LARGEST_BYTES))
        return [one for one in messages if one.row.row_id not in ledger.refused]

    async def _attempt(self, messages: Sequence[Message], ledger: _Ledger) -> list[Sequence[Message]]:
        """Send once and wait; the groups that are to be tried again, each in two halves.

        What was refused alone, or not answered, is in the ledger. Raises BrokerUnavailable when nothing was
        acknowledged for another reason than a refusal.
        """
        if not messages:
            return []
        producer = await self._started()
        partitions = await self._partitions(producer, messages, ledger)
        sendable = _not_away([one for one in messages if one.topic in partitions], partitions, ledger)
        sent: list[Sending] = []
        trouble: BaseException | None = None
        try:
            async with asyncio.timeout(self._patience.delivery_s):
                await producer.send(sendable, partitions, sent)
                if sent:
                    await asyncio.wait([one.answer for one in sent])
        except (KafkaError, OSError) as error:
            trouble = error
        for one in sent:
            if one.is_acknowledged:
                ledger.acknowledge(one.messages)
        failed = [one for one in sent if not one.is_acknowledged]
        if not failed and trouble is None:
            return []
        groups, trouble = await self._judge(failed, trouble, ledger)
        if trouble is not None:
            if len(failed) == len(sent):
                raise BrokerUnavailable(outage(trouble)) from trouble
            # What stood behind a partition that takes nothing, and has nothing to do with it.
            begun = {message.row.row_id for one in sent for message in one.messages}
            waiting = [one for one in sendable if one.row.row_id not in begun]
            groups.append(_not_away(waiting, partitions, ledger))
        return groups

    async def _judge(
        self, failed: Sequence[Sending], trouble: BaseException | None, ledger: _Ledger
    ) -> tuple[list[Sequence[Message]], BaseException | None]:
        """Tell what was refused from what is not known of, with the reason for that; see `_attempt`."""
        await self.close()
        if failed:
            # Given up with the producer; asked for, so that nobody complains of an answer that nobody wanted.
            await asyncio.wait([one.answer for one in failed])
        spoiled = {(one.topic, one.partition) for one in failed if refusal(one.error, one.topic)}
        groups: list[Sequence[Message]] = []
        for one in failed:
            reason = refusal(one.error, one.topic)
            if reason is not None and (len(one.messages) == 1 or concerns_topic(one.error)):
                for message in one.messages:
                    ledger.refuse(message.row, reason)
            elif reason is not None or (
                # What came after a refused batch has a number that the broker does not expect: it was not taken.
                isinstance(one.error, OutOfOrderSequenceNumber) and (one.topic, one.partition) in spoiled
            ):
                groups.append(one.messages)
                # It may be the topic's limit that is low, and every large batch would be refused.
                self._batch_bytes = max(self._batch_bytes // 2, _SMALLEST_BATCH_BYTES)
            else:
                trouble = trouble or one.error
                ledger.leave(one.messages)
                ledger.away.add((one.topic, one.partition))
        ledger.trouble = ledger.trouble or trouble
        return groups, trouble

    async def _started(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._arguments, self._patience, self._batch_bytes)
            await producer.start()
            self._producer = producer
        return self._producer

    async def _partitions(self, producer: Producer, messages: Sequence[Message], ledger: _Ledger) -> dict[str, int]:
        """The number of partitions of each topic; the rows of others are refused."""
        found: dict[str, int] = {}
        for topic in dict.fromkeys(one.topic for one in messages):
            reason: str | None = missing_topic(topic)
            try:
                count = await self._count(producer, topic)
            except TopicAuthorizationFailedError as error:
                count, reason = None, refusal(error, topic)
            if count is not None:
                found[topic] = count
                continue
            for one in messages:
                if one.topic == topic:
                    ledger.refuse(one.row, reason or "")
        return found

    async def _count(self, producer: Producer, topic: str) -> int | None:
        """A broker that has just come back, or a topic that has just been made, is given a little time."""
        until_s = asyncio.get_running_loop().time() + (0 if topic in self._missing else self._patience.topic_s)
        count = await producer.partitions(topic)
        while count is None and asyncio.get_running_loop().time() < until_s:
            await asyncio.sleep(_LOOK_AGAIN_S)
            count = await producer.partitions(topic)
        if count is None:
            self._missing.add(topic)
        else:
            self._missing.discard(topic)
        return count

    def _message(self, row: OwedRow) -> Message:
        key = row.key.encode("utf-8", "replace")
        return Message(row, self._prefix + row.type, key, row.payload.encode(), headers_of(row, self._source))


def _waves(rows: Sequence[OwedRow]) -> Iterator[Sequence[OwedRow]]:
    """The first rows of all keys, then their second ones, and so on."""
    waves: list[list[OwedRow]] = []
    seen: dict[str, int] = defaultdict(int)
    for row in rows:
        number = seen[row.key]
        seen[row.key] = number + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(row)
    return iter(waves)


def _not_away(messages: Sequence[Message], partitions: Mapping[str, int], ledger: _Ledger) -> Sequence[Message]:
    """Without those for a partition that has just kept this call waiting in vain."""
    if not ledger.away:
        return messages
    left = [one for one in messages if place_of(one, partitions) in ledger.away]
    ledger.leave(left)
    return [one for one in messages if one.row.key not in ledger.shut]


def _is_late(ledger: _Ledger, until_s: float) -> bool:
    """Whether to leave the rest to the next call, once something can be marked: marking shows that one is alive."""
    return ledger.is_begun and asyncio.get_running_loop().time() >= until_s


def _halves(messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
    """Two halves; one of a single message."""
    middle = len(messages) // 2
    return (messages[:middle], messages[middle:]) if middle else (messages,)
