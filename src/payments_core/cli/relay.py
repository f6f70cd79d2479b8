"""`payments relay`: publishes what the outbox owes to Kafka, in a process of its own.

It needs the database and the broker, and no Stripe key.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import datetime
from typing import Final

import click

from payments_core.adapters.sql import schema
from payments_core.app.metering import installed_meter
from payments_core.app.relays import LoopErrands, compose_relay
from payments_core.app.runners import GRACE_S
from payments_core.cli.database import opened_store, told
from payments_core.cli.lines import say
from payments_core.cli.moments import moment
from payments_core.drive import run_blocking
from payments_core.ports.publishing import BrokerUnavailable
from payments_core.services.relay import Relay, Tally
from payments_core.settings import RelaySettings

_log = logging.getLogger("payments_core.relay")

_AGAIN_S: Final = 2.0


@click.command("relay", context_settings={"show_default": True})
@click.option("--create-topics", is_flag=True, help="Make the topics that are missing, before anything is sent.")
@click.option("--include-unsent", is_flag=True, help="Send also what was written while no broker was named.")
@click.option(
    "--since", callback=moment, metavar="WHEN", help="With --include-unsent: what was written since then (7d, a date)."
)
@click.option("--once", is_flag=True, help="Send what is owed now, and end.")
@click.option(
    "--grace",
    "grace_s",
    default=GRACE_S,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long SIGTERM waits for what is being sent.",
)
def command(*, create_topics: bool, include_unsent: bool, since: datetime | None, once: bool, grace_s: float) -> None:
    """Publish outgoing events to Kafka until SIGTERM or Ctrl+C.

    Run several for availability: each takes partitions of the outbox that no other has, and a dead one's at once. The
    order of one payment's events holds. While Kafka is down nothing is lost and nothing is marked; it goes on by
    itself.
    """
    if include_unsent != (since is not None):
        raise click.UsageError("--include-unsent and --since WHEN belong together: say how far back to go.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with told():
        settings = RelaySettings.from_env()
        schema.check(settings.payments_database_url.get_secret_value())
        try:
            tally = asyncio.run(_main(settings, create_topics=create_topics, since=since, once=once, grace_s=grace_s))
        except BrokerUnavailable as trouble:
            raise click.ClickException(str(trouble)) from None
    if once:
        _tell_what_is_left(tally)


def _tell_what_is_left(tally: Tally) -> None:
    """What one run did not publish: held by another relay, not answered for just now, or behind what is parked."""
    with opened_store() as store:
        backlog = run_blocking(store.health()).outbox_backlog
    if backlog:
        say(
            f"Still owed: {backlog}. What another relay holds, or Kafka did not answer for, comes later; "
            "`payments outbox list` shows what is parked."
        )
    if tally.parked:
        click.get_current_context().exit(1)


async def _main(
    settings: RelaySettings, *, create_topics: bool, since: datetime | None, once: bool, grace_s: float
) -> Tally:
    errands = LoopErrands()
    relay = compose_relay(settings, errands, installed_meter())
    try:
        if not once:
            _leave_on_signals(errands)
        await _prepare_topics(settings, errands, create=create_topics, waits=not once)
        if since is not None:
            count = await relay.outbox.owe_unsent(since)
            say(f"Owed from now on: {count} events that were written while no broker was named.")
        await (relay.drain() if once else _until_asked(relay, errands, grace_s))
    finally:
        await relay.close()
    say(f"Relay stopped. Published: {relay.tally.published}, parked: {relay.tally.parked}.")
    return relay.tally


async def _until_asked(relay: Relay, errands: LoopErrands, grace_s: float) -> None:
    say("Relay is publishing outgoing events. Ctrl+C or SIGTERM stops it.")
    running = asyncio.ensure_future(relay.run())
    leaving = asyncio.ensure_future(errands.left())
    await asyncio.wait([running, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    _, late = await asyncio.wait([running], timeout=grace_s)
    for one in late:
        # What it had in hand stays owed.
        one.cancel()
    await asyncio.gather(running, return_exceptions=bool(late))


def _leave_on_signals(errands: LoopErrands) -> None:
    loop = asyncio.get_running_loop()

    def asked() -> None:
        errands.leave()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        say("Relay is stopping: what is being sent is completed first. A second signal ends it at once.")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)


async def _prepare_topics(settings: RelaySettings, errands: LoopErrands, *, create: bool, waits: bool) -> None:
    """Make the topics, or say which are missing; a broker that is down is waited for only to make them."""
    from payments_core.adapters.kafka import topics

    said = False
    while not errands.is_leaving:
        try:
            if create:
                _, made = await topics.create(settings)
                for name in made:
                    say(f"Created topic {name}.")
                return
            missing = [one.name for one in await topics.found(settings) if not one.exists]
            if missing:
                _log.warning("Kafka lacks %s: events of these are parked; see `payments topics`", ", ".join(missing))
            return
        except BrokerUnavailable as trouble:
            if not create or not waits:
                return
            if not said:
                _log.warning("Topics cannot be made yet: %s", trouble)
            said = True
            await errands.rest(_AGAIN_S, early=False)
