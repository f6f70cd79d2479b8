"""What happens at Stripe: objects and events that Stripe has, whether or not a webhook tells of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from payments_core import CheckoutSession, Reconciled
from payments_core.domain.drift import DriftReport
from tests.flows.shop import Document, Shop, intent, own_intent, own_session

DONE = "checkout.session.completed"
SUCCEEDED = "payment_intent.succeeded"


def at(shop: Shop, ago_s: float = 0) -> int:
    """Unix seconds of the shop's clock, so long ago."""
    return int((shop.clock.now - timedelta(seconds=ago_s)).timestamp())


def happens(shop: Shop, kind: str, subject: Document, *, ago_s: float = 0, delivered: bool = True) -> bytes:
    """Stripe makes an event of the object and lists it. Its body, for a webhook that may come or not."""
    body, _ = shop.event(kind, subject, created=at(shop, ago_s))
    shop.gateway.put_event(json.loads(body), delivered=delivered)
    return body


def paid(shop: Shop, opened: CheckoutSession, *, number: int = 1, ago_s: float = 0, **fields: Any) -> list[bytes]:
    """A session made here is paid; the bodies of the two events that tell of it."""
    names = {"payment_intent": f"pi_{number}", "created": at(shop, ago_s)}
    session = own_session(shop, opened, **{**names, **fields})
    of_it = own_intent(shop, opened, intent(f"pi_{number}", latest_charge=f"ch_{number}", created=at(shop, ago_s)))
    shop.gateway.put_charge({"id": f"ch_{number}", "created": at(shop, ago_s), "billing_details": {}})
    return [happens(shop, SUCCEEDED, of_it, ago_s=ago_s), happens(shop, DONE, session, ago_s=ago_s)]


def reconcile(shop: Shop, *, work: bool = True, **asked: Any) -> Reconciled:
    """One run, and the handling of what it brought."""
    found = shop.run(shop.payments.core.reconcile(**asked))
    if work:
        shop.work()
    return found


def verify(shop: Shop, **asked: Any) -> DriftReport:
    return shop.run(shop.payments.core.verify(**asked))


def days_ago(shop: Shop, days: float) -> datetime:
    return shop.clock.now - timedelta(days=days)
