"""The relay's thread under `gunicorn --preload`: the application is built before the fork, the thread after it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.kafka.reading import read_back
from tests.kafka.scenes import DEADLINE_S, Deployment, expected, story, wait_until, write
from tests.worker.test_preload import answered
from tools.services.base import free_port

_OPTIONS = ["--preload", "--workers", "2", "--worker-class", "gthread", "--threads", "4", "--log-level", "critical"]


@pytest.mark.parametrize("starts_before_fork", [False, True], ids=["built before", "started before"])
def test_forked_workers_publish_what_is_owed_in_order(deployment: Deployment, *, starts_before_fork: bool) -> None:
    """Two workers of a preloaded application share the outbox; their server ends cleanly, and nothing comes late."""
    rows = [story(number, keys=20) for number in range(300)]
    asyncio.run(write(deployment.url, rows[:150]))
    port = free_port()
    environment = deployment.environment() | ({"START_BEFORE_FORK": "1"} if starts_before_fork else {})
    command = [sys.executable, "-m", "gunicorn", "tests.kafka.web:app", "--bind", f"127.0.0.1:{port}", *_OPTIONS]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: answered(port, "/ready") == 200)
        # The thread begins with the first use of each worker.
        assert all(answered(port, "/webhooks/stripe", b"[]") == 200 for _ in range(20))
        asyncio.run(write(deployment.url, rows[150:]))
        assert deployment.drained()
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(DEADLINE_S) == 0
    finally:
        server.kill()
        server.wait()
    came: dict[str, dict[str, None]] = {}
    for message in read_back(deployment.brokers, deployment.topics):
        came.setdefault(f"{message.topic} {message.key}", {})[message.event_id] = None
    wanted = expected(rows)
    assert {event_id for events in came.values() for event_id in events} == {row.event_id for row in rows}
    assert all(
        list(events) == [one for one in wanted[place.split()[1]] if one in events] for place, events in came.items()
    )
