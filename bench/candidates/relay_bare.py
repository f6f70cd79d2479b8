"""T7's peer: aiokafka alone, with the same messages from memory: no database, no order per key, nothing marked.

`pipelined` queues everything and waits for all answers, `single` waits for each.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from time import process_time
from typing import Any

from aiokafka import AIOKafkaProducer  # pyright: ignore[reportMissingTypeStubs]

from bench import outbox
from payments_core.adapters.kafka.messages import headers_of
from payments_core.adapters.kafka.publisher import LARGEST_BYTES


async def main(how: str, count: int) -> None:
    """Send so many messages."""
    topic = os.environ["PAYMENTS_TOPIC_PREFIX"] + outbox.TYPE
    sent = [_message(number) for number in range(count)]
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BROKERS"],
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_request_size=LARGEST_BYTES,
    )
    await producer.start()
    await producer.partitions_for(topic)
    print("ready", flush=True)
    sys.stdin.readline()
    began = process_time()
    if how == "single":
        for key, value, headers in sent:
            await producer.send_and_wait(topic, value, key=key, headers=headers)
    else:
        answers = [await producer.send(topic, value, key=key, headers=headers) for key, value, headers in sent]
        await asyncio.gather(*answers)
    print(json.dumps({"published": count, "cpu_s": process_time() - began}), flush=True)
    await producer.stop()


def _message(number: int) -> tuple[bytes, bytes, Any]:
    row = outbox.owed(number)
    return row.key.encode(), row.payload.encode(), headers_of(row, b"/payments-core")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
