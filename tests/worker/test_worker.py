"""`payments worker`, as a process: it handles, it stops when told to, and what it leaves is there for the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from payments_core import Payments
from payments_core.adapters.sql import upgrade
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.delivery import HANDS
from payments_core.domain.signature import sign

SECRET = "whsec_test_secret"
DEADLINE_S = 180
PAYMENTS = str(Path(sys.executable).with_name("payments"))


class Deployment:
    """A database, a way to take webhooks in, and workers."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        upgrade(url)
        self.engine: Engine = create_engine(database_url(url, "blocking"))
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE effects (event_id TEXT NOT NULL)"))
        self.web = Payments.from_env(
            stripe_secret_key="sk_test_123", stripe_webhook_secret=SECRET, payments_database_url=url, runner=False
        )
        self.workers: list[subprocess.Popen[str]] = []

    def deliver(self, *event_ids: str) -> None:
        """Take events in; nothing handles them here."""
        for event_id in event_ids:
            document = {"id": event_id, "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}}
            body = json.dumps(document).encode()
            self.web.receive_webhook(body, sign(body, SECRET, timestamp_s=int(time.time())))

    def worker(self, app: str, *options: str) -> subprocess.Popen[str]:
        """A worker that has said that it is at work."""
        command = [PAYMENTS, "worker", "--app", f"tests.worker.shop:{app}", *options]
        environment = os.environ | {
            "PAYMENTS_DATABASE_URL": self.url,
            "HOLD": str(self.folder / "hold"),
            "BEGUN": str(self.folder / "begun"),
        }
        worker = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.workers.append(worker)
        assert worker.stdout is not None
        assert "handling events" in worker.stdout.readline()
        return worker

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """What the database says."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def effects(self) -> list[str]:
        """The committed effects."""
        return [str(row[0]) for row in self.rows("SELECT event_id FROM effects ORDER BY event_id")]

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.communicate()
        self.web.close()
        self.engine.dispose()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition of another process, and not for ever."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def ended(worker: subprocess.Popen[str]) -> str:
    """Its exit code is 0; what it said last."""
    said, _ = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0
    return said


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """One on each database."""
    sqlite = f"sqlite:///{tmp_path / 'payments.db'}"
    made = Deployment(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url"), tmp_path)
    yield made
    made.close()


WORLDS = pytest.mark.parametrize("app", ["payments", "async_payments"])


@WORLDS
def test_a_worker_handles_what_web_processes_take_in(deployment: Deployment, app: str) -> None:
    """With `runner=False` the web process only stores; the worker's handlers run, and SIGTERM ends it with 0."""
    deployment.deliver("evt_1", "evt_2")
    assert deployment.effects() == []
    worker = deployment.worker(app)
    until(lambda: deployment.effects() == ["evt_1", "evt_2"])
    worker.send_signal(signal.SIGTERM)
    assert ended(worker).endswith("Worker stopped.\n")


@WORLDS
def test_what_is_in_hand_at_sigterm_is_completed(deployment: Deployment, app: str) -> None:
    """A handler that is running when the signal comes ends within the grace period, and commits."""
    hold = deployment.folder / "hold"
    hold.touch()
    deployment.deliver("evt_1")
    worker = deployment.worker(app)
    until((deployment.folder / "begun").exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.stdout is not None
    assert "is stopping" in worker.stdout.readline()
    hold.unlink()
    ended(worker)
    assert deployment.effects() == ["evt_1"]


def test_what_has_not_begun_at_sigterm_is_given_back_at_once(deployment: Deployment) -> None:
    """Events of the claim behind those in hand are ready again, with no attempt used up, when the worker has gone."""
    hold = deployment.folder / "hold"
    hold.touch()
    ids = [f"evt_{number}" for number in range(2 * HANDS)]
    deployment.deliver(*ids)
    worker = deployment.worker("payments")
    until((deployment.folder / "begun").exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.stdout is not None
    assert "is stopping" in worker.stdout.readline()
    hold.unlink()
    ended(worker)
    begun = set(deployment.effects())
    assert 1 <= len(begun) <= HANDS
    left = deployment.rows("SELECT event_id, state, attempts FROM payments_inbox WHERE state <> 2 ORDER BY seq")
    assert left == [(event_id, 0, 0) for event_id in ids if event_id not in begun]


def test_what_outlasts_the_grace_period_is_cancelled_and_given_back(deployment: Deployment) -> None:
    """On a loop a handler that does not end is cancelled; its writes are undone, the event is ready again."""
    (deployment.folder / "hold").touch()
    deployment.deliver("evt_1")
    worker = deployment.worker("async_payments", "--grace", "0.1")
    until((deployment.folder / "begun").exists)
    worker.send_signal(signal.SIGTERM)
    ended(worker)
    assert deployment.effects() == []
    assert deployment.rows("SELECT state, attempts FROM payments_inbox") == [(0, 0)]


def test_two_workers_share_the_work_and_double_none_of_it(deployment: Deployment) -> None:
    """Forty events, two workers of different worlds: each event has one effect."""
    ids = [f"evt_{number:02}" for number in range(40)]
    deployment.deliver(*ids)
    workers = [deployment.worker("payments"), deployment.worker("async_payments")]
    until(lambda: len(deployment.effects()) >= len(ids))
    for worker in workers:
        worker.send_signal(signal.SIGINT)
    for worker in workers:
        ended(worker)
    assert deployment.effects() == ids


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("tests.worker.shop:nothing", "has no 'nothing'"),
        ("tests.worker.nothing:payments", "there is no module 'tests.worker.nothing'"),
        ("tests.worker.shop:not_payments", "is a str; name the Payments or AsyncPayments"),
        ("tests.worker.shop", "--app takes module:attribute"),
        (".shop:payments", "--app takes module:attribute"),
    ],
)
def test_an_application_that_cannot_be_found_is_a_usage_error(app: str, words: str) -> None:
    """The message says what of the name is wrong."""
    command = [PAYMENTS, "worker", "--app", app]
    run = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert run.returncode == 2
    assert words in " ".join(run.stderr.split())
