"""`payments worker`: handles received events, on as many machines as you like.

The application's own handlers are what runs, so the worker imports them: `--app` names the `Payments` or
`AsyncPayments` object on which they are registered.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click

from payments_core.app import AsyncPayments, Payments
from payments_core.app.runners import GRACE_S
from payments_core.cli.lines import say
from payments_core.errors import PaymentsError

_FORM = "module:attribute, such as shop.payments:payments"


@click.command("worker", context_settings={"show_default": True})
@click.option("--app", "target", required=True, metavar="MODULE:ATTR", help="The Payments or AsyncPayments object.")
@click.option(
    "--grace",
    "grace_s",
    default=GRACE_S,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long SIGTERM waits for what is being handled.",
)
def command(*, target: str, grace_s: float) -> None:
    """Handle received events until SIGTERM or Ctrl+C.

    Run as many as you like, beside the web processes or instead of their background work (`runner=False` there): the
    database gives each event to one of them. On SIGTERM the events in hand are completed within the grace period, the
    others given back at once.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # It tells of every plugin it loads, whenever an embedded file is made.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    payments = _loaded(target)
    try:
        if isinstance(payments, AsyncPayments):
            asyncio.run(_work_on_a_loop(payments, grace_s))
        else:
            _work(payments, grace_s)
    except PaymentsError as error:
        raise click.ClickException(str(error)) from None
    say("Worker stopped.")


def _loaded(target: str) -> Payments | AsyncPayments:
    module_name, _, attribute = target.partition(":")
    if not module_name or module_name.startswith(".") or not attribute:
        raise click.UsageError(f"--app takes {_FORM}.")
    # As with gunicorn and uvicorn, what lies in the current directory can be named.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise click.UsageError(f"--app: there is no module {module_name!r} here or on the path.") from None
    except PaymentsError as error:
        raise click.ClickException(str(error)) from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise click.UsageError(f"--app: {module_name} has no {attribute!r}.")
        found = getattr(found, name)
    if not isinstance(found, Payments | AsyncPayments):
        raise click.UsageError(f"--app: {target} is a {type(found).__name__}; name the Payments or AsyncPayments.")
    return found


def _work(payments: Payments, grace_s: float) -> None:
    leave = threading.Event()

    def asked_to_leave(_number: int, _frame: FrameType | None) -> None:
        leave.set()

    # Before anything is claimed: a signal must find somebody who gives it back.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_leave)
    payments.start(runner=True)
    _ready()
    leave.wait()
    _let_the_next_signal_end_it()
    payments.close(grace_s=grace_s)


async def _work_on_a_loop(payments: AsyncPayments, grace_s: float) -> None:
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    await payments.start(runner=True)
    _ready()
    await leave.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
    _let_the_next_signal_end_it()
    await payments.close(grace_s=grace_s)


def _ready() -> None:
    say("Worker is handling events. Ctrl+C or SIGTERM stops it.")


def _let_the_next_signal_end_it() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    say("Worker is stopping: what is in hand is completed first. A second signal ends it at once.")
