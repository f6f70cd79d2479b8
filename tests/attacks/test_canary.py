"""S16: a canary in every secret and a card number in every field, through flows that succeed, fail and crash.

Then everything that a person or a machine could read is searched: log records at DEBUG with their fields and
tracebacks, reprs, replies, /ready, the OpenAPI document, what commands print, every column of the database and the
bytes of its file, the messages in a real Kafka, and the metrics. Hits: none. What Stripe's webhooks quote is tried in
G8.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from payments_core import AsyncPayments, PaymentFailed, Payments, PaymentSuccessful, StripeError, StripeUnavailable
from payments_core.adapters.sql.tables import metadata as tables
from payments_core.cli import _group
from tests.flows.shop import declined, own_intent, own_session
from tests.guarantees.databases import SqliteDatabase
from tests.guarantees.test_g08_secrets_stay import Caught, caught
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import SQL
from tests.http.apps import fastapi_app
from tests.http.targets import Target, in_fastapi, in_flask
from tests.http.targets import settings as settings_of
from tests.http.wrong_bodies import REFERENCE, reference
from tests.kafka.reading import delete, read_back
from tests.kafka.scenes import Deployment as Outbox
from tests.kafka.scenes import make_topics, new_prefix, stopped
from tests.metering.figures import process_reader

__all__ = ["caught"]

API_KEY = "sk_test_canary4eC39HqLyjWDarjtT1zdp7dc"
SECRETS = {
    "stripe_secret_key": API_KEY,
    "stripe_webhook_secret": "whsec_canaryMfKQ9r8GKYqrTwjUPD8ILPZ",
    "payments_redis_url": "redis://:canary-redis-password@127.0.0.1:1/0",
    "payments_kafka_security_protocol": "SASL_PLAINTEXT",
    "payments_kafka_sasl_username": "shop",
    "payments_kafka_sasl_password": "canary-kafka-password",
}
ADDRESS = "canary.buyer@example.test"
CARD = "4242424242424242"
CARDS = (CARD, "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005", "5555555555554444")
EVERY_FIELD = (
    lambda card: reference(customerEmail=f"{card.replace(' ', '')}@example.test"),
    lambda card: reference(metadata={"note": f"paid with {card}"}),
    lambda card: reference(metadata={card: "note"}),
    lambda card: reference(successUrl=f"https://shop.test/?n={card.replace(' ', '-')}"),
    lambda card: reference(cancelUrl=f"https://shop.test/#{card.replace(' ', '-')}"),
    lambda card: with_line(name=f"Tee {card}"),
    lambda card: with_line(productId=card),
    lambda card: with_line(image=f"https://shop.test/{card.replace(' ', '-')}"),
)
JSON = {"Content-Type": "application/json"}


def with_line(**changes: object) -> dict[str, Any]:
    return reference(products=[{**REFERENCE["products"][0], **changes}])


def hits(*texts: str, also: tuple[str, ...] = ()) -> list[str]:
    """What of all that must stay is in these texts: secrets as they are, card numbers in any spelling."""
    password = [urlsplit(text).password for text in also]
    canaries = [
        *SECRETS.values(),
        "canary-redis-password",
        "canaryMfKQ",
        "canary4eC39",
        *(one for one in password if one),
    ]
    canaries = [one for one in canaries if one not in ("SASL_PLAINTEXT", "shop")]
    return [one for text in texts for one in (*canaries, *CARDS) if one in text]


def test_the_search_finds_what_it_looks_for() -> None:
    """A test of the test: each secret, the database's password among them, and each spelling of a card number."""
    database = "postgresql://shop:a-password-of-the-database@db/payments"
    for text in (API_KEY, "canary-kafka-password", "canary-redis-password", "a-password-of-the-database", *CARDS):
        assert hits(f"before {text} after", also=(database,)), text
    assert hits("SASL_PLAINTEXT", "shop", "cs_test_1", also=(database,)) == []


@pytest.fixture(params=SQL)
def guarded(request: pytest.FixtureRequest, tmp_path: Path, kafka_brokers: str) -> Iterator[World]:
    """A world on a database whose deployment has canaries for secrets and owes its events to a broker."""
    database = (
        SqliteDatabase(request.getfixturevalue("sqlite_template"), tmp_path)
        if request.param.startswith("sqlite")
        else request.getfixturevalue("postgres_shelf").take()
    )
    world = World(request.param, database, **SECRETS, kafka_brokers=kafka_brokers)
    yield world
    world.close()


def live_through(world: World) -> list[str]:
    """Every kind of success and failure; the replies."""
    said: list[str] = []
    failures = [RuntimeError(f"{ADDRESS} paid with {CARD}; {API_KEY}; {SECRETS['stripe_webhook_secret']}")]
    world.on(PaymentSuccessful, lambda *_: failures and (_ for _ in ()).throw(failures.pop()))
    world.note_effects(PaymentSuccessful, PaymentFailed)
    for card in CARDS:
        for build in EVERY_FIELD:
            answer = world.shop.request("POST", "/create-checkout-session", json.dumps(build(card)).encode(), JSON)
            assert answer.status == 422, (card, answer.text)
            said.append(answer.text)
        claim = {"products": [{"productId": card, "price": 1, "quantity": 1}]}
        answer = world.shop.request(
            "POST", "/verify-prices", json.dumps(claim).encode(), {**JSON, "Idempotency-Key": card}
        )
        assert answer.status == 422
        said.append(answer.text)
    for error in (
        StripeError("Stripe refused the request.", "resource_missing", param="customer"),
        StripeUnavailable("Stripe could not be reached."),
    ):
        world.gateway.fail_next(error, method="create_session")
        said.append(world.shop.request("POST", "/create-checkout-session", json.dumps(REFERENCE).encode(), JSON).text)
    keyed = {**JSON, "Idempotency-Key": f"order {CARD}"}
    said.append(world.shop.request("POST", "/create-checkout-session", json.dumps(REFERENCE).encode(), keyed).text)
    opened = world.checkout(customer_email=ADDRESS)
    secret = str(SECRETS["stripe_webhook_secret"])
    refused = declined("ch_1", decline_code="lost_card")
    paid = own_session(world, opened, customer_details={"email": ADDRESS})  # type: ignore[arg-type]
    for kind, subject in (("payment_intent.payment_failed", own_intent(world, opened, refused)), (DONE, paid)):  # type: ignore[arg-type]
        body, _ = world.event(kind, subject)
        assert world.post(body, world.signed(body, secret)).status == 200
        world.shop.work()
    forged, _ = world.event(DONE, {"id": "cs_1", "object": "checkout.session", "note": CARD})
    said.append(world.post(forged, world.signed(forged, "whsec_of_a_forger")).text)
    world.drain()
    said += [
        world.shop.request("GET", path).text
        for path in ("/ready", "/health", f"/checkout-sessions/{opened.session_id}")
    ]
    assert world.kinds() == ["payment.failed", "payment.successful"]
    return said


def columns(world: World) -> Iterator[str]:
    """Every column of every row of every table of ours, and of the shop's; of SQLite, the file as well."""
    for name in (*tables.tables, "shop_effect", "shop_note"):
        for row in world.sql.query(f"SELECT * FROM {name}"):
            for value in row:
                yield bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)
    if isinstance(world.database, SqliteDatabase):
        for file in world.database.file.parent.glob(f"{world.database.file.name}*"):
            yield file.read_bytes().decode("latin-1")


def commands(world: World, quoting: str) -> Iterator[str]:
    """What an operator's commands print and raise, with every secret in their environment; `quoting` is a Stripe."""
    environment = {name.upper(): str(value) for name, value in {**world.settings, **world.database.settings()}.items()}
    (first, *_) = world.database.inbox()
    wrong = {"PAYMENTS_DATABASE_URL": "postgresql://shop:canary-redis-password@127.0.0.1:1/payments"}
    for line, changes in (
        (["events", "list"], {}),
        (["events", "show", first], {}),
        (["events", "list", "--json"], {}),
        (["events", "show", first, "--json"], {}),
        (["analytics"], {}),
        (["analytics", "--json"], {}),
        (["outbox", "list"], {}),
        (["db", "current"], {}),
        (["events", "list"], wrong),
        (["db", "upgrade"], wrong),
        (["topics"], {}),
        (["verify", "--since", "1h"], {"STRIPE_API_BASE": quoting}),
        (["reconcile", "--since", "1h"], {"STRIPE_API_BASE": quoting}),
    ):
        outcome = CliRunner().invoke(_group(), line, env={**environment, **changes})
        yield f"{line} {outcome.exit_code} {outcome.output} {outcome.exception!r}"


def published(world: World, brokers: str, tmp_path: Path) -> Iterator[str]:
    """The messages of the outbox in a real broker, and what the relay wrote while it published them."""
    outbox = Outbox(str(world.database.settings()["payments_database_url"]), brokers, new_prefix())
    asyncio.run(make_topics(outbox))
    try:
        relay = outbox.relay(tmp_path / "relay.log")
        try:
            assert outbox.drained()
        finally:
            stopped(relay)
        found = read_back(brokers, outbox.topics)
        assert len(found) == len(world.published())
        for one in found:
            yield f"{one.key} {one.value} {one.headers}"
    finally:
        delete(brokers, outbox.topics)
    yield (tmp_path / "relay.log").read_text("utf-8", "replace")


@pytest.mark.timeout(900)
def test_after_everything_no_secret_and_no_card_number_is_anywhere(
    guarded: World, caught: Caught, kafka_brokers: str, tmp_path: Path, quoting: str
) -> None:
    """Replies, logs, reprs, tables, file, commands, Kafka, metrics."""
    reader = process_reader()
    said = live_through(guarded)
    figures = reader.get_metrics_data()
    assert figures is not None
    core = guarded.shop.payments.core
    shown = [repr(one) for one in (guarded.shop.payments, core, core.settings, core.store, core.checkout, core.prices)]
    also = (str(guarded.database.settings()["payments_database_url"]),)
    places = {
        "replies": said,
        "reprs": shown,
        "tables": list(columns(guarded)),
        "commands": list(commands(guarded, quoting)),
        "kafka": list(published(guarded, kafka_brokers, tmp_path)),
        "logs": caught.lines,
        "metrics": [figures.to_json()],
    }
    for place, texts in places.items():
        assert texts, place
        assert hits(*texts, also=also) == [], place
    assert not [line for line in caught.lines if ADDRESS in line and line.startswith("payments_core")]
    assert any("RuntimeError was raised" in line for line in caught.lines)


class Quoting(BaseHTTPRequestHandler):
    """A Stripe whose every answer is an error that quotes the whole request, key included."""

    status = 400

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        words = f"You sent {sent} with {self.headers['Authorization']} {API_KEY} and {CARD}"
        error = {"type": "invalid_request_error", "message": words, "param": "customer", "code": "quoted"}
        body = json.dumps({"error": error}).encode()
        self.send_response(type(self).status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Nothing on a terminal."""


@pytest.fixture
def quoting() -> Iterator[str]:
    """The address of such a Stripe, which refuses the key until a test says otherwise."""
    Quoting.status = 401
    with ThreadingHTTPServer(("127.0.0.1", 0), Quoting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("status", [400, 401, 402, 429, 500])
@pytest.mark.parametrize("adapter", ["fastapi", "flask"])
def test_an_error_of_stripe_s_that_quotes_the_request_is_repeated_nowhere(
    adapter: str, status: int, tmp_path: Path, caught: Caught, quoting: str
) -> None:
    """Through Stripe's own library: neither in the reply nor in a log at DEBUG."""
    Quoting.status = status
    settings = settings_of(quoting, tmp_path)
    settings = settings.model_copy(update={"stripe_secret_key": type(settings.stripe_secret_key)(API_KEY)})
    with answering(adapter, settings) as target:
        answer = target.post("/create-checkout-session", reference(metadata={"note": "canary-note"}))
    assert answer.status in (422, 429, 502, 503)
    ours = [line for line in caught.lines if not line.startswith(("asyncio", "urllib3"))]
    assert hits(answer.body.decode(), *ours) == []
    assert not [line for line in (answer.body.decode(), *ours) if "canary-note" in line]


@contextlib.contextmanager
def answering(adapter: str, settings: Any) -> Iterator[Target]:
    if adapter == "fastapi":
        with in_fastapi(AsyncPayments(settings)) as target:
            yield target
    else:
        with in_flask(Payments(settings)) as target:
            yield target


def test_the_openapi_document_holds_no_setting(tmp_path: Path) -> None:
    """It is served to everybody."""
    settings = settings_of("http://127.0.0.1:9", tmp_path)
    settings = settings.model_copy(update={"stripe_secret_key": type(settings.stripe_secret_key)(API_KEY)})
    document = json.dumps(fastapi_app(AsyncPayments(settings)).openapi())
    assert hits(document) == []
    assert "127.0.0.1:9" not in document
