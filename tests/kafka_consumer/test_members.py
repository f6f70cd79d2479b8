"""Members that come, go and are killed; a broker that is killed: each event is booked once, and none is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments_core.ports import Io
from tests._services import REPOSITORY
from tests.kafka_consumer.orders import Books, book, consumer, ids, once, running, sqlite, until
from tests.kafka_consumer.topics import Topics, key_of

pytestmark = pytest.mark.may_block(reason="the test looks into its database between two waits")

KILLS = 12


@contextmanager
def service(topics: Topics, books: Books, io: Io, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The downstream service as a process; gone at the end, however it ended."""
    command = [sys.executable, "-m", "tests.kafka_consumer.service", topics.brokers, topics.prefix, books.url, io]
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def test_a_member_joins_and_leaves_in_the_middle(topics: Topics, postgres_url: str) -> None:
    """The partitions move twice while messages are in hand; all is booked once, the order of a key is kept."""
    books = Books(postgres_url)
    await topics.create(partitions=6)
    await topics.produce(ids(400), repeats=2, keys=12)
    first, second = (consumer(topics.brokers, topics.prefix, books.url) for _ in range(2))
    seen: dict[str, set[str]] = {"first": set(), "second": set()}
    book(first, "async", seen["first"].add)
    book(second, "async", seen["second"].add)
    async with running(first):
        await until(lambda: len(books.events()) >= 50)
        async with running(second):
            await topics.produce(ids(800)[400:], repeats=2, keys=12)
            await until(lambda: len(seen["second"]) >= 50, lambda: {name: len(had) for name, had in seen.items()})
        await topics.produce(ids(900)[800:], keys=12)
        await until(lambda: len(books.counted()) >= 900)
    assert books.counted() == once(ids(900))
    _assert_order(books, 12)
    assert await topics.lag("orders") == 0
    books.close()


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_a_member_is_killed_again_and_again(topics: Topics, postgres_url: str, tmp_path: Path) -> None:
    """By SIGKILL, most times between the commit of the database and that of the offsets; each event is booked once.

    Offsets are reported late, so that every restart is given messages again that are booked already.
    """
    books = Books(postgres_url)
    chance = random.Random(20261123)  # noqa: S311 - when to kill
    await topics.create()
    await topics.produce(ids(1500), repeats=2)
    options = ("--instance", "orders-1", "--commit-s", "0.5")
    for _ in range(KILLS):
        with service(topics, books, "blocking", tmp_path, *options) as process:
            before, more = len(books.events()), chance.randrange(20, 80)
            await until(lambda: len(books.events()) >= before + more, _log(tmp_path))  # noqa: B023
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
    assert len(books.events()) < 1500, "the kills came too late to mean anything"
    with service(topics, books, "blocking", tmp_path, *options, "--work-s", "0") as process:
        await until(lambda: len(books.counted()) >= 1500, _log(tmp_path))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    assert books.counted() == once(ids(1500))
    _assert_order(books, 7)
    assert await topics.lag("orders") == 0
    books.close()


async def test_a_killed_members_partitions_go_to_another(topics: Topics, postgres_url: str, tmp_path: Path) -> None:
    """After the silence that the broker allows; what it had booked is not booked again."""
    books = Books(postgres_url)
    await topics.create()
    await topics.produce(ids(600))
    with service(topics, books, "async", tmp_path, "--commit-s", "3600") as process:
        await until(lambda: len(books.events()) >= 50, _log(tmp_path))
        process.send_signal(signal.SIGKILL)
    assert len(books.events()) < 600
    other = consumer(topics.brokers, topics.prefix, books.url)
    book(other, "async")
    async with running(other):
        await until(lambda: len(books.counted()) >= 600, lambda: len(books.events()))
    assert books.counted() == once(ids(600))
    _assert_order(books, 7)
    books.close()


async def test_sigterm_completes_what_is_in_hand(topics: Topics, tmp_path: Path) -> None:
    """The process ends with code 0, soon, and the broker knows exactly what was booked."""
    books = Books(sqlite(tmp_path))
    await topics.create(partitions=1)
    await topics.produce(ids(300))
    with service(topics, books, "async", tmp_path, "--commit-s", "3600", "--work-s", "0.02") as process:
        await until(lambda: len(books.events()) >= 10, _log(tmp_path))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    booked = len(books.events())
    assert 10 <= booked < 300
    assert await topics.lag("orders") == 300 - booked
    books.close()


def _log(folder: Path) -> object:
    return lambda: (folder / "service.log").read_text()[-3000:]


def _assert_order(books: Books, keys: int) -> None:
    """Events of one key were booked in the order in which they were produced."""
    by_key: dict[bytes, list[str]] = {}
    for event_id in books.events():
        by_key.setdefault(key_of(event_id, keys), []).append(event_id)
    assert len(by_key) == keys
    assert all(of_key == sorted(of_key) for of_key in by_key.values())
