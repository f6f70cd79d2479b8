"""A consumer group's member, by aiokafka: partitions side by side, the messages of one after another.

The broker is told an offset only when every message before it is finished, and never by itself
(`enable_auto_commit=False`). A partition whose messages are being worked on is paused, so that polling goes on and the
group keeps its member however long a message takes. When partitions are taken away, what is in hand may end within the
grace period and is dropped after it; then what was finished is reported, and only then does the rebalance go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from aiokafka import (  # pyright: ignore[reportMissingTypeStubs]
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import KafkaError, UnsupportedCodecError  # pyright: ignore[reportMissingTypeStubs]
from attrs import field, frozen, validators

from payments_core.adapters.kafka.connection import connection
from payments_core.adapters.kafka.quiet import quiet
from payments_core.adapters.kafka.seldom import seldom
from payments_core.domain.consumption import Message
from payments_core.errors import ConfigurationError
from payments_core.ports.consuming import Lane
from payments_core.settings import BrokerSettings

Deliver = Callable[[Message, Lane], Awaitable[bool]]
_log = logging.getLogger("payments_core.consumer")

_POLL_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0


@frozen(kw_only=True)
class ConsumerLimits:
    """How a group finds out that a member is gone, and how long a member may take to let go.

    `session_s`: silence after which the broker gives a member's partitions to others (brokers take 6 to 1800).
    `grace_s`: how long what is in hand may take when partitions are taken away or the process ends. `commit_s`: how
    often finished messages are reported; what was not comes again and is known. `topics_s`: how often topics that are
    not there yet are looked for. `instance_id` makes a static member: a restart within `session_s` moves no partition.
    """

    session_s: float = field(default=30.0, validator=validators.ge(1))
    grace_s: float = field(default=10.0, validator=validators.ge(0))
    commit_s: float = field(default=1.0, validator=validators.gt(0))
    topics_s: float = field(default=30.0, validator=validators.gt(0))
    instance_id: str | None = None


class PartitionLane:
    """`payments_core.ports.consuming.Lane`: the messages of a partition that are in hand."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: The offset after the last finished message, and the one that the broker was told.
        self.finished: int | None = None
        self.reported: int | None = None

    @property
    def is_leaving(self) -> bool:
        """See Lane."""
        return self._leaving.is_set()

    async def pause(self, seconds: float) -> None:
        """See Lane."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What works on the messages in hand, if any are."""
        return self._task

    def begin(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Work on these, one after another."""
        self._task = asyncio.get_running_loop().create_task(self._work(records))

    def end(self) -> None:
        """Forget the task that is done; raises what it raised."""
        task, self._task = self._task, None
        if task is not None:
            task.result()

    async def leave(self, grace_s: float) -> None:
        """Begin nothing more, let what is in hand end, drop it after the grace period. Raises nothing."""
        self._leaving.set()
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=grace_s)
        for task in late:
            task.cancel()
            await asyncio.wait([task])
        if not self._task.cancelled() and (failure := self._task.exception()) is not None:
            _log.error("A message in hand was dropped after %s", type(failure).__name__)

    async def _work(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        for record in records:
            if self.is_leaving or not await self._deliver(_message(record), self):
                return
            self.finished = record.offset + 1


class KafkaMessages(ConsumerRebalanceListener):  # type: ignore[misc]  # it has no types
    """`payments_core.ports.consuming.MessageSource` over topics of Kafka."""

    def __init__(
        self, settings: BrokerSettings, group: str, topics: Iterable[str], limits: ConsumerLimits | None = None
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = sorted(topics)
        self._limits = limits or ConsumerLimits()
        self._lanes: dict[TopicPartition, PartitionLane] = {}
        self._consumer: Any = None
        self._deliver: Deliver | None = None
        self._stopping = asyncio.Event()
        self._missing: frozenset[str] = frozenset()
        self._joined = False
        self._is_away = False

    def stop(self) -> None:
        """See MessageSource."""
        self._stopping.set()

    async def run(self, deliver: Deliver) -> None:
        """See MessageSource. Raises ConfigurationError where no broker is named, or a codec is not installed."""
        quiet()
        seldom()
        self._deliver = deliver
        failures = 0
        while not self._stopping.is_set():
            self._consumer = AIOKafkaConsumer(**self._arguments())
            try:
                self._joined = False
                await self._consumer.start()
                self._consumer.subscribe(topics=self._topics, listener=self)
                await self._poll()
            except UnsupportedCodecError as missing:
                raise ConfigurationError(
                    f"A topic's messages are compressed, and cannot be read here ({missing.args[0]}); install "
                    "'payments-core[kafka]', which brings lz4, snappy and zstd."
                ) from None
            except (KafkaError, OSError) as trouble:
                failures = 1 if self._joined else failures + 1
                if not self._is_away:
                    self._is_away = True
                    _log.warning("The broker cannot be used (%s); it is tried again", type(trouble).__name__)
            finally:
                await self._close()
            if failures:
                await self._sleep(random.random() * min(_LONGEST_BACKOFF_S, 2.0**failures))  # noqa: S311 - jitter

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> Any:
        """Finish or drop what is in hand of them, then report what was finished. The client awaits it."""
        return self._let_go(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> Any:
        """Begin anew: after the last offset that the broker was told."""
        self._joined = True
        if self._deliver is not None:
            self._lanes |= {place: PartitionLane(self._deliver) for place in assigned}

    async def _let_go(self, revoked: Iterable[TopicPartition]) -> None:
        gone = {place: self._lanes.pop(place) for place in revoked if place in self._lanes}
        await asyncio.gather(*(lane.leave(self._limits.grace_s) for lane in gone.values()))
        await self._report(gone)

    def _arguments(self) -> dict[str, Any]:
        limits = self._limits
        return connection(self._settings) | {
            "group_id": self._group,
            "group_instance_id": limits.instance_id,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            # What a producer took back never happened.
            "isolation_level": "read_committed",
            "session_timeout_ms": int(limits.session_s * 1000),
            "heartbeat_interval_ms": int(min(3.0, limits.session_s / 4) * 1000),
            # Members are waited for in a rebalance: as long as one may take to let go, and some.
            "rebalance_timeout_ms": int((limits.grace_s + limits.session_s) * 1000),
            "metadata_max_age_ms": int(limits.topics_s * 1000),
            "client_id": "payments-core",
        }

    async def _poll(self) -> None:
        clock = asyncio.get_running_loop().time
        reported_at = looked_at = clock()
        await self._name_missing()
        while not self._stopping.is_set():
            for place, records in (await self._polled()).items():
                self._hand_over(place, records)
            self._go_on()
            if clock() - reported_at >= self._limits.commit_s:
                await self._report(self._lanes)
                reported_at = clock()
            if clock() - looked_at >= self._limits.topics_s:
                await self._name_missing()
                looked_at = clock()

    async def _polled(self) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """What has come, or nothing as soon as a lane is free again or all is to end."""
        asked = asyncio.ensure_future(self._consumer.getmany(timeout_ms=int(_POLL_S * 1000)))
        busy = [lane.task for lane in self._lanes.values() if lane.task is not None]
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([asked, stopping, *busy], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not asked.done():
                asked.cancel()
        await asyncio.wait([asked])
        found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {} if asked.cancelled() else asked.result()
        return found

    def _hand_over(self, place: TopicPartition, records: list[ConsumerRecord[bytes, bytes]]) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("The broker is there again")
        lane = self._lanes.get(place)
        if lane is not None and lane.task is None and records:
            self._consumer.pause(place)
            lane.begin(records)

    def _go_on(self) -> None:
        """Fetch again for lanes that have nothing left in hand. Raises what a delivery raised."""
        for place, lane in self._lanes.items():
            if lane.task is not None and lane.task.done():
                lane.end()
                if place in self._consumer.assignment():
                    self._consumer.resume(place)

    async def _report(self, lanes: dict[TopicPartition, PartitionLane]) -> None:
        """Tell the broker what is finished. When it cannot be told, those messages come again, and are known."""
        news = {
            place: (lane, lane.finished)
            for place, lane in lanes.items()
            if lane.finished is not None and lane.finished != lane.reported
        }
        if not news:
            return
        try:
            async with asyncio.timeout(self._limits.grace_s or 1):
                await self._consumer.commit({place: offset for place, (_, offset) in news.items()})
        except (KafkaError, TimeoutError) as trouble:
            _log.info("Offsets were not reported (%s); known messages will come again", type(trouble).__name__)
            return
        # Of the lanes as they were: a rebalance may have come meanwhile, and taken some or made them anew.
        for lane, offset in news.values():
            lane.reported = offset

    async def _name_missing(self) -> None:
        """Say which topics are not there; they are consumed as soon as they are."""
        try:
            there: set[str] = await self._consumer.topics()
        except KafkaError:
            return
        missing = frozenset(self._topics) - there
        if missing and missing != self._missing:
            _log.warning("There is no topic %s yet; it is looked for", ", ".join(sorted(missing)))
        self._missing = missing

    async def _close(self) -> None:
        await self._let_go(list(self._lanes))
        # In a task of its own: with a broker away, aiokafka 0.14 lets the cancellation of its own fetches out of
        # `stop`, before it has closed its connections.
        stopped = asyncio.get_running_loop().create_task(self._consumer.stop())
        await asyncio.wait([stopped])
        if stopped.cancelled() or stopped.exception() is not None:
            with suppress(KafkaError, OSError):
                await self._consumer._client.close()
        self._lanes.clear()

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _message(record: ConsumerRecord[bytes, bytes]) -> Message:
    named = cast("Sequence[tuple[str, bytes | None]]", record.headers)
    headers = {name: value.decode("utf-8", "replace") for name, value in named if value is not None}
    return Message(record.topic, record.partition, record.offset, record.key, record.value, headers)
