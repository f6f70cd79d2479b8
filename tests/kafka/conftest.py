"""Fixtures: a deployment with topics of its own on the shared broker, and its outbox on either database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from tests.kafka.reading import delete
from tests.kafka.scenes import Deployment, make_topics, new_prefix


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty outbox."""
    url: str = (
        f"sqlite:///{tmp_path / 'payments.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    upgrade(url)
    return url


@pytest.fixture
def deployment(database_url: str, kafka_brokers: str) -> Iterator[Deployment]:
    """An outbox, the shared broker, and topics of its own with three partitions each."""
    made = Deployment(database_url, kafka_brokers, new_prefix())
    asyncio.run(make_topics(made))
    yield made
    delete(kafka_brokers, made.topics)


@pytest.fixture
def postgres_deployment(postgres_url: str, kafka_brokers: str) -> Iterator[Deployment]:
    """The same on PostgreSQL alone."""
    upgrade(postgres_url)
    made = Deployment(postgres_url, kafka_brokers, new_prefix())
    asyncio.run(make_topics(made))
    yield made
    delete(kafka_brokers, made.topics)
