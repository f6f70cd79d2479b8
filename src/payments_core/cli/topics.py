"""`payments topics`: the Kafka topics that outgoing events need, found or made."""

from __future__ import annotations

import asyncio
import json

import click

from payments_core.adapters.kafka import topics as adapter
from payments_core.cli.database import told
from payments_core.cli.tables import table
from payments_core.ports.publishing import BrokerUnavailable
from payments_core.settings import BrokerSettings


@click.command("topics", context_settings={"show_default": True})
@click.option("--create", "creates", is_flag=True, help="Make those that are missing.")
@click.option("--partitions", type=click.IntRange(1, 10_000), default=adapter.PARTITIONS, help="Of a topic made here.")
@click.option(
    "--replication",
    "replicas",
    type=click.IntRange(1, 100),
    show_default="3, or as many as there are brokers",
    help="Copies of each message in a topic made here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, creates: bool, partitions: int, replicas: int | None, as_json: bool) -> None:
    """Show the topics that are needed, one per type of event. Exit 1 when one is missing.

    What is there is never changed. In a topic made here a message counts as published when all copies but one have it
    (min.insync.replicas); how long messages are kept is left to the broker.
    """
    made: list[str] = []
    with told():
        settings = BrokerSettings.from_env()
        try:
            if creates:
                found, made = asyncio.run(adapter.create(settings, partitions=partitions, replicas=replicas))
            else:
                found = asyncio.run(adapter.found(settings))
        except BrokerUnavailable as trouble:
            raise click.ClickException(str(trouble)) from None
    missing = [topic.name for topic in found if not topic.exists]
    if as_json:
        click.echo(json.dumps({"topics": [_json(topic) for topic in found], "created": made, "missing": missing}))
    else:
        click.echo("\n".join(_lines(found, made)))
    if missing:
        click.echo(f"Missing: {', '.join(missing)}. Make them with `payments topics --create`.", err=True)
        click.get_current_context().exit(1)


def _json(topic: adapter.Topic) -> dict[str, object]:
    return {
        "name": topic.name,
        "exists": topic.exists,
        "partitions": topic.partitions,
        "replication": topic.replicas,
    }


def _lines(found: list[adapter.Topic], made: list[str]) -> list[str]:
    rows = [
        (
            topic.name,
            str(topic.partitions or "-"),
            str(topic.replicas or "-"),
            "created" if topic.name in made else "there" if topic.exists else "missing",
        )
        for topic in found
    ]
    return table(("topic", "partitions", "replication", ""), rows, right=(1, 2))
