"""`payments doctor`: one look at everything, before going live and when something is wrong at night."""

from __future__ import annotations

import json

import click

from payments_core.app.doctor import examining
from payments_core.cli.database import database_url
from payments_core.cli.doctorviews import Page, report_json
from payments_core.drive import run_blocking


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Leave out whatever asks Stripe.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, offline: bool, strict: bool, as_json: bool) -> None:
    """Look at settings, database, work, Redis, Kafka and Stripe, and say what to do. Exit 1 when something failed.

    It changes nothing, and prints no secret. What is not configured is skipped, with the reason. Run it with the
    environment of the web processes.
    """
    page = Page(click.echo)
    with examining(database_url(), offline=offline) as doctor:
        report = run_blocking(doctor.run((lambda finding: None) if as_json else page.tell))
    is_well = report.is_well(strict=strict)
    if as_json:
        click.echo(json.dumps(report_json(report, is_well=is_well)))
    else:
        page.close(report)
    if not is_well:
        click.get_current_context().exit(1)
