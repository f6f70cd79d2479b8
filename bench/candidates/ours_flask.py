"""Our Flask adapter over its own store, with the events left to a worker."""

from __future__ import annotations

from flask import Flask

from bench.candidates.place import database_url, secret
from payments_core import Payments, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import blocking_store
from payments_flask import create_blueprint

settings = Settings.of(stripe_secret_key="sk_test_bench", stripe_webhook_secret=secret())
payments = Payments(settings, store=blocking_store(database_url()), gateway=MemoryGateway(), runner=False)
app = Flask(__name__)
app.register_blueprint(create_blueprint(payments), url_prefix="/api/payments")
