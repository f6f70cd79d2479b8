"""Values for the contracts, small and complete."""

from __future__ import annotations

from datetime import UTC, datetime

from payments_core.domain.cart import Cart, Line
from payments_core.domain.delivery import ClaimedEvent, ReceivedEvent
from payments_core.domain.events import Difference
from payments_core.domain.payment import Adjustment, Payment, PaymentState
from payments_core.money import Money
from payments_core.ports import OutboxRow, Store

MOMENT = datetime(2026, 11, 23, 10, 30, 0, 123456, tzinfo=UTC)
LEASE_S = 30


def received(
    event_id: str, *, body: bytes = b"{}", account: str | None = None, livemode: bool | None = False
) -> ReceivedEvent:
    """An event just authenticated."""
    return ReceivedEvent(event_id, "checkout.session.completed", body, account=account, livemode=livemode)


def payment(payment_id: str, *, account: str | None = None, livemode: bool = False) -> Payment:
    """A payment just begun."""
    return Payment(payment_id=payment_id, created_at=MOMENT, livemode=livemode, account=account)


def full_payment(payment_id: str) -> Payment:
    """A payment with every field set, and with text that is hard to keep."""
    cart = Cart(
        (
            Line(
                "Tee \N{SNOWMAN} 'quoted' \"double\" \\ \N{PILE OF POO}",
                Money(2999, "usd"),
                2,
                "https://x.test/a.png",
                "prod_1",
                "price_1",
            ),
            Line("nul \x00 inside", Money(1, "usd"), 1),
        )
    )
    return Payment(
        payment_id=payment_id,
        created_at=MOMENT,
        livemode=True,
        state=PaymentState.PROCESSING,
        origin="foreign",
        account="acct_1",
        currency="usd",
        cart=cart,
        user_id="user \N{LATIN SMALL LETTER E WITH ACUTE}",
        customer_email="buyer@example.test",
        idempotency_key="key-1",
        event_key="pi_1",
        session_id="cs_1",
        payment_intent_id="pi_1",
        invoice_id="in_1",
        amount_minor=999_999_999_999,
        settled_at=MOMENT,
        adjustments=frozenset({Adjustment.DISCOUNT, Adjustment.TAX}),
        discrepancies=(
            Difference("amount_total", 5998, 100),
            Difference("currency", "usd", None),
            Difference("metadata.payments_core_id", None, "nul \x00 'quoted' \N{SNOWMAN}"),
        ),
        quarantined_at=MOMENT,
        caller_digest="0123456789abcdef",
    )


def outgoing(event_id: str, *, key: str = "pi_1", payload: str = "{}") -> OutboxRow:
    """An outgoing event."""
    return OutboxRow(event_id, "payment.successful", key, payload, MOMENT, "p1", "00-trace-span-01")


async def claim_one(store: Store, *, lease_s: int = LEASE_S) -> ClaimedEvent:
    """Claim the single event that is due."""
    found = await store.claim(limit=10, lease_s=lease_s)
    assert len(found) == 1, f"{len(found)} events were due"
    return found[0]


async def put_into_lane(store: Store, event_id: str, lane: str, *, delay_s: float = 0) -> None:
    """Receive an event, route it, and leave it due again in `delay_s` seconds. Nothing else may be due."""
    await store.receive(received(event_id))
    claimed = await claim_one(store)
    assert await store.assign_lane(claimed, lane)
    assert await store.let_go(claimed, delay_s=delay_s, reason="waits", counted=False, parked=False)


async def finish(store: Store, claimed: ClaimedEvent) -> bool:
    """Handle an event without doing anything."""
    async with store.transaction() as tx:
        return await tx.stamp_done(claimed)
