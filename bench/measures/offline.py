"""T11: what a shop's own tests cost: a fresh sandbox, and a paid checkout through the whole library in process.

As the pytest plugin does it: a migrated database is copied, the SDK's requests are function calls, webhooks are taken
in and handled before the payment's helper returns. Every order is counted at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.stage import Stage
from payments_core import Cart, CheckoutRequest, Line, Money, Payments, PaymentSuccessful
from payments_core.testing import OfflineStripe
from payments_core.testing.databases import Databases, databases

_OURS: Final = "pytest plugin"
_TIMES: Final = 15
_REQUEST: Final = CheckoutRequest(
    Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)]), "https://shop.test/thanks", "https://shop.test/cart"
)


def _run(stage: Stage) -> Measured:
    samples: list[Sample] = []
    with databases() as ours:
        _checkout(ours)
        for number in range(stage.rounds):
            stage.say(f"T11 round {number + 1} of {stage.rounds}")
            fresh = median(_ms(OfflineStripe) for _ in range(_TIMES))
            facade = median(_ms(lambda: _open_and_close(ours)) for _ in range(_TIMES))
            paid = median(_checkout(ours) for _ in range(_TIMES))
            samples.append(Sample(_OURS, number, {"sandbox_ms": fresh, "payments_ms": facade, "checkout_ms": paid}))
    return Measured(tuple(samples))


def _payments(offline: OfflineStripe, url: str) -> Payments:
    made = Payments(
        offline.settings(payments_database_url=url),
        http_client=offline.http_client,
        clock=offline.clock,
        runner=False,
    )
    offline.attach(made)
    return made


def _open_and_close(ours: Databases) -> None:
    with ours.fresh() as url:
        payments = _payments(OfflineStripe(), url)
        payments.start()
        payments.close()


def _checkout(ours: Databases) -> float:
    """The milliseconds from the request for a session to the handler's end."""
    orders: list[int] = []
    with ours.fresh() as url:
        offline = OfflineStripe()
        payments = _payments(offline, url)

        @payments.on(PaymentSuccessful)
        def fulfil(event: PaymentSuccessful) -> None:
            orders.append(event.amount_minor)

        payments.start()
        spent = _ms(lambda: offline.pay(payments.create_checkout_session(_REQUEST)))
        payments.close()
    if orders != [5998]:
        raise MeasurementFailed(f"one payment gave the orders {orders}")
    return spent


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


OFFLINE: Final = Measure(
    "offline",
    (
        Claim("T11", "milliseconds of a fresh sandbox in a fixture", "sandbox_ms", _OURS, at_most=5),
        Claim("T11", "milliseconds of a paid checkout in process, handlers run", "checkout_ms", _OURS, at_most=50),
        Claim("T11", "milliseconds of `payments` with a database of its own", "payments_ms", _OURS),
    ),
    _run,
)
