"""Our FastAPI adapter, with the events left to a worker.

BENCH_STORE: `sql` (the store as it comes), `plain` (T5's insert) or `none` (nothing stored).
BENCH_BROKER: an address, for a relay in this process.
"""

from __future__ import annotations

import os

from fastapi import FastAPI

from bench.candidates.place import database_url, secret
from bench.candidates.plain_insert import PlainInsert
from bench.candidates.stores import forgetful, receiving
from payments_core import AsyncPayments, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import async_store
from payments_core.ports import Store
from payments_fastapi import create_router


def _store() -> Store:
    kind = os.environ.get("BENCH_STORE", "sql")
    if kind == "none":
        return forgetful()
    store = async_store(database_url())
    return receiving(store, PlainInsert(database_url()).receive) if kind == "plain" else store


def _payments() -> AsyncPayments:
    broker, gateway = os.environ.get("BENCH_BROKER"), MemoryGateway(io="async")
    known: dict[str, object] = {"stripe_secret_key": "sk_test_bench", "stripe_webhook_secret": secret()}
    if broker is None:
        return AsyncPayments(Settings.of(**known), store=_store(), gateway=gateway, runner=False)
    settings = Settings.of(**known, kafka_brokers=(broker,), payments_database_url=database_url())
    return AsyncPayments(settings, gateway=gateway, runner=False, relay=True)


payments = _payments()
app = FastAPI()
app.include_router(create_router(payments), prefix="/api/payments")
