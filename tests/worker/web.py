"""What a preloading server imports before it forks: a Flask shop whose handler notes which process it ran in.

With `START_BEFORE_FORK` set it also starts the runner there, as a shop does that calls `payments.start()` at import.
"""

from __future__ import annotations

import os

from flask import Flask
from sqlalchemy import text

from payments_core import Payments, StripeEvent, Transaction
from payments_flask import create_blueprint

payments = Payments.from_env(stripe_secret_key="sk_test_123", stripe_webhook_secret="whsec_test_secret")
app = Flask(__name__)
app.register_blueprint(create_blueprint(payments), url_prefix="/api/payments")


@payments.on("charge.refunded")
def refunded(event: StripeEvent, tx: Transaction) -> None:
    """Write the effect, and by whom."""
    note = text("INSERT INTO effects (event_id, pid) VALUES (:event_id, :pid)")
    tx.connection.execute(note, {"event_id": event.id, "pid": os.getpid()})


if os.environ.get("START_BEFORE_FORK"):
    payments.start()
