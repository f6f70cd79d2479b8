"""`payments sandbox`: a local Stripe in one process."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path

import click

from payments_core.sandbox import CALM, PortInUse, Sandbox, StateFileRefused, StripeRefusal, bind, serve, url_of

# The sandbox loads these late; their absence is to be noticed before anything starts.
for _name in ("aiohttp", "jinja2", "starlette", "uvicorn"):
    if importlib.util.find_spec(_name) is None:
        raise ModuleNotFoundError(f"No module named {_name!r}", name=_name)


@click.command("sandbox", context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=12111, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--forward-to", multiple=True, metavar="URL", help="Webhook URL that gets every event. Repeatable.")
@click.option(
    "--webhook-secret",
    metavar="whsec_…",
    help="Signing secret of the forwarded events; made up and printed where not given.",
)
@click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep everything in this file, across restarts.",
)
@click.option(
    "--chaos",
    metavar="SPEC",
    help="Shares of deliveries that go wrong: duplicate=0.3,reorder=0.3,delay=0.2:60,drop=0.1,twin=0.1.",
)
@click.option(
    "--tax-percent", default="10", metavar="PERCENT", help="What automatic tax takes, as 8.875, the same everywhere."
)
@click.option("--seed", type=int, default=None, help="Make ids and chaos repeatable; made up and printed with --chaos.")
@click.option("--json", "as_json", is_flag=True, help="Print the start as one JSON line.")
def command(  # noqa: PLR0917 - click passes its options by name
    host: str,
    port: int,
    forward_to: tuple[str, ...],
    webhook_secret: str | None,
    state_file: Path | None,
    chaos: str | None,
    tax_percent: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """Run a local Stripe: sessions that can be paid, signed webhooks, no account and no real money.

    Point a Stripe client at the printed address with any key that starts with sk_test_. Everything is kept in
    memory and forgotten at the end, unless --state names a file.
    """
    if webhook_secret is not None and not webhook_secret.startswith("whsec_"):
        raise click.UsageError("--webhook-secret must start with whsec_, as Stripe's do.")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        listener = bind(host, port)
    except PortInUse as error:
        raise click.ClickException(str(error)) from None
    try:
        sandbox = Sandbox(
            webhook_secret=webhook_secret,
            forward_to=forward_to,
            seed=seed,
            base_url=url_of(listener),
            chaos=chaos,
            tax_percent=tax_percent,
            state_file=state_file,
        )
    except StateFileRefused as error:
        listener.close()
        raise click.ClickException(str(error)) from None
    except StripeRefusal:
        listener.close()
        raise click.UsageError("--forward-to takes absolute http or https URLs.") from None
    except ValueError as error:
        listener.close()
        raise click.UsageError(str(error)) from None
    serve(
        sandbox,
        listener,
        ready=lambda: _announce(sandbox, forward_to, shown_secret=webhook_secret is None, as_json=as_json),
    )


def _announce(sandbox: Sandbox, forward_to: tuple[str, ...], *, shown_secret: bool, as_json: bool) -> None:
    """Where it is. A secret that was given is not printed again."""
    if as_json:
        start: dict[str, object] = {
            "event": "started",
            "url": sandbox.base_url,
            "forwardTo": list(forward_to),
        }
        if shown_secret:
            start["webhookSecret"] = sandbox.webhook_secret
        if sandbox.state_path is not None:
            start["state"] = str(sandbox.state_path)
        if sandbox.chaos != CALM:
            start["seed"] = sandbox.seed
        click.echo(json.dumps(start))
    else:
        click.echo(f"Stripe sandbox on {sandbox.base_url} (test keys only, no real money)")
        if shown_secret:
            click.echo(f"Webhook secret: {sandbox.webhook_secret}")
        for url in forward_to:
            click.echo(f"Forwarding events to {url}")
        if sandbox.state_path is not None:
            click.echo(f"Everything is kept in {sandbox.state_path}")
        if sandbox.chaos != CALM:
            click.echo(f"Deliveries go wrong on request; the same again: --seed {sandbox.seed}")
    sys.stdout.flush()
