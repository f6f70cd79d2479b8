"""Stripe's own command-line tool, unmodified, against a real server: what it triggers happens, and ends well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from payments_core.sandbox import Sandbox

if sys.platform != "linux" or os.uname().machine != "x86_64":
    pytest.skip("Stripe's tool comes from npm for Linux on x86-64 alone", allow_module_level=True)

Tool = Callable[..., subprocess.CompletedProcess[str]]
#: Nothing listens there: what the tool would ask the internet (whether there is a newer one) leads nowhere.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def tool(stripe_npm: Path, served: Sandbox, tmp_path: Path) -> Tool:
    """Runs the tool with a made-up test key, its files in a folder of the test's own."""
    program = stripe_npm / "@stripe/cli-linux-x64/bin/stripe"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "HTTPS_PROXY": NOWHERE,
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *words, "--api-base", served.base_url, "--api-key", "sk_test_sandbox_only"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


CHECKOUT = ["product.created", "price.created"]
PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
TRIGGERS = {
    "checkout.session.completed": [*CHECKOUT, *PAID, "checkout.session.completed"],
    "checkout.session.expired": [*CHECKOUT, "checkout.session.expired"],
    "payment_intent.created": ["payment_intent.created"],
    "payment_intent.succeeded": PAID,
    "payment_intent.payment_failed": ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"],
    "payment_intent.canceled": ["payment_intent.created", "payment_intent.canceled"],
    "payment_intent.requires_action": ["payment_intent.created", "payment_intent.requires_action"],
    "payment_intent.amount_capturable_updated": [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
    ],
    "charge.succeeded": PAID,
    "charge.failed": ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"],
    "charge.captured": [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ],
    "charge.refunded": [*PAID, "charge.refunded", "refund.created"],
    "charge.dispute.created": [*PAID, "charge.dispute.created"],
    "customer.created": ["customer.created"],
    "customer.updated": ["customer.created", "customer.updated"],
    "customer.deleted": ["customer.created", "customer.deleted"],
    "payment_method.attached": ["customer.created", "payment_method.attached"],
    "invoice.paid": [
        "customer.created",
        "payment_method.attached",
        "invoiceitem.created",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ],
    "product.updated": ["product.created", "product.updated"],
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_the_tool_triggers_happens(tool: Tool, served: Sandbox, name: str) -> None:
    """Exit 0, and exactly these events, in this order."""
    done = tool("trigger", name)

    assert (done.returncode, "Trigger succeeded!" in done.stdout) == (0, True), done.stdout + done.stderr
    assert [event["type"] for event in served.events()] == TRIGGERS[name]


@pytest.mark.parametrize("name", ["checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"])
def test_a_delayed_payment_that_the_tool_triggers_ends_by_the_clock(tool: Tool, served: Sandbox, name: str) -> None:
    """A bank debit: complete and unpaid at first, then paid or not."""
    done = tool("trigger", name)
    assert done.returncode == 0, done.stdout + done.stderr

    served.advance(timedelta(days=1))

    seen = [event["type"] for event in served.events()]
    assert seen.index("checkout.session.completed") < seen.index(name)
    (session,) = (event["data"]["object"] for event in served.events(name))
    assert session["status"] == "complete"
    assert session["payment_status"] == ("paid" if name.endswith("succeeded") else "unpaid")
    assert session["customer"] is not None


def test_fixtures_of_ones_own_run_step_by_step(tool: Tool, served: Sandbox, tmp_path: Path) -> None:
    """Later steps name fields of earlier ones; a decline that is expected does not end the run."""
    steps = [
        {"name": "shirt", "path": "/v1/products", "method": "post", "params": {"name": "Shirt", "id": "shirt"}},
        {
            "name": "price",
            "path": "/v1/prices",
            "method": "post",
            "params": {"product": "${shirt:id}", "unit_amount": 2999, "currency": "usd", "lookup_key": "shirt"},
        },
        {
            "name": "declined",
            "path": "/v1/payment_intents",
            "method": "post",
            "expected_error_type": "card_error",
            "params": {
                "amount": 2999,
                "currency": "usd",
                "confirm": True,
                "payment_method": "pm_card_chargeDeclined",
                "payment_method_types": ["card"],
            },
        },
        {"name": "found", "path": "/v1/prices/${price:id}", "method": "get"},
    ]
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"_meta": {"template_version": 0}, "fixtures": steps}))

    done = tool("fixtures", str(file))

    assert done.returncode == 0, done.stdout + done.stderr
    assert [event["type"] for event in served.events()] == [
        "product.created",
        "price.created",
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_resources_are_read_by_the_tools_own_commands(tool: Tool, served: Sandbox) -> None:
    """`stripe products create`, `stripe get`: what was made is there."""
    made = json.loads(tool("products", "create", "--name", "Mug", "--id", "mug").stdout)

    assert json.loads(tool("get", "/v1/products/mug").stdout) == made
    assert made["name"] == "Mug"


def test_what_the_sandbox_lacks_ends_badly_and_says_so(tool: Tool) -> None:
    """Subscriptions: no exit 0, and no silence."""
    done = tool("trigger", "customer.subscription.created")

    assert done.returncode != 0
    assert "does not implement" in done.stdout + done.stderr
