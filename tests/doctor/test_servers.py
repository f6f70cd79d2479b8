"""Redis and Kafka, where they are configured."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import redis

from payments_core.adapters.kafka import topics
from tests.doctor.conftest import CANARY, Doctor, not_ok
from tests.kafka.reading import delete
from tests.kafka.scenes import Deployment, new_prefix
from tests.prices.test_redis_trouble import OwnServer, SilentServer, own_server, silent_server

__all__ = ["own_server", "silent_server"]
REDIS = ("redis", "reachable")
EVICTION = ("redis", "eviction")
KAFKA = ("kafka", "reachable")
TOPICS = ("kafka", "topics")


def admin(server: OwnServer) -> Any:
    return redis.Redis.from_url(server.url)


def test_a_redis_that_refuses_when_it_is_full_is_well(doctor: Doctor, redis_url: str) -> None:
    """`noeviction`, as it comes."""
    found = doctor(PAYMENTS_REDIS_URL=redis_url)
    assert not_ok(found) == {}
    assert "noeviction" in found[EVICTION]["found"]


def test_a_redis_that_drops_counters_when_it_is_full_is_warned_of(doctor: Doctor, own_server: OwnServer) -> None:
    """Only where it has a limit; what that means for the limits is said."""
    with admin(own_server) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert not_ok(doctor(PAYMENTS_REDIS_URL=own_server.url)) == {}
        client.config_set("maxmemory", "64mb")
        found = doctor(PAYMENTS_REDIS_URL=own_server.url)
        assert not_ok(found) == {EVICTION: "warning"}
        assert "a caller who was stopped begins anew" in found[EVICTION]["found"]


def test_a_redis_that_wants_a_password_has_failed(doctor: Doctor, own_server: OwnServer) -> None:
    """Told apart from one that is away; neither password is shown."""
    with admin(own_server) as client:
        client.config_set("requirepass", "the right one")
    for url in (own_server.url, own_server.url.replace("unix://", f"unix://:{CANARY}@")):
        found = doctor(PAYMENTS_REDIS_URL=url)
        assert not_ok(found) == {REDIS: "failed"}
        assert found[REDIS]["found"] == "Redis refuses the credentials."


def test_a_redis_whose_user_may_not_ask_is_reachable(doctor: Doctor, own_server: OwnServer) -> None:
    """Managed servers refuse questions about themselves: skipped, not failed."""
    with admin(own_server) as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
        found = doctor(PAYMENTS_REDIS_URL=own_server.url)
    assert not_ok(found) == {}
    assert found[EVICTION]["outcome"] == "skipped"


def test_a_redis_that_is_away_or_silent_has_failed(
    doctor: Doctor, own_server: OwnServer, silent_server: SilentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes on without it is said."""
    own_server.kill()
    assert not_ok(doctor(PAYMENTS_REDIS_URL=own_server.url)) == {REDIS: "failed"}
    monkeypatch.setattr("payments_core.adapters.redis.examination._PATIENCE_S", 0.2)
    found = doctor(PAYMENTS_REDIS_URL=silent_server.url)
    assert not_ok(found) == {REDIS: "failed"}
    assert "TimeoutError" in found[REDIS]["found"]


def test_an_address_of_redis_that_cannot_be_read_has_failed(doctor: Doctor) -> None:
    """In one sentence that shows nothing of it."""
    found = doctor(PAYMENTS_REDIS_URL=f"redis://:{CANARY}@host:port/0")
    assert not_ok(found) == {REDIS: "failed"}


def test_topics_that_are_missing_have_failed(doctor: Doctor, kafka_brokers: str) -> None:
    """Until they are made."""
    prefix = new_prefix()
    brokers = {"KAFKA_BROKERS": kafka_brokers, "PAYMENTS_TOPIC_PREFIX": prefix}
    found = doctor(**brokers)
    assert not_ok(found) == {TOPICS: "failed"}
    assert f"{prefix}payment.successful" in found[TOPICS]["found"]
    assert "payments topics --create" in found[TOPICS]["todo"]
    deployment = Deployment("sqlite:///none.db", kafka_brokers, prefix)
    asyncio.run(topics.create(deployment.settings(), partitions=1))
    try:
        assert not_ok(doctor(**brokers)) == {}
    finally:
        delete(kafka_brokers, deployment.topics)


def test_brokers_are_looked_at_where_other_variables_cannot_be_used(doctor: Doctor, kafka_brokers: str) -> None:
    """They need no Stripe key."""
    found = doctor(STRIPE_SECRET_KEY=None, KAFKA_BROKERS=kafka_brokers, PAYMENTS_TOPIC_PREFIX=new_prefix())
    assert found[KAFKA]["outcome"] == "ok"


def test_a_broker_that_does_not_answer_has_failed(doctor: Doctor) -> None:
    """With what to check."""
    found = doctor(KAFKA_BROKERS="127.0.0.1:1")
    assert not_ok(found) == {KAFKA: "failed"}
    assert "KAFKA_BROKERS" in found[KAFKA]["todo"]


@pytest.mark.parametrize(
    ("package", "ours", "variables"),
    [
        ("aiokafka", "payments_core.adapters.kafka.topics", {"KAFKA_BROKERS": "127.0.0.1:1"}),
        ("redis", "payments_core.adapters.redis.examination", {"PAYMENTS_REDIS_URL": "redis://127.0.0.1:1/0"}),
    ],
)
def test_a_client_that_is_not_installed_is_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, package: str, ours: str, variables: dict[str, str]
) -> None:
    """With the extra that brings it; `payments doctor` itself needs neither."""
    for module in [one for one in sys.modules if one.partition(".")[0] == package or one == ours]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(f"{ours.rpartition('.')[0]}.{ours.rpartition('.')[2]}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    found = doctor(**variables)
    name = KAFKA if package == "aiokafka" else REDIS
    assert not_ok(found) == {name: "failed"}
    assert f"needs the package {package}" in found[name]["found"]
    assert "payments-core[" in found[name]["todo"]


def test_brokers_that_cannot_be_read_are_told_once(doctor: Doctor) -> None:
    """Among the variables; the rest is skipped for that."""
    found = doctor(KAFKA_BROKERS="kafka-1")
    assert not_ok(found) == {("settings", "variables"): "failed"}
    assert found[KAFKA]["outcome"] == "skipped"
