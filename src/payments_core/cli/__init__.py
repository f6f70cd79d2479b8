"""The `payments` command. Each subcommand lives in a module of its own and is loaded only when it is asked for.

So `payments --help` is fast, and a command whose optional libraries are not installed says so without breaking the
others. A new command is one line in `COMMANDS`: its name, its module (which has `command`, a click command), the
extra that brings its libraries, and one line of help.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import click


class Entry(NamedTuple):
    """Where a subcommand is found."""

    module: str
    extra: str
    help: str


COMMANDS: Final[dict[str, Entry]] = {
    "analytics": Entry("payments_core.cli.analytics", "cli", "Success rate, revenue, declined attempts."),
    "consume-products": Entry(
        "payments_core.cli.consume_products", "cli,kafka", "Keep Stripe's catalogue as the shop's messages say."
    ),
    "consumed": Entry("payments_core.cli.consumed", "cli", "Look at consumers' dead messages, bring them back."),
    "db": Entry("payments_core.cli.db", "cli", "Create, upgrade or check the database schema."),
    "doctor": Entry("payments_core.cli.doctor", "cli", "One look at everything: what is wrong, and what to do."),
    "events": Entry("payments_core.cli.events", "cli", "Look at received events, bring dead letters back."),
    "outbox": Entry("payments_core.cli.outbox", "cli", "Look at outgoing events that are parked, and release them."),
    "quarantine": Entry("payments_core.cli.quarantine", "cli", "Look at paid and not as agreed; decide about them."),
    "relay": Entry("payments_core.cli.relay", "cli,kafka", "Publish outgoing events to Kafka."),
    "topics": Entry("payments_core.cli.topics", "cli,kafka", "Show or make the Kafka topics that are needed."),
    "worker": Entry("payments_core.cli.worker", "cli", "Handle received events, on any number of machines."),
    "reconcile": Entry("payments_core.cli.reconcile", "cli", "Find at Stripe what no webhook told, and bring it in."),
    "verify": Entry("payments_core.cli.verify", "cli", "Compare the payments with Stripe; exit 1 on any difference."),
    "sandbox": Entry("payments_core.cli.sandbox", "sandbox", "Run a local Stripe: no account, no network, no money."),
}


def main() -> None:
    """Entry point of the console script."""
    if importlib.util.find_spec("click") is None:
        sys.exit("The payments command needs click: pip install 'payments-core[cli]'")
    try:
        _group()(prog_name="payments")
    except OSError as trouble:
        if trouble.errno != errno.ENOSPC:
            raise
        sys.exit("Error: there is no room left where the output or a file is to be written.")


def _group() -> click.Group:
    import click

    from payments_core._version import __version__

    class LazyGroup(click.Group):
        """Lists the table, imports a module when its command is used."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            return sorted(COMMANDS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            entry = COMMANDS.get(cmd_name)
            return None if entry is None else _load(cmd_name, entry)

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])

    group = LazyGroup("payments", help="Stripe payments: run, inspect and repair.", no_args_is_help=True)
    return click.version_option(__version__, prog_name="payments")(group)


def _load(name: str, entry: Entry) -> click.Command:
    import click

    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("payments_core"):
            raise
        raise click.ClickException(
            f"payments {name} needs {error.name}: pip install 'payments-core[{entry.extra}]'"
        ) from None
    command: click.Command = module.command
    return command
