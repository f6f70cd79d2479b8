"""Rate limits over HTTP: exact, the same in both frameworks, and deaf to what strangers say of their address (S18)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payments_core.app import endpoints
from tests.adapters.test_both import HOSTS, Host, made
from tests.http.conftest import TARGETS, Stripe
from tests.http.targets import Answer, Target, opened
from tests.http.wrong_bodies import REFERENCE, text

CART = text(REFERENCE)
LIMITS = {"PAYMENTS_LIMIT_CHECKOUTS_PER_ADDRESS": "5/hour", "PAYMENTS_LIMIT_PRICES_PER_ADDRESS": "3/hour"}
CREATE, VERIFY = "/create-checkout-session", "/verify-prices"


@pytest.fixture(params=TARGETS)
def limited(request: pytest.FixtureRequest, stripe: Stripe, tmp_path: Path) -> Iterator[Target]:
    """Each target with limits per address, and no proxy that is trusted."""
    with opened(request.param, stripe.url, tmp_path, LIMITS) as target:
        yield target


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def test_the_limit_is_exact_and_a_spoofed_address_changes_nothing(limited: Target) -> None:
    """Five are served, whatever address each of them claims, and the sixth is told when to come again."""
    spoofs = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(8)]
    spoofs[3] = {"X-Forwarded-For": "127.0.0.1, 198.51.100.3", "X-Real-IP": "1.2.3.4", "Forwarded": "for=1.2.3.5"}
    answers = [limited.post(CREATE, CART, **spoof) for spoof in spoofs]
    assert statuses(answers) == [200] * 5 + [429] * 3
    refused = answers[-1]
    assert refused.code == "rate_limited"
    assert refused.json["error"] == "Too many requests"
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert set(refused.json) == {"error", "code", "detail"}
    assert refused.headers["x-request-id"]


def test_a_refused_request_is_not_looked_into(limited: Target) -> None:
    """What is over the limit costs nothing but counting: its body may be anything."""
    assert statuses([limited.post(VERIFY, b"{}") for _ in range(3)]) == [422] * 3
    assert limited.post(VERIFY, b"\x00 not json").status == 429
    assert limited.request("POST", VERIFY, b"", {}).status == 429
    # Each route has a limit of its own, and what is too large is refused before it is counted.
    assert limited.post(CREATE, CART).status == 200
    assert limited.post(CREATE, b"x" * (300 * 1024)).status == 413
    assert statuses([limited.post(CREATE, CART) for _ in range(5)]) == [200] * 4 + [429]


def test_other_routes_have_no_limit(limited: Target) -> None:
    """Stripe's webhooks, success pages and health checks are never counted."""
    for _ in range(12):
        assert limited.request("GET", "/health").status == 200
        assert limited.request("GET", "/checkout-sessions/cs_test_none").status == 404
        assert limited.webhook(b'{"id":"evt_limits","type":"a.b","data":{"object":{}}}').status == 200


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_the_limit_is_exact_for_requests_that_come_at_once(name: str, stripe: Stripe, tmp_path: Path) -> None:
    """Forty connections: five are served."""
    with opened(name, stripe.url, tmp_path, LIMITS) as target, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: target.post(CREATE, CART), range(40)))
    assert sorted(statuses(answers)) == [200] * 5 + [429] * 35


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_behind_a_trusted_proxy_each_address_has_its_own_limit(name: str, stripe: Stripe, tmp_path: Path) -> None:
    """The right-most hop that is no proxy counts; what the caller has put to the left of it does not."""
    more = {**LIMITS, "PAYMENTS_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}
    with opened(name, stripe.url, tmp_path, more) as target:

        def ask(forwarded: str) -> int:
            return target.post(VERIFY, b"{}", **{"X-Forwarded-For": forwarded}).status

        assert [ask(f"6.6.6.{number}, 198.51.100.1, 10.0.0.3") for number in range(5)] == [422] * 3 + [429] * 2
        assert [ask("198.51.100.2:4711") for _ in range(4)] == [422] * 3 + [429]
        assert [ask(f"2001:db8::{number}") for number in range(4)] == [422] * 3 + [429]
        assert [ask("garbage") for _ in range(4)] == [422] * 3 + [429]


def test_two_servers_with_one_redis_count_together(stripe: Stripe, tmp_path: Path, redis_url: str) -> None:
    """One in each framework: five in all."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    more = {**LIMITS, "PAYMENTS_REDIS_URL": redis_url}
    with (
        opened("fastapi", stripe.url, tmp_path / "a", {**more, "PAYMENTS_TRUSTED_PROXIES": "unix"}) as one,
        opened("flask", stripe.url, tmp_path / "b", more) as other,
    ):
        # Flask's test client is 127.0.0.1, Starlette's is no address at all: not the same caller.
        assert statuses([other.post(CREATE, CART) for _ in range(6)]) == [200] * 5 + [429]
        assert statuses([one.post(CREATE, CART) for _ in range(6)]) == [200] * 5 + [429]
    with opened("flask", stripe.url, tmp_path / "b", more) as again:
        assert again.post(CREATE, CART).status == 429


@HOSTS
def test_a_signed_in_user_has_a_limit_from_whatever_address(host: Host, stripe: Stripe, tmp_path: Path) -> None:
    """On both routes; whoever is not signed in has none of that kind."""
    settings = made(
        stripe.sandbox, tmp_path, payments_limit_checkouts_per_user="2/hour", payments_limit_prices_per_user="1/hour"
    )
    with host(settings, user_id=lambda request: request.headers.get("x-user")) as ask:

        def status(route: str, user: str | None, cart: bytes = CART) -> int:
            return ask("POST", f"/pay{route}", cart, **({"X-User": user} if user else {})).status

        assert [status(CREATE, "mallory") for _ in range(4)] == [200, 200, 429, 429]
        assert status(CREATE, "alice") == 200
        assert [status(VERIFY, "mallory", b"{}") for _ in range(2)] == [422, 429]
        assert [status(CREATE, None) for _ in range(4)] == [200] * 4


@HOSTS
def test_a_shop_behind_an_unnamed_proxy_is_told_so_once(
    host: Host, stripe: Stripe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All of its buyers would be one caller; the log says which variable to set."""
    endpoints._say_who_counts.cache_clear()
    with host(made(stripe.sandbox, tmp_path, **{name.lower(): value for name, value in LIMITS.items()})) as ask:
        for _ in range(3):
            ask("POST", "/pay/verify-prices", b"{}", **{"X-Forwarded-For": "198.51.100.1"})
    told = [record for record in caplog.records if "PAYMENTS_TRUSTED_PROXIES" in record.getMessage()]
    assert len(told) == 1
    assert "198.51.100.1" not in caplog.text
