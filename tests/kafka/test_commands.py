"""`payments relay`, `payments topics` and `payments outbox` as processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from payments_core.ports import OutboxRow
from payments_core.testing.contracts.examples import MOMENT
from tests.kafka.reading import delete, first_occurrences, read_back
from tests.kafka.scenes import TYPES, Deployment, new_prefix, of_topics, stopped, story, wait_until, written

#: Many processes, one after another; each has its own limit.
pytestmark = pytest.mark.timeout(900)


def test_a_relay_publishes_until_it_is_asked_to_stop(deployment: Deployment, tmp_path: Path) -> None:
    """No Stripe key is needed; SIGTERM ends it with exit code 0, and nothing in hand is sent twice."""
    process = deployment.relay(tmp_path / "log")
    try:
        for part in range(5):
            written(deployment.url, [story(number, keys=9) for number in range(part * 100, part * 100 + 100)])
        assert deployment.drained()
        assert stopped(process) == 0
    finally:
        process.kill()
        process.wait()
    assert len(read_back(deployment.brokers, deployment.topics)) == 500
    assert "Relay stopped. Published: 500, parked: 0." in (tmp_path / "log").read_text()


def test_two_relays_keep_the_order_and_one_takes_over_from_the_other(
    postgres_deployment: Deployment, tmp_path: Path
) -> None:
    """They share the partitions; when one dies its partitions are worked by the other."""
    deployment = postgres_deployment
    rows = [story(number, keys=40) for number in range(2_000)]
    first, second = (deployment.relay(tmp_path / "log") for _ in range(2))
    try:
        for part in range(10):
            written(deployment.url, rows[part * 150 : part * 150 + 150])
        assert deployment.drained()
        first.kill()
        first.wait()
        written(deployment.url, rows[1_500:])
        assert deployment.drained()
        assert stopped(second) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    told: dict[tuple[str, str], list[str]] = {}
    for topic in deployment.topics:
        for key, events in first_occurrences(read_back(deployment.brokers, [topic])).items():
            told[topic.removeprefix(deployment.prefix), key] = events
    assert told == of_topics(rows)


def test_topics_are_shown_and_made(kafka_brokers: str, tmp_path: Path) -> None:
    """Exit 1 and what to do while one is missing; after --create all are there, and a repeat changes nothing."""
    deployment = Deployment(f"sqlite:///{tmp_path / 'payments.db'}", kafka_brokers, new_prefix())
    missing = deployment.command("topics", "--json")
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["missing"] == deployment.topics
    assert "payments topics --create" in missing.stderr
    made = deployment.command("topics", "--create", "--partitions", "2", "--json")
    try:
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["created"] == deployment.topics
        again = deployment.command("topics", "--create", "--partitions", "5", "--json")
        assert json.loads(again.stdout)["created"] == []
        assert json.loads(again.stdout)["topics"] == [
            {"name": name, "exists": True, "partitions": 2, "replication": 1} for name in deployment.topics
        ]
        plain = deployment.command("topics")
        assert (plain.returncode, plain.stderr) == (0, "")
    finally:
        delete(kafka_brokers, deployment.topics)


def test_a_relay_makes_its_topics_on_request(kafka_brokers: str, tmp_path: Path) -> None:
    """And sends what is owed; with --once it ends then."""
    deployment = Deployment(f"sqlite:///{tmp_path / 'payments.db'}", kafka_brokers, new_prefix())
    written(deployment.url, [story(number, keys=2) for number in range(6)])
    done = deployment.command("relay", "--create-topics", "--once")
    try:
        assert done.returncode == 0, done.stderr
        assert "Published: 6, parked: 0." in done.stdout
    finally:
        delete(kafka_brokers, deployment.topics)


def test_parked_events_are_listed_and_released(deployment: Deployment) -> None:
    """With the reason and what waits behind; a mended cause and a release send them, in order."""
    large = OutboxRow("too-large", TYPES[0], "pi_1", "x" * 1_100_000, MOMENT, "p1")
    written(deployment.url, [story(1, keys=5), large, story(6, keys=5), story(2, keys=5)])
    parked = deployment.command("relay", "--once")
    assert parked.returncode == 1
    assert "Published: 2, parked: 1.\nStill owed: 2." in parked.stdout
    shown = json.loads(deployment.command("outbox", "list", "--json").stdout)
    [row] = shown["parked"]
    assert (row["eventId"], row["key"], row["behind"], shown["backlog"]) == ("too-large", "pi_1", 1, 2)
    listed = deployment.command("outbox", "list")
    assert "too-large" in listed.stdout
    assert "xxx" not in listed.stdout
    assert "Parked: 1. Owed in all: 2." in listed.stdout
    assert deployment.command("outbox", "release", "fact-000001").returncode == 1
    assert json.loads(deployment.command("outbox", "release", "--all", "--json").stdout) == {
        "released": 1,
        "notParked": 0,
    }
    assert json.loads(deployment.command("outbox", "list", "--json").stdout)["parked"] == []


def test_what_was_written_without_a_broker_is_sent_with_since(deployment: Deployment) -> None:
    """And only then."""
    written(deployment.url, [story(number, keys=2) for number in range(4)])
    deployment_query(deployment, "UPDATE payments_outbox SET owed = false")
    assert "Published: 0" in deployment.command("relay", "--once").stdout
    refused = deployment.command("relay", "--once", "--include-unsent")
    assert refused.returncode == 2
    done = deployment.command("relay", "--once", "--include-unsent", "--since", "1d")
    assert "Owed from now on: 4 events" in done.stdout
    assert "Published: 4, parked: 0." in done.stdout


def test_a_relay_says_what_it_lacks(tmp_path: Path) -> None:
    """No broker, no schema, a broker that is not there: one sentence and exit code 1."""
    url = f"sqlite:///{tmp_path / 'payments.db'}"
    none = Deployment(url, "127.0.0.1:1", "").command("relay", "--once")
    assert (none.returncode, "payments db upgrade" in none.stderr) == (1, True)
    upgrade(url)
    written(url, [story(1, keys=1)])
    down = Deployment(url, "127.0.0.1:1", "").command("relay", "--once")
    assert down.returncode == 1
    assert "Kafka could not be used (ConnectionRefusedError)" in down.stderr
    unset = Deployment(url, "", "").command("relay", "--once")
    assert unset.returncode == 1
    assert "KAFKA_BROKERS is not set" in unset.stderr


def test_over_sqlite_a_second_relay_stands_by(kafka_brokers: str, tmp_path: Path) -> None:
    """And takes over when the first one is killed."""
    deployment = Deployment(f"sqlite:///{tmp_path / 'payments.db'}", kafka_brokers, new_prefix())
    assert deployment.command("topics", "--create").returncode == 0
    upgrade(deployment.url)
    first, second = (deployment.relay(tmp_path / "log") for _ in range(2))
    try:
        written(deployment.url, [story(number, keys=7) for number in range(300)])
        assert deployment.drained()
        first.kill()
        first.wait()
        written(deployment.url, [story(number, keys=7) for number in range(300, 600)])
        assert wait_until(lambda: deployment.backlog() == 0)
        assert stopped(second) == 0
        assert len(read_back(kafka_brokers, deployment.topics)) == 600
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
        delete(kafka_brokers, deployment.topics)


def deployment_query(deployment: Deployment, statement: str) -> None:
    """Change rows behind everybody's back."""
    import contextlib
    import sqlite3

    import psycopg

    if deployment.url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(deployment.url.removeprefix("sqlite:///"))) as file, file:
            file.execute(statement)
        return
    with psycopg.connect(deployment.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize("command", ["relay", "topics", "outbox"])
def test_a_command_has_help(command: str, tmp_path: Path) -> None:
    """Without a database or a broker."""
    done = Deployment(f"sqlite:///{tmp_path / 'none.db'}", "", "").command(command, "--help")
    assert done.returncode == 0
    assert "Usage: payments" in done.stdout
