"""What the server still holds of a request that was answered with a failure."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from payments_core import AsyncPayments, Payments
from payments_core.http.messages import HttpRequest
from tests.http.targets import Target, in_fastapi, in_flask, settings
from tests.http.wrong_bodies import REFERENCE, text

#: Nobody listens there.
NO_STRIPE = "http://127.0.0.1:9"
CLAIM = {"products": [{"productId": "prod_1", "price": 1, "quantity": 1}]}


def fastapi(folder: Path) -> AbstractContextManager[Target]:
    return in_fastapi(AsyncPayments(settings(NO_STRIPE, folder)))


def flask(folder: Path) -> AbstractContextManager[Target]:
    return in_flask(Payments(settings(NO_STRIPE, folder)))


@pytest.fixture
def unlogged() -> Iterator[None]:
    """Pytest keeps the log's records, and with them the errors that they name."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize("world", [fastapi, flask])
def test_a_request_that_stripe_failed_is_let_go_with_its_answer(
    tmp_path: Path, world: Callable[[Path], AbstractContextManager[Target]]
) -> None:
    """While Stripe is away every buyer fails: an error that leads back to itself would keep all their bodies."""
    with world(tmp_path) as target:
        gc.collect()
        before = held()
        gc.disable()
        try:
            replies = [
                target.post("/create-checkout-session", text(REFERENCE)),
                target.post("/create-checkout-session", text(REFERENCE), **{"Idempotency-Key": "order-1"}),
                target.post("/verify-prices", CLAIM),
            ]
            after = held()
        finally:
            gc.enable()
    assert [reply.status for reply in replies] == [503] * 3
    assert after == before


def held() -> int:
    """How many requests there are in memory."""
    return sum(type(it) is HttpRequest for it in gc.get_objects())
