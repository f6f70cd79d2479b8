"""What a preloading server imports before it forks: a Flask shop with the relay in its own process.

With `START_BEFORE_FORK` set it is also started there, as a shop does that calls `payments.start()` at import.
"""

from __future__ import annotations

import os

from flask import Flask

from payments_core import Payments
from payments_flask import create_blueprint

payments = Payments.from_env(stripe_secret_key="sk_test_123", stripe_webhook_secret="whsec_test_secret", relay=True)
app = Flask(__name__)
app.register_blueprint(create_blueprint(payments), url_prefix="/api/payments")

if os.environ.get("START_BEFORE_FORK"):
    payments.start()
