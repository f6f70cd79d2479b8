"""The code on the pages runs against the real API, and does what the page says."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from payments_core import ConfigurationError, InvalidSignature, Payments, Settings, StripeEvent, Transaction
from payments_core.domain.signature import sign
from payments_core.sandbox import running
from payments_flask import create_blueprint
from tests.docs.conftest import SECRET, Namespace
from tests.docs.pages import DOCS, PAGES, README, ROOT, Block, blocks
from tests.plugin.entry import QUIET, plugin_options

RunPage = Callable[[Path], list[Namespace]]

PATIENT = """
from hypothesis import HealthCheck, settings

settings.register_profile("patient", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
"""
WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]


def signed(event: dict[str, Any]) -> tuple[bytes, str]:
    """The event's bytes and their signature, made now."""
    body = json.dumps(event).encode()
    return body, sign(body, SECRET, timestamp_s=int(time.time()))


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_runs(page: Path, run_page: RunPage) -> None:
    """Each page's blocks run one after another, as a reader would paste them."""
    assert len(run_page(page)) == len(blocks(page, "python"))


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "json")], ids=str)
def test_every_json_block_is_json(block: Block) -> None:
    """What is shown as JSON parses as JSON."""
    assert json.loads(block.code) is not None


def test_the_readmes_fastapi_application_serves(run_page: RunPage) -> None:
    """The first block of the README is an application whose payment routes answer."""
    app = run_page(README)[0]["app"]
    assert isinstance(app, FastAPI)
    with TestClient(app) as client:
        assert client.get("/api/payments/health").json() == {"status": "ok"}
        assert client.get("/api/payments/ready").status_code == 200


def test_the_readmes_flask_application_serves(run_page: RunPage) -> None:
    """The second block of the README is the same in Flask."""
    names = run_page(README)[1]
    assert isinstance(names["app"], Flask)
    client = names["app"].test_client()
    assert client.get("/api/payments/health").json == {"status": "ok"}
    assert client.get("/api/payments/ready").status_code == 200
    names["payments"].close()


@pytest.mark.parametrize("page", [README, DOCS / "how-to/dispatcher.md"], ids=["README", "how-to"])
def test_the_dispatcher_dispatches(page: Path, run_page: RunPage, capsys: pytest.CaptureFixture[str]) -> None:
    """The dispatcher's `view` hands a signed event to its handler."""
    view = run_page(page)[-1]["view"]
    body, signature = signed(
        {"id": "evt_1", "type": "payment_intent.payment_failed", "data": {"object": {"id": "pi_1"}}}
    )
    assert view(body, signature) in ("ok", 200)
    assert "declined: pi_1" in capsys.readouterr().out


def test_the_readmes_dispatcher_refuses_a_changed_body(run_page: RunPage) -> None:
    """A signature of another body raises InvalidSignature."""
    view = run_page(README)[-1]["view"]
    body, signature = signed({"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}})
    with pytest.raises(InvalidSignature):
        view(body + b" ", signature)


def test_the_dispatchers_test_passes(run_page: RunPage) -> None:
    """The test that the guide shows passes."""
    run_page(DOCS / "how-to/dispatcher.md")[-1]["test_a_declined_payment_is_seen"]()


def test_the_offline_tests_pass(run_page: RunPage, place: Path) -> None:
    """The guide's shops and their tests, as files that pytest finds: all of them pass, by the plugin alone."""
    run_page(DOCS / "how-to/offline-tests.md")
    files = sorted(place.glob("test_*.py"))
    # Hypothesis reads the source of whatever is installed editable before its first draw.
    with (place / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(PATIENT)
    environment = {**os.environ, "PYTHONPATH": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin_options(), *QUIET, *files],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    assert len(files) == 5


def test_the_example_of_a_contract_passes(run_page: RunPage, place: Path) -> None:
    """The guide's world is whole: every obligation of a store is tried on it, and kept."""
    run_page(DOCS / "how-to/contracts.md")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "test_my_store.py"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_tutorials_shop_takes_a_payment_once(run_page: RunPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial's shop opens a session, is told twice that it is paid, and has one order."""
    with running(webhook_secret=SECRET) as stripe:
        monkeypatch.setenv("STRIPE_API_BASE", stripe.base_url)
        app = run_page(DOCS / "tutorial/first-payment.md")[0]["app"]
        with TestClient(app) as client:
            cart = {
                "products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 2}],
                "successUrl": "http://127.0.0.1:3006/success",
                "cancelUrl": "http://127.0.0.1:3006/orders",
            }
            session_id = client.post("/api/payments/create-checkout-session", json=cart).json()["sessionId"]
            stripe.pay(session_id)
            body, signature = signed(stripe.events("checkout.session.completed")[0])
            for _ in range(2):
                headers = {"Stripe-Signature": signature}
                reply = client.post("/api/payments/webhooks/stripe", content=body, headers=headers)
                assert reply.content == b'{"received": true}'
            state = client.get(f"/api/payments/checkout-sessions/{session_id}").json()
            orders = client.get("/orders").json()
    assert (state["paymentStatus"], state["amountTotal"]) == ("paid", 59.98)
    assert orders == [{"session": session_id, "amount": 5998, "currency": "usd"}]


def test_the_json_formatter_shows_the_fields(run_page: RunPage) -> None:
    """One object a line, with what stands beside the message."""
    formatter = run_page(DOCS / "how-to/servers.md")[-1]["JsonFormatter"]()
    record = logging.makeLogRecord(
        {"name": "payments_core.inbox", "levelname": "ERROR", "msg": "x", "eventId": "evt_1"}
    )
    line = json.loads(formatter.format(record))
    assert (line["logger"], line["level"], line["eventId"]) == ("payments_core.inbox", "ERROR", "evt_1")


def test_the_session_in_a_handler_is_as_the_guide_says(run_page: RunPage) -> None:
    """Commit ends a savepoint, rollback undoes since then, a caught error is survived, raising undoes everything."""
    names = run_page(DOCS / "how-to/transaction.md")[-1]
    payments: Payments = names["payments"]
    order = names["Order"]
    raising = [True]

    @payments.on("charge.refunded")
    def handle(_event: StripeEvent, tx: Transaction) -> None:
        tx.session.add(order(payment_id="kept", amount_minor=1))
        tx.session.commit()
        tx.session.add(order(payment_id="undone", amount_minor=1))
        tx.session.rollback()
        with pytest.raises(IntegrityError):
            tx.session.execute(order.__table__.insert().values(payment_id="kept", amount_minor=2))
        tx.session.rollback()
        tx.session.add(order(payment_id="last", amount_minor=3))
        if raising.pop():
            raise RuntimeError("undo all of it")

    def stored() -> list[str]:
        with names["Session"](names["engine"]) as session:
            return sorted(session.scalars(select(order.payment_id)))

    def tell(event_id: str) -> None:
        payments.receive_webhook(*signed({"id": event_id, "type": "charge.refunded", "data": {"object": {"id": "ch"}}}))

    # Without the background runner: this thread alone handles what is due.
    payments.start(runner=False)
    tell("evt_1")
    payments.run_due()
    assert stored() == []
    raising.append(False)
    tell("evt_2")
    payments.run_due()
    assert stored() == ["kept", "last"]
    payments.close()


@pytest.mark.parametrize(("policy", "status"), [("catalog", 422), ("declared", 200)])
def test_a_price_without_a_product_is_taken_by_policy(policy: str, status: int) -> None:
    """A line that names no product is refused under `catalog`; one that does is verified under both."""
    with running() as stripe:
        settings = Settings.of(
            stripe_secret_key="sk_test_docs", stripe_api_base=stripe.base_url, payments_price_policy=policy
        )
        payments = Payments(settings)
        app = Flask("docs")
        app.register_blueprint(create_blueprint(payments, webhooks=False), url_prefix="/api/payments")

        def answer(**more: object) -> TestResponse:
            line = {"name": "Premium T-Shirt", "price": 19.99, "quantity": 1, **more}
            cart = {"products": [line], "successUrl": "https://shop.test/a", "cancelUrl": "https://shop.test/b"}
            return app.test_client().post("/api/payments/create-checkout-session", json=cart)

        without, unknown = answer(), answer(productId="tshirt")
        payments.close()
    assert without.status_code == status
    assert (unknown.json or {})["code"] == "unknown_product"


def test_a_live_key_has_no_default_policy() -> None:
    """The start is refused, with the variable's name, until somebody has chosen."""
    with pytest.raises(ConfigurationError, match="PAYMENTS_PRICE_POLICY is not set"):
        Settings.of(stripe_secret_key="sk_live_docs", payments_redirect_hosts="shop.test")
