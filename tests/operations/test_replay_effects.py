"""A replay beside workers: what was dead is handled once, whoever replays and however often."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from payments_core import Payments, Settings, StripeEvent, Transaction
from payments_core.adapters.sql import Limits, SqlStore, blocking_store, upgrade
from payments_core.domain.delivery import DeliveryPolicy
from payments_core.domain.signature import sign
from payments_core.drive import run_blocking
from payments_core.ports import EventFilter
from payments_core.testing.contracts.examples import finish
from tests.operations.conftest import Run
from tests.operations.scenes import bury, states

SECRET = "whsec_test_secret"
EVENTS = 30
LIMITS = Limits(pool_size=1, overflow=1)


def test_a_repaired_handler_gets_its_dead_letter_back(run: Run, sqlite_url: str) -> None:
    """Its attempts used up, the event is dead; the handler repaired and the event replayed, its effect comes once."""
    broken = [True]
    effects: list[str] = []
    settings = Settings.of(
        stripe_secret_key="sk_test_ops", stripe_webhook_secret=SECRET, payments_database_url=sqlite_url
    )
    payments = Payments(settings, delivery=DeliveryPolicy(max_attempts=1), runner=False)

    @payments.on("charge.refunded")
    def refund(event: StripeEvent, tx: Transaction) -> None:
        if broken:
            raise RuntimeError("not yet")
        effects.append(event.id)

    event = {"id": "evt_1", "type": "charge.refunded", "livemode": False, "data": {"object": {"id": "ch_1"}}}
    body = json.dumps(event).encode()
    payments.start()
    payments.receive_webhook(body, sign(body, SECRET, timestamp_s=int(time.time())))
    payments.run_due()
    dead = json.loads(run("events", "show", "evt_1", "--json").output)
    assert (dead["state"], effects) == ("dead", [])
    assert dead["lastError"].startswith("RuntimeError was raised in refund (test_replay_effects.py, line ")
    broken.clear()
    assert run("events", "replay", "evt_1").exit_code == 0
    payments.run_due()
    assert run("events", "replay", "evt_1").exit_code == 1
    payments.run_due()
    payments.close()
    assert effects == ["evt_1"]


def test_replays_beside_workers_handle_each_event_once(url: str) -> None:
    """Two workers that fail every other event, two operators who replay all the time: each event is done once."""
    stores = [blocking_store(url, limits=LIMITS) for _ in range(4)]
    for number in range(EVENTS):
        bury(stores[0], f"evt_{number}")
    done: Counter[str] = Counter()
    turn = iter(range(10**9))
    leave = threading.Event()

    def work(store: SqlStore) -> None:
        while not leave.is_set():
            for claimed in run_blocking(store.claim(limit=3, lease_s=1000)):
                if next(turn) % 2:
                    run_blocking(store.bury(claimed, "failed again"))
                elif run_blocking(finish(store, claimed)):
                    done[claimed.event_id] += 1

    def revive(store: SqlStore) -> None:
        while not leave.is_set():
            for seq in run_blocking(store.records.revive_dead(EventFilter(), after=0, limit=4)):
                run_blocking(store.records.revive(seq))

    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, one) for one in stores[:2]] + [
            threads.submit(revive, one) for one in stores[2:]
        ]
        while len(done) < EVENTS and time.monotonic() < deadline and not any(one.done() for one in running):
            leave.wait(0.01)
        leave.set()
    for one in running:
        one.result()
    assert done == Counter({f"evt_{number}": 1 for number in range(EVENTS)})
    assert set(states(stores[0], *done)) == {"done"}
    for store in stores:
        run_blocking(store.close())


def test_reading_commands_change_nothing(run: Run, tmp_path: Path) -> None:
    """A database that is looked at is, byte for byte, what it was."""
    file = tmp_path / "looked_at.db"
    upgrade(f"sqlite:///{file}")
    store = blocking_store(f"sqlite:///{file}")
    bury(store, "evt_1")
    run_blocking(store.close())
    before = file.read_bytes()
    for arguments in (["events", "list"], ["events", "show", "evt_1", "--body"], ["analytics"]):
        assert run(*arguments, url=f"sqlite:///{file}").exit_code == 0
    assert file.read_bytes() == before
