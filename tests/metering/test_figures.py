"""What is counted, in both worlds, as OpenTelemetry's SDK receives it."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from payments_core import AsyncPayments, InvalidSignature, Payments, PaymentSuccessful, Settings, StoreUnavailable
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.adapters.otel.metering import OtelMeter
from payments_core.app.metering import installed_meter
from payments_core.domain.signature import sign
from payments_core.errors import SignatureLabel
from payments_core.ports import Io, Unmetered, WebhookOutcome
from payments_core.services.processing import Outcome
from tests.flows.shop import SECRET, Shop, own_session
from tests.metering.figures import Figures, process_reader

ROOT = Path(__file__).resolve().parent.parent.parent
DONE = "checkout.session.completed"


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture(params=["blocking", "async"])
def shop(request: pytest.FixtureRequest, figures: Figures) -> Iterator[Shop]:
    made = Shop(request.param, None, meter=figures.meter)
    yield made
    made.close()


def receive(shop: Shop, body: bytes, signature: str | None) -> None:
    shop.run(shop.payments.core.receive_webhook(body, signature))


def test_webhooks_are_counted_by_what_became_of_them(shop: Shop, figures: Figures) -> None:
    """New ones, those that came before, and what Stripe signed and is no event."""
    body, _ = shop.event(DONE, {"id": "cs_1"})
    for one in (body, body, b"[]"):
        shop.deliver(one)
    assert figures.of("payments.webhooks") == {"stored": 1, "repeated": 1, "unreadable": 1}


def test_a_refused_signature_is_counted_by_its_cause(shop: Shop, figures: Figures) -> None:
    """In five words, whatever a stranger sends: nothing of the header becomes a label."""
    body, _ = shop.event(DONE, {"id": "cs_1"})
    now_s = int(shop.clock.now.timestamp())
    for header in (
        None,
        "t=1,v1=" + "a" * 5000,
        f"t={now_s},v0=abc",
        sign(body, "whsec_of_a_forger", timestamp_s=now_s),
        sign(body, SECRET, timestamp_s=now_s - 301),
        sign(body, SECRET, timestamp_s=now_s + 301),
    ):
        with pytest.raises(InvalidSignature):
            receive(shop, body, header)
    assert figures.of("payments.webhooks") == {
        "refused missing": 1,
        "refused malformed": 2,
        "refused unknown_signer": 1,
        "refused too_old": 1,
        "refused too_new": 1,
    }


def test_what_could_not_be_stored_is_counted_too(shop: Shop, figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe is told to come again, and whoever watches sees why."""
    body, _ = shop.event(DONE, {"id": "cs_1"})

    async def away(_: object) -> bool:
        raise StoreUnavailable("The database is away.")

    monkeypatch.setattr(shop.store, "receive", away)
    with pytest.raises(StoreUnavailable):
        shop.deliver(body)
    assert figures.of("payments.webhooks") == {"unavailable": 1}


def test_runs_are_counted_by_how_they_ended_and_facts_once_each(shop: Shop, figures: Figures) -> None:
    """A handler that fails twice: two runs that come again and one that is done, and one success."""
    left = [RuntimeError("not yet"), RuntimeError("nor now")]

    def unlucky(_: Any) -> None:
        if left:
            raise left.pop()

    shop.on(PaymentSuccessful, unlucky)
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened))
    for _ in range(2):
        shop.clock.advance(3600)
        shop.work()
    shop.hear(DONE, own_session(shop, opened))
    shop.hear("payment_intent.succeeded", {"object": "payment_intent"})
    assert figures.of("payments.events.duration") == {"again": 2, "done": 2, "dead": 1}
    assert figures.of("payments.facts") == {"payment.successful": 1}


def test_the_standing_is_as_readiness_read_it(shop: Shop, figures: Figures) -> None:
    """Four gauges, which cost the database nothing that /ready does not ask for anyway."""
    names = ("inbox.oldest_age", "inbox.dead_letters", "outbox.backlog", "quarantined")
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened, amount_total=100))
    body, _ = shop.event(DONE, {"id": "cs_2"})
    shop.deliver(body)
    shop.clock.advance(90)
    assert [figures.of(f"payments.{name}") for name in names] == [{}] * 4
    assert shop.run(shop.payments.core.readiness()).ready
    found = [figures.of(f"payments.{name}")[""] for name in names]
    assert (found[0] == pytest.approx(90, abs=1), found[1:]) == (True, [0, 0, 1])


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_without_a_meter_it_is_the_process_s_own(io: Io) -> None:
    """The provider that the application sets, also after the facade was made."""
    settings = Settings.of(stripe_secret_key="sk_test_1", stripe_webhook_secret=SECRET)
    build = Payments if io == "blocking" else AsyncPayments
    payments = build(settings, store=MemoryStore(io=io), gateway=MemoryGateway(io=io), runner=False)
    reader = process_reader()
    assert isinstance(payments.core.meter, OtelMeter)
    payments.core.meter.told("payment.successful")
    shown = reader.get_metrics_data()
    assert shown is not None
    names = {
        (scope["scope"]["name"], metric["name"], metric["unit"])
        for resource in json.loads(shown.to_json())["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }
    assert ("payments_core", "payments.facts", "{fact}") in names


def test_the_page_lists_every_metric_and_its_words(shop: Shop, figures: Figures) -> None:
    """Names, and the causes of a refusal; nothing that is not counted."""
    page = (ROOT / "docs/how-to/metrics.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `(payments[.\w]+)` \| \w+[^|]*\| ([^|]*)\|", page, re.MULTILINE))
    assert set(re.findall(r'"(payments\.[.\w]+)"', inspect.getsource(OtelMeter))) == set(listed)
    words = {name: re.findall(r"`(\w+)`", labels) for name, labels in listed.items()}
    causes = ["refused", "cause", *get_args(SignatureLabel)]
    assert words["payments.webhooks"] == ["outcome", *get_args(WebhookOutcome), *causes]
    assert words["payments.events.duration"] == ["outcome", *(one.value for one in Outcome)]


def test_without_opentelemetry_nobody_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Neither where it is missing nor where something else brought one that is too old, which is said."""
    with monkeypatch.context() as absent:
        absent.delitem(sys.modules, OtelMeter.__module__)
        absent.setitem(sys.modules, "opentelemetry", None)
        assert isinstance(installed_meter(), Unmetered)
    assert caplog.records == []
    with monkeypatch.context() as old:
        old.setattr("opentelemetry.metrics.Meter.create_histogram", lambda self, name, unit, description: None)
        assert isinstance(installed_meter(), Unmetered)
    assert "opentelemetry-api is too old" in caplog.text
    assert isinstance(installed_meter(), OtelMeter)


def test_an_error_that_is_not_about_opentelemetry_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the library itself that is missing is a broken installation."""
    monkeypatch.delitem(sys.modules, OtelMeter.__module__)
    monkeypatch.setitem(sys.modules, "payments_core._version", None)
    with pytest.raises(ModuleNotFoundError, match="_version"):
        installed_meter()


async def test_it_is_made_on_a_running_loop_without_blocking_it() -> None:
    """As an application factory may do; the suite's guard of the loop would object."""
    assert isinstance(installed_meter(), OtelMeter)
