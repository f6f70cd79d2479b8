"""`payments consume-products`: the shop's catalogue, from its topics to Stripe."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from typing import Any

import click

from payments_core.app.catalogue import Member, catalogue_loop, topics_of
from payments_core.app.consuming import ConsumerLoop
from payments_core.cli.database import told
from payments_core.cli.lines import say
from payments_core.errors import ConfigurationError
from payments_core.settings import ConsumerSettings, Settings

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _name(_: click.Context, __: click.Parameter, value: Any) -> Any:
    for name in (value,) if isinstance(value, str) else value or ():
        if not _NAME.fullmatch(name):
            raise click.BadParameter("takes letters, digits and ._- only")
    return value


@click.command("consume-products")
@click.option("--group", default="payments-catalogue", show_default=True, callback=_name, help="The consumer group.")
@click.option(
    "--topic",
    "named",
    multiple=True,
    callback=_name,
    help="Consume this topic in place of product.created, product.updated and product.deleted; may be repeated.",
)
@click.option(
    "--instance-id",
    callback=_name,
    help="This process's own name in the group, the same after a restart: it gets its partitions back at once.",
)
def command(*, group: str, named: tuple[str, ...], instance_id: str | None) -> None:
    """Keep Stripe's catalogue as the shop's messages say, until SIGTERM or Ctrl+C.

    A product is made under the shop's own id, a new price becomes its default, a deleted product is archived. What
    Stripe refuses, and what cannot be read, is kept as a dead letter: see `payments consumed`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # It tells of every plugin it loads, whenever an embedded file is made.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with told():
        settings, consumer = Settings.from_env(), ConsumerSettings.from_env()
        if not settings.kafka_brokers:
            raise ConfigurationError(
                "KAFKA_BROKERS is not set; put the brokers' addresses there, as kafka-1:9092,kafka-2:9092."
            )
        topics = topics_of(settings.payments_topic_prefix, named)
        member = Member(group, instance_id, consumer.payments_consumer_max_attempts)
        asyncio.run(_main(settings, member, topics))


async def _main(settings: Settings, member: Member, topics: dict[str, str]) -> None:
    loop, gateway = catalogue_loop(settings, member, topics)
    _leave_on_signals(loop)
    say(f"Consuming {', '.join(sorted(topics))}. Ctrl+C or SIGTERM stops it.")
    try:
        await loop.run()
    finally:
        await gateway.close()
    say("Stopped.")


def _leave_on_signals(consuming: ConsumerLoop) -> None:
    here = asyncio.get_running_loop()

    def asked() -> None:
        consuming.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            here.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        say("Stopping: what is in hand is completed first. A second signal ends it at once.")

    for number in (signal.SIGTERM, signal.SIGINT):
        here.add_signal_handler(number, asked)
