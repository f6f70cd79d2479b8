"""A downstream service as a process of its own, to be killed: `python -m tests.kafka_consumer.service …`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from sqlalchemy import insert

from payments_core.adapters.kafka.consumer import ConsumerLimits
from payments_core.consumer import Transaction
from payments_core.published import PaymentSuccessful
from tests.kafka_consumer.orders import booked, consumer


def main() -> None:
    """Book every event, slowly enough to be killed in the middle of it."""
    parser = argparse.ArgumentParser()
    for name in ("brokers", "prefix", "url", "io"):
        parser.add_argument(name)
    parser.add_argument("--instance")
    parser.add_argument("--commit-s", type=float, default=0.2)
    parser.add_argument("--work-s", type=float, default=0.005)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    limits = ConsumerLimits(session_s=6, grace_s=5, topics_s=1, commit_s=asked.commit_s, instance_id=asked.instance)
    one = consumer(asked.brokers, asked.prefix, asked.url, limits=limits)
    if asked.io == "async":

        @one.on(PaymentSuccessful)
        async def booking(event: PaymentSuccessful, tx: Transaction) -> None:
            await tx.session.execute(insert(booked).values(event_id=event.event_id))
            await asyncio.sleep(asked.work_s)

    else:

        @one.on(PaymentSuccessful)
        def booking_plainly(event: PaymentSuccessful, tx: Transaction) -> None:
            tx.session.execute(insert(booked).values(event_id=event.event_id))
            time.sleep(asked.work_s)

    one.run()


if __name__ == "__main__":
    main()
