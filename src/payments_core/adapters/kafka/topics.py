"""The topics that outgoing events need: one per type, found or made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.protocol.metadata import MetadataRequest  # pyright: ignore[reportMissingTypeStubs]
from attrs import frozen

from payments_core.adapters.kafka.connection import connection
from payments_core.adapters.kafka.diagnosis import cause_of_silence
from payments_core.adapters.kafka.quiet import quiet
from payments_core.adapters.kafka.refusals import outage
from payments_core.domain.events import DOMAIN_EVENTS
from payments_core.errors import ConfigurationError
from payments_core.ports.publishing import BrokerUnavailable
from payments_core.settings import BrokerSettings

#: More consumers of one group than partitions would stand idle; adding partitions later moves keys.
PARTITIONS: Final = 6
_REPLICAS: Final = 3
_WAIT_S: Final = 10.0
_SETTLE_S: Final = 15.0
_LOOK_AGAIN_S: Final = 0.1


@frozen
class Topic:
    """A topic that is needed; without partitions it is not there."""

    name: str
    partitions: int | None = None
    replicas: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the broker has it."""
        return self.partitions is not None


def needed(settings: BrokerSettings) -> list[str]:
    """The names of the topics, with the prefix."""
    return [settings.payments_topic_prefix + event.type for event in DOMAIN_EVENTS]


async def found(settings: BrokerSettings) -> list[Topic]:
    """Each needed topic as the brokers have it. Raises BrokerUnavailable."""
    async with _admin(settings) as admin:
        return await _look(admin, needed(settings))


async def create(
    settings: BrokerSettings, *, partitions: int = PARTITIONS, replicas: int | None = None
) -> tuple[list[Topic], list[str]]:
    """Make those that are missing; all of them, and the names of the new ones.

    Without `replicas` three are kept of each message, or as many as there are brokers. A message is acknowledged when
    all replicas but one have it. Retention is left to the broker. Raises BrokerUnavailable, or ConfigurationError for
    what the broker refuses.
    """
    async with _admin(settings) as admin:
        missing = [one.name for one in await _look(admin, needed(settings)) if not one.exists]
        made: list[str] = []
        if missing:
            brokers = len((await admin.describe_cluster())["brokers"])
            copies = replicas or max(1, min(_REPLICAS, brokers))
            made = await _create(admin, missing, partitions, copies)
        return await _settled(admin, needed(settings)), made


async def _create(admin: Any, names: Sequence[str], partitions: int, replicas: int) -> list[str]:
    configuration = {"min.insync.replicas": str(max(1, replicas - 1))}
    wanted = [NewTopic(name, partitions, replicas, topic_configs=configuration) for name in names]
    made: list[str] = []
    for name, code, *told in (await admin.create_topics(wanted)).topic_errors:
        if code == 0:
            made.append(name)
        elif for_code(code) is not TopicAlreadyExistsError:
            words = f"{for_code(code).__name__}: {told[0]}" if told and told[0] else for_code(code).__name__
            raise ConfigurationError(f"Kafka did not create topic {name} ({words.rstrip('.')}).")
    return made


async def _settled(admin: Any, names: Sequence[str]) -> list[Topic]:
    """As they are when every broker knows of the new ones, which takes a moment."""
    until_s = asyncio.get_running_loop().time() + _SETTLE_S
    topics = await _look(admin, names)
    while not all(one.exists for one in topics) and asyncio.get_running_loop().time() < until_s:
        await asyncio.sleep(_LOOK_AGAIN_S)
        topics = await _look(admin, names)
    return topics


async def _look(admin: Any, names: Sequence[str]) -> list[Topic]:
    # Not `describe_topics`: its question makes what it asks for where the broker makes topics by itself, which is the
    # broker's default: with a single partition, and of each message a single copy.
    question = MetadataRequest(list(names), allow_auto_topic_creation=False)
    answer: dict[str, Any] = (await admin._send_request(question)).to_object()
    told = {topic["topic"]: topic for topic in answer["topics"]}
    return [_topic(name, told.get(name, {})) for name in names]


def _topic(name: str, told: dict[str, Any]) -> Topic:
    partitions: list[Any] = told.get("partitions") or []
    if told.get("error_code", 3) != 0 or not partitions:
        return Topic(name)
    return Topic(name, len(partitions), min(len(one["replicas"]) for one in partitions))


@asynccontextmanager
async def _admin(settings: BrokerSettings) -> AsyncGenerator[Any]:
    arguments = connection(settings)
    quiet()
    admin: Any = AIOKafkaAdminClient(**arguments, request_timeout_ms=round(_WAIT_S * 1000))
    try:
        async with asyncio.timeout(3 * _WAIT_S):
            await admin.start()
            yield admin
    except (KafkaError, OSError) as error:
        plain = isinstance(error, KafkaConnectionError | TimeoutError)
        raise BrokerUnavailable(outage(await cause_of_silence(arguments) if plain else error)) from error
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()
