"""`payments consume-products` as a process: a real broker, a sandbox in a process of its own, kills in between."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import create_engine, text

from payments_core.app import catalogue
from payments_core.app.catalogue import Member, catalogue_loop, topics_of
from payments_core.settings import Settings
from tools.services.base import free_port

PAYMENTS = str(Path(sys.executable).with_name("payments"))
KEY = "sk_test_catalogue"
DEADLINE_S = 180
Message = dict[str, Any]


class Shop:
    """A broker's topics, a sandbox, a database, and the command that joins them."""

    def __init__(self, brokers: str, home: Path, database: str) -> None:
        self.brokers = brokers
        self.prefix = f"c{uuid.uuid4().hex[:12]}."
        self.port = free_port()
        self.home = home
        self.environment = {
            **os.environ,
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_API_BASE": f"http://127.0.0.1:{self.port}",
            "KAFKA_BROKERS": brokers,
            "PAYMENTS_TOPIC_PREFIX": self.prefix,
            "PAYMENTS_DATABASE_URL": database,
            "PAYMENTS_CURRENCY": "eur",
            "PAYMENTS_CATALOGUE_CALLS_PER_S": "100",
            "PYTHONUNBUFFERED": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.home / f"{arguments[0]}-{len(self.processes)}.log").open("wb")
        command = (PAYMENTS, *arguments)
        process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def sandbox(self) -> subprocess.Popen[bytes]:
        process = self.start("sandbox", "--port", str(self.port))
        until(lambda: self._answers(), "the sandbox answers")
        return process

    def _answers(self) -> bool:
        try:
            self.ask("/v1/products?limit=1")
        except OSError:
            return False
        return True

    def ask(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def listed(self, path: str) -> list[dict[str, Any]]:
        """All pages."""
        found: list[dict[str, Any]] = []
        while True:
            after = f"&starting_after={found[-1]['id']}" if found else ""
            page = self.ask(f"{path}limit=100{after}")
            found += page["data"]
            if not page["has_more"]:
                return found

    def catalogue(self) -> dict[str, Message]:
        """What Stripe sells: every product with its default price; fails where a product has not exactly one."""
        active: dict[str, list[dict[str, Any]]] = {}
        for price in self.listed("/v1/prices?active=true&"):
            active.setdefault(price["product"], []).append(price)
        products = {}
        for product in self.listed("/v1/products?"):
            (price,) = active[product["id"]]
            assert price["id"] == product["default_price"]
            products[product["id"]] = {
                "name": product["name"],
                "price": price["unit_amount"],
                "currency": price["currency"],
                "description": product["description"],
                "metadata": product["metadata"],
                "active": product["active"],
            }
        return products

    def catalogue_or_none(self) -> dict[str, Message] | None:
        """None while a product has not exactly one active price, its default."""
        try:
            return self.catalogue()
        except (AssertionError, KeyError, ValueError):
            return None

    def dead(self) -> list[dict[str, Any]]:
        command = (PAYMENTS, "consumed", "list", "--json", "--limit", "1000")
        done = subprocess.run(command, env=self.environment, capture_output=True, check=True, timeout=30)
        found: list[dict[str, Any]] = json.loads(done.stdout)["messages"]
        return found

    def handled(self) -> int:
        """How many messages are recorded as handled."""
        engine = create_engine(self.environment["PAYMENTS_DATABASE_URL"])
        try:
            with engine.connect() as database:
                return int(database.scalar(text("SELECT count(*) FROM payments_consumed WHERE state = 2")) or 0)
        finally:
            engine.dispose()

    async def make_topics(self, *names: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.prefix + name, 3, 1) for name in names])
        finally:
            await admin.close()

    async def drop_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()
        try:
            await admin.delete_topics([name for name in await admin.list_topics() if name.startswith(self.prefix)])
        finally:
            await admin.close()

    async def send(self, messages: list[tuple[str, bytes | None, str]]) -> None:
        """Messages with their topics and keys, in order."""
        async with AIOKafkaProducer(bootstrap_servers=self.brokers, enable_idempotence=True) as producer:
            for topic, body, key in messages:
                await producer.send_and_wait(self.prefix + topic, body, key=key.encode())


def until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, f"in {DEADLINE_S} s it did not come to this: {what}"
        time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgres"])
def shop(kafka_brokers: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    file = f"sqlite:///{tmp_path}/shop.db"
    made = Shop(kafka_brokers, tmp_path, file if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    assert made.start("db", "upgrade").wait(60) == 0
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    asyncio.run(made.drop_topics())


def wrapped(kind: str, data: Message) -> bytes:
    return json.dumps({"eventType": kind, "data": data}).encode()


def folded(messages: list[tuple[str, Message]]) -> dict[str, Message]:
    """What the catalogue is after these, by the documentation: the last word on each field."""
    found: dict[str, Message] = {}
    for kind, data in messages:
        before = found.get(data["id"])
        if kind == "product.deleted":
            if before is not None:
                before["active"] = False
            continue
        now = before or {"description": None, "metadata": {}}
        now |= {"name": data["name"], "price": round(data["price"] * 100), "active": True}
        now["currency"] = data.get("currency", "eur")
        now |= {name: data[name] or None for name in ("description",) if name in data}
        now |= {name: data[name] for name in ("metadata",) if name in data}
        found[data["id"]] = now
    return found


def story(count: int, chance: random.Random) -> list[tuple[str, Message]]:
    """Messages of twelve products; some come twice, some go back to what was before."""
    told: list[tuple[str, Message]] = []
    while len(told) < count:
        product: Message = {"id": f"shirt-{chance.randrange(12)}", "name": chance.choice(["Shirt", "Better shirt"])}
        kind = chance.choice(["product.created", "product.updated", "product.updated", "product.deleted"])
        if kind != "product.deleted":
            product["price"] = chance.choice([10, 12.5, 29.99])
            if chance.random() < 0.3:
                product["currency"] = "usd"
            if chance.random() < 0.5:
                product["description"] = chance.choice(["Soft", ""])
            if chance.random() < 0.5:
                product["metadata"] = chance.choice([{"sku": "S1"}, {"size": "L"}, {}])
        told += [(kind, product)] * (2 if chance.random() < 0.2 else 1)
    return told[:count]


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_two_hundred_messages_with_duplicates_and_kills_are_the_catalogue(shop: Shop) -> None:
    """Whatever dies when, Stripe's catalogue is the fold of the messages, and each product has one active price."""
    chance = random.Random(20261123)  # noqa: S311 - the same story every time
    told = story(200, chance)
    asyncio.run(shop.make_topics("catalogue"))
    shop.sandbox()
    topics = ("--group", shop.prefix, "--topic", f"{shop.prefix}catalogue", "--instance-id", "one")
    consumer = shop.start("consume-products", *topics)
    for begin in range(0, len(told), 50):
        part = told[begin : begin + 50]
        # Counted before they are sent: a consumer may be quicker than this process.
        before = len(shop.listed("/v1/events?"))
        asyncio.run(shop.send([("catalogue", wrapped(kind, data), data["id"]) for kind, data in part]))
        until(lambda seen=before: len(shop.listed("/v1/events?")) > seen + 5, "some of it is at Stripe")
        consumer.kill()
        consumer.wait()
        consumer = shop.start("consume-products", *topics)
    expected = folded(told)
    until(lambda: shop.catalogue_or_none() == expected, "the catalogue is the fold")
    until(lambda: shop.handled() == 200, "the database says so of every message")
    assert shop.dead() == []
    # The last one may have found nothing left to do, and be starting still.
    log = shop.home / f"consume-products-{len(shop.processes) - 1}.log"
    until(lambda: "Consuming" in log.read_text(), "the last consumer is at work")
    consumer.terminate()
    assert consumer.wait(30) == 0


@pytest.mark.timeout(900)
def test_poison_is_dead_with_its_reason_and_an_outage_uses_up_no_attempt(shop: Shop) -> None:
    """Stripe away: messages wait. What cannot be read, or what Stripe refuses, is a dead letter; the rest goes on."""
    shop.environment["PAYMENTS_CONSUMER_MAX_ATTEMPTS"] = "1"
    asyncio.run(shop.make_topics("product.created", "product.updated", "product.deleted"))
    consumer = shop.start("consume-products", "--group", shop.prefix)
    fine = {"id": "shirt", "name": "Shirt", "price": 10}
    bodies: list[bytes | None] = [
        b"{",
        json.dumps({**fine, "price": "10"}).encode(),
        json.dumps({**fine, "price": 10.001}).encode(),
        json.dumps({**fine, "id": "too long a name", "name": "x"}).encode(),
        json.dumps({**fine, "id": "long", "name": "x" * 6000}).encode(),
        None,
        json.dumps(fine).encode(),
    ]
    asyncio.run(shop.send([("product.created", body, "shirt") for body in bodies]))
    log = shop.home / "consume-products-1.log"
    until(lambda: "Message waits" in log.read_text(), "the consumer waits for Stripe")
    assert [one["reason"].split(":")[0] for one in reversed(shop.dead())] == [
        "The body is not JSON",
        "price",
        "price",
        "id",
    ]
    shop.sandbox()
    until(lambda: set(shop.catalogue_or_none() or ()) == {"shirt"}, "the good one is at Stripe")
    (newest, *_) = shop.dead()
    assert "Stripe refuses the product" in newest["reason"]
    assert "parameter name" in newest["reason"]
    assert "xxx" not in newest["reason"]
    consumer.terminate()
    assert consumer.wait(30) == 0


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
@pytest.mark.may_block(reason="the test asks the sandbox by a blocking client")
async def test_without_aiohttp_products_are_worked_on_one_after_another(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocking world: the same effect, on a thread beside the loop."""
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    await shop.make_topics("product.created", "product.updated", "product.deleted")
    await asyncio.to_thread(shop.sandbox)
    wanted = {
        name.lower(): value for name, value in shop.environment.items() if name.startswith(("STRIPE_", "PAYMENTS_"))
    }
    known = {name: value for name, value in wanted.items() if name in Settings.model_fields}
    settings = Settings.of(**known, kafka_brokers=(shop.brokers,))
    topics = topics_of(shop.prefix, ())
    loop, gateway = catalogue_loop(settings, Member(shop.prefix, None, 1), topics)
    assert gateway.io == "blocking"
    running = asyncio.create_task(loop.run())
    product = {"id": "shirt", "name": "Shirt", "price": 10}
    await shop.send([("product.created", json.dumps(product).encode(), "shirt")])
    await asyncio.to_thread(until, lambda: set(shop.catalogue_or_none() or ()) == {"shirt"}, "the product is there")
    loop.stop()
    await asyncio.wait_for(running, 30)
    await gateway.close()
