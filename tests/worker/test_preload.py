"""Servers that fork: the application is built before the fork, the runner's thread after it (`gunicorn --preload`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest
from sqlalchemy import create_engine, text

from payments_core.adapters.sql import upgrade
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.signature import sign
from tools.services.base import free_port

SECRET = "whsec_test_secret"
DEADLINE_S = 180


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    sqlite = f"sqlite:///{tmp_path / 'payments.db'}"
    found: str = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return found


def until(condition: Callable[[], bool]) -> None:
    """Wait for other processes, and not for ever."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def answered(port: int, path: str, body: bytes | None = None) -> int:
    """The status of a request; 0 where nobody listens yet."""
    headers = {} if body is None else {"Stripe-Signature": sign(body, SECRET, timestamp_s=int(time.time()))}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/payments{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:  # noqa: S310 - our own server
            return int(reply.status)
    except HTTPError as refused:
        return refused.code
    except OSError:
        return 0


@pytest.mark.parametrize("starts_before_fork", [False, True], ids=["built before", "started before"])
def test_events_are_handled_once_by_workers_that_were_forked(url: str, *, starts_before_fork: bool) -> None:
    """Two workers of a preloaded application take forty events in and handle each once, in processes of their own."""
    upgrade(url)
    engine = create_engine(database_url(url, "blocking"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE effects (event_id TEXT NOT NULL, pid INTEGER NOT NULL)"))
    port = free_port()
    environment = os.environ | {"PAYMENTS_DATABASE_URL": url}
    if starts_before_fork:
        environment["START_BEFORE_FORK"] = "1"
    options = ["--preload", "--workers", "2", "--worker-class", "gthread", "--threads", "4", "--log-level", "critical"]
    command = [sys.executable, "-m", "gunicorn", "tests.worker.web:app", "--bind", f"127.0.0.1:{port}", *options]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def effects() -> list[tuple[str, int]]:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT event_id, pid FROM effects ORDER BY event_id"))
            return [(str(event_id), int(pid)) for event_id, pid in found]

    try:
        until(lambda: answered(port, "/health") == 200)
        ids = [f"evt_{number:02}" for number in range(40)]
        for event_id in ids:
            document = {"id": event_id, "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}}
            assert answered(port, "/webhooks/stripe", json.dumps(document).encode()) == 200
        until(lambda: len(effects()) >= len(ids))
        server.send_signal(signal.SIGTERM)
        assert server.wait(DEADLINE_S) == 0
        assert [event_id for event_id, _ in effects()] == ids
        if not starts_before_fork:
            assert server.pid not in {pid for _, pid in effects()}
    finally:
        server.kill()
        server.wait()
        engine.dispose()


FORK_WHILE_ANOTHER_THREAD_STARTS = """
import os, signal, sys, threading
from alembic import command
from payments_core import Payments
from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.sql import upgrade

parent, begun, go = os.getpid(), threading.Event(), threading.Event()

def hold():
    if os.getpid() == parent:
        begun.set()
        go.wait(60)

class Held(MemoryStore):
    async def prepare(self):
        hold()
        await super().prepare()

class HeldMigration:
    def __init__(self, migrate):
        self._migrate = migrate
    def __call__(self, *arguments):
        hold()
        self._migrate(*arguments)

command.upgrade = HeldMigration(command.upgrade)
store = Held(io="blocking")
payments = Payments.from_env(stripe_secret_key="sk_test_1", stripe_webhook_secret="whsec_of_a_test", store=store)
work = payments.start if sys.argv[1] == "facade" else lambda: upgrade(f"sqlite:///{sys.argv[2]}/{os.getpid()}.db")
thread = threading.Thread(target=work)
thread.start()
begun.wait(60)
child = os.fork()
if child == 0:
    signal.alarm(20)
    work()
    os._exit(7)
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go.set()
thread.join()
assert ended == 7, ended
"""


@pytest.mark.parametrize("what", ["facade", "schema"])
def test_a_fork_while_another_thread_starts_leaves_the_child_able_to(what: str, tmp_path: Path) -> None:
    """That thread is not in the child to end what it began: the child starts on its own."""
    command = [sys.executable, "-c", FORK_WHILE_ANOTHER_THREAD_STARTS, what, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ran.returncode == 0, ran.stderr
