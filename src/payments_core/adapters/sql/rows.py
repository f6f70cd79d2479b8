"""Rows to domain values and back."""

from __future__ import annotations

import json
from typing import Any, Final

import attrs
from sqlalchemy import Row

from payments_core.adapters.sql.tables import NO_ACCOUNT, NO_LIVEMODE
from payments_core.domain.cart import Cart, cart_from_json, cart_to_json
from payments_core.domain.delivery import ClaimedEvent
from payments_core.domain.payment import Payment, PaymentState

_PAYMENT_FIELDS: Final = tuple(one.name for one in attrs.fields(Payment))


def payment_values(payment: Payment) -> dict[str, Any]:
    """The columns of a payment."""
    return {name: _column(getattr(payment, name)) for name in _PAYMENT_FIELDS}


def changed_values(before: Payment, after: Payment) -> dict[str, Any]:
    """The columns in which two versions of a payment differ."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _PAYMENT_FIELDS)
    return {name: _column(new) for name, old, new in pairs if new is not old and new != old}


def _column(value: object) -> object:
    if isinstance(value, PaymentState):
        return value.value
    if isinstance(value, Cart):
        # ensure_ascii: a name with NUL or half a surrogate pair comes back as it was.
        return json.dumps(cart_to_json(value), separators=(",", ":"))
    return value


def read_payment(row: Row[Any]) -> Payment:
    """A payment from its row."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _PAYMENT_FIELDS}
    cart: str | None = values["cart"]
    values["cart"] = None if cart is None else cart_from_json(json.loads(cart))
    values["state"] = PaymentState(values["state"])
    return Payment(**values)


def read_claimed(row: Row[Any]) -> ClaimedEvent:
    """A leased event from its inbox row."""
    return ClaimedEvent(
        seq=row.seq,
        event_id=row.event_id,
        type=row.type,
        body=bytes(row.body),
        token=row.token,
        attempt=row.attempts,
        received_at=row.received_at,
        lane=row.lane,
        account=row.account or None,
        livemode=None if row.livemode == NO_LIVEMODE else bool(row.livemode),
        traceparent=row.traceparent,
    )


def account_key(account: str | None) -> str:
    """An account as it stands in a unique key."""
    return NO_ACCOUNT if account is None else account


def livemode_key(livemode: bool | None) -> int:
    """A mode as it stands in the inbox's unique key."""
    return NO_LIVEMODE if livemode is None else int(livemode)
