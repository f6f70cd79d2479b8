"""Flask-WTF's protection against forged forms: the webhook is exempt, the shop's own routes are not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from flask import Flask

from payments_core import Payments
from payments_core.domain.signature import sign
from payments_core.sandbox import running
from payments_flask import create_blueprint
from tests.http.targets import PREFIX, WEBHOOK_SECRET, settings
from tests.http.wrong_bodies import REFERENCE, text

CSRFProtect = pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed").CSRFProtect
EVENT = b'{"id":"evt_csrf","type":"customer.tax_id.updated","data":{"object":{}}}'


@pytest.mark.parametrize("protected_first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_the_webhook_alone_is_exempt_whichever_is_set_up_first(
    tmp_path: Path, protected_first: bool, content_type: str
) -> None:
    """Stripe has no token; a browser that opens a checkout has one."""
    app = Flask(__name__)
    app.secret_key = "a secret of the test"
    with running() as sandbox, contextlib.closing(Payments(settings(sandbox.base_url, tmp_path))) as payments:
        if protected_first:
            CSRFProtect(app)
        app.register_blueprint(create_blueprint(payments), url_prefix=PREFIX)
        app.register_blueprint(create_blueprint(payments, name="second"), url_prefix="/second")
        if not protected_first:
            CSRFProtect(app)
        app.post("/transfer")(lambda: "done")
        client = app.test_client()
        signature = sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))
        for prefix in (PREFIX, "/second"):
            received = client.post(
                f"{prefix}/webhooks/stripe",
                data=EVENT,
                headers={"Stripe-Signature": signature, "Content-Type": content_type},
            )
            assert (received.status_code, received.data) == (200, b'{"received": true}')
        assert client.post(f"{PREFIX}/create-checkout-session", data=text(REFERENCE)).status_code == 400
        assert client.post("/transfer").status_code == 400
        assert sandbox.events("checkout.session.completed") == []
