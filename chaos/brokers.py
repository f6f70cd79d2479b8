"""The brokers of the scenarios: the one that is there, or one of one's own that may be killed, frozen and cut off."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from chaos.processes import state_of, until
from chaos.scenario import CannotRun
from tools.services import Running, ServiceUnavailable, kafka
from tools.services.base import alive, end, free_port

_PORT: Final = "PAYMENTS_SERVICES_KAFKA_PORT"
_READ_S: Final = 120.0


class OwnBroker:
    """A Kafka node that may be killed: always at the same address, always with the same data.

    With `cut_at` it has a second listener, whose clients are told to come to that port of this machine: a proxy's.
    """

    def __init__(self, home: Path, *, cut_at: int | None = None, extra: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._port = free_port()
        self._extra = dict(extra or {})
        self._running: Running | None = None
        self.behind_port = 0
        if cut_at is not None:
            self.behind_port = free_port()
            self._extra |= _second_listener(self.behind_port, cut_at)
        home.mkdir()
        self.address = f"127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        before = os.environ.get(_PORT)
        os.environ[_PORT] = str(self._port)
        try:
            self._running = kafka.start(self._home, self._extra)
        except ServiceUnavailable as error:
            raise CannotRun(str(error)) from None
        finally:
            os.environ.pop(_PORT)
            if before is not None:
                os.environ[_PORT] = before

    def kill(self) -> None:
        """Kill -9; back when it is dead."""
        if self._running is not None:
            running = self._running
            os.kill(running.pid, signal.SIGKILL)
            if not until(lambda: not alive(running), 20):
                raise CannotRun("the broker could not be killed")

    def freeze(self) -> None:
        """It holds its connections, and answers nothing."""
        self._signal(signal.SIGSTOP)
        if not until(lambda: self._running is not None and state_of(self._running.pid) == "T", 10):
            raise CannotRun("the broker could not be frozen")

    def thaw(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good."""
        if self._running is not None:
            self.thaw()
            end(self._running, signal.SIGKILL, 10)

    def _signal(self, number: signal.Signals) -> None:
        if self._running is not None and alive(self._running):
            os.kill(self._running.pid, number)


def _second_listener(port: int, advertised: int) -> dict[str, str]:
    return {
        "listeners": (f"PLAINTEXT://127.0.0.1:{{broker}},CUT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{{controller}}"),
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{broker}},CUT://127.0.0.1:{advertised}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CUT:PLAINTEXT",
    }


def everything(brokers: str, topics: list[str]) -> list[tuple[str, str, str]]:
    """Topic, key and event id of every message that is there, each partition's in their order, read by librdkafka."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "auditor", "enable.auto.commit": False})
    found: list[tuple[str, str, str]] = []
    try:
        told = consumer.list_topics(timeout=30).topics
        wanted = [TopicPartition(topic, number) for topic in topics for number in told[topic].partitions]
        ends = {(one.topic, one.partition): consumer.get_watermark_offsets(one, timeout=30)[1] for one in wanted}
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in ends])
        left = {place for place, end in ends.items() if end}
        deadline = time.monotonic() + _READ_S
        while left and time.monotonic() < deadline:
            for message in consumer.consume(1000, timeout=0.2):
                place = (str(message.topic()), int(message.partition() or 0))
                headers = dict(message.headers() or [])
                found.append((place[0], _text(message.key()), _text(headers.get("ce_id"))))
                if int(message.offset() or 0) + 1 >= ends[place]:
                    left.discard(place)
    finally:
        consumer.close()
    if left:
        raise CannotRun(f"the topics could not be read to their end: {sorted(left)}")
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
