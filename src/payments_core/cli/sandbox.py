"""`payments sandbox`: a local Stripe in one process."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys

import click

from payments_core.sandbox import PortInUse, Sandbox, StripeRefusal, bind, serve, url_of

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
@click.option("--seed", type=int, default=None, help="Make ids repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the start as one JSON line.")
def command(  # noqa: PLR0917 - click passes its options by name
    host: str,
    port: int,
    forward_to: tuple[str, ...],
    webhook_secret: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Run a local Stripe: sessions that can be paid, signed webhooks, no account and no real money.

    Point a Stripe client at the printed address with any key that starts with sk_test_. Everything is kept in
    memory and forgotten at the end.
    """
    if webhook_secret is not None and not webhook_secret.startswith("whsec_"):
        raise click.UsageError("--webhook-secret must start with whsec_, as Stripe's do.")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        listener = bind(host, port)
    except PortInUse as error:
        raise click.ClickException(str(error)) from None
    try:
        sandbox = Sandbox(webhook_secret=webhook_secret, forward_to=forward_to, seed=seed, base_url=url_of(listener))
    except StripeRefusal:
        listener.close()
        raise click.UsageError("--forward-to takes absolute http or https URLs.") from None
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
        click.echo(json.dumps(start))
    else:
        click.echo(f"Stripe sandbox on {sandbox.base_url} (test keys only, no real money)")
        if shown_secret:
            click.echo(f"Webhook secret: {sandbox.webhook_secret}")
        for url in forward_to:
            click.echo(f"Forwarding events to {url}")
    sys.stdout.flush()
