"""`payments quarantine`: payments of which money came that is not what was agreed, and what is decided about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import click
from attrs import frozen
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from payments_core.cli.database import opened_store
from payments_core.cli.quarantineviews import answer_words, list_lines, payment_json, show_json, show_lines, unknown
from payments_core.cli.tables import plain
from payments_core.domain.payment import Payment
from payments_core.drive import run_blocking
from payments_core.errors import PaymentsError
from payments_core.ports import Store
from payments_core.services.quarantine import (
    LONGEST_REASON,
    Answer,
    OddLines,
    called,
    explained,
    reject,
    release,
)
from payments_core.settings import Settings

_Decide: TypeAlias = Callable[[Store, str, str], Coroutine[Any, Any, Answer]]
_name = click.argument("name", metavar="PAYMENT")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Who decides, and why; kept with the payment.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class _StripeSettings(BaseSettings):
    """Whether there is a key to ask Stripe with, and whose payments are meant."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, case_sensitive=False)

    stripe_secret_key: SecretStr = SecretStr("")
    payments_account: str = ""


@frozen
class Explanation:
    """The lines that differ, or why Stripe could not be asked for them."""

    lines: OddLines | None = None
    problem: str | None = None


@click.group("quarantine")
def command() -> None:
    """Look at payments that are paid and not what was agreed, and decide about them."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
@click.option("--after", metavar="CURSOR", help="Go on where a page ended.")
@_json
def list_(*, limit: int, after: str | None, as_json: bool) -> None:
    """List quarantined payments, those first that wait longest, and count them."""
    with opened_store() as store:
        # One more than is shown: it tells whether there is a next page.
        found = run_blocking(store.records.quarantined(limit=limit + 1, after=after))
        total = run_blocking(store.health()).quarantined
    shown: Sequence[Payment] = found[:limit]
    following = shown[-1].payment_id if len(found) > limit else None
    if as_json:
        listed = {"payments": [payment_json(one) for one in shown], "next": following, "total": total}
        click.echo(json.dumps(listed))
        return
    if shown:
        click.echo("\n".join(list_lines(shown)))
    if following is not None:
        click.echo(f"There are more: --after {following}")
    click.echo(f"Quarantined: {total}.")


@command.command("show")
@_name
@_json
def show(*, name: str, as_json: bool) -> None:
    """Show what differs, Stripe's lines beside the agreed ones where STRIPE_SECRET_KEY is set, and what happened."""
    with opened_store() as store:
        payment = _called(store, name)
        if payment is None:
            raise click.ClickException(unknown(name))
        if payment.quarantined_at is None:
            raise click.ClickException(f"{plain(name)} is {payment.state.value}, and was never quarantined.")
        history = run_blocking(store.records.history(payment.payment_id))
    found = _asked(payment)
    if as_json:
        click.echo(json.dumps(show_json(payment, history, found.lines, found.problem)))
    else:
        click.echo("\n".join(show_lines(payment, history, found.lines, found.problem)))


@command.command("release")
@_name
@_reason
@_json
def release_(*, name: str, reason: str, as_json: bool) -> None:
    """Accept a quarantined payment as paid: a worker settles it, with its handlers. Once, however often it is asked."""
    _decide(release, name, reason, as_json=as_json)


@command.command("reject")
@_name
@_reason
@_json
def reject_(*, name: str, reason: str, as_json: bool) -> None:
    """Close a quarantined payment that is not accepted. Nothing is refunded by this: do that at Stripe, first."""
    _decide(reject, name, reason, as_json=as_json)


def _called(store: Store, name: str) -> Payment | None:
    account = _StripeSettings().payments_account.strip() or None
    return run_blocking(called(store, name, account=account))


def _decide(
    decide: Callable[[Store, str, str], Coroutine[Any, Any, Answer]], name: str, reason: str, *, as_json: bool
) -> None:
    if not 0 < len(" ".join(reason.split())) <= LONGEST_REASON:
        raise click.UsageError(f"--reason needs 1 to {LONGEST_REASON} characters: who decides, and why.")
    with opened_store() as store:
        payment = _called(store, name)
        payment_id = name if payment is None else payment.payment_id
        answer = run_blocking(decide(store, payment_id, reason))
    said = answer_words(payment_id, answer)
    if as_json:
        click.echo(json.dumps({"paymentId": payment_id, "outcome": answer.outcome.value, "detail": said.words}))
    else:
        click.echo(said.words, err=not said.is_well)
    if not said.is_well:
        click.get_current_context().exit(1)


def _asked(payment: Payment) -> Explanation:
    """Stripe's lines, where there is a key; whatever keeps them away is said, and shows nothing less of the rest."""
    if not _StripeSettings().stripe_secret_key.get_secret_value().strip():
        return Explanation(problem="STRIPE_SECRET_KEY is not set, so Stripe was not asked for its lines")
    from payments_core.adapters.stripe import blocking_gateway

    try:
        settings = Settings.from_env()
        if settings.livemode != payment.livemode:
            return Explanation(problem="STRIPE_SECRET_KEY is of the other mode, so Stripe was not asked for its lines")
        gateway = blocking_gateway(settings)
        try:
            return Explanation(lines=run_blocking(explained(gateway, payment)))
        finally:
            run_blocking(gateway.close())
    except PaymentsError as error:
        return Explanation(problem=str(error))
