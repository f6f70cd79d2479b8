"""Rows to domain values and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from operator import attrgetter
from typing import Any, Final, cast

import attrs
from sqlalchemy import Row

from payments_core.adapters.sql.columns import Instant
from payments_core.adapters.sql.tables import NO_ACCOUNT, NO_LIVEMODE
from payments_core.adapters.sql.tables import payment as payments
from payments_core.domain.cart import Cart, cart_from_json, cart_to_json
from payments_core.domain.delivery import ClaimedEvent
from payments_core.domain.events import Difference
from payments_core.domain.payment import Adjustment, Payment, PaymentState

#: The fields that are columns; `version` is none.
_PAYMENT_FIELDS: Final = tuple(one.name for one in attrs.fields(Payment) if one.name != "version")
_INSTANTS: Final = tuple(name for name in _PAYMENT_FIELDS if isinstance(cast(Any, payments.c[name]).type, Instant))
_fields_of: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_PAYMENT_FIELDS)


def payment_values(payment: Payment) -> dict[str, Any]:
    """The columns of a payment."""
    return {name: _column(value) for name, value in zip(_PAYMENT_FIELDS, _fields_of(payment), strict=True)}


def changed_values(before: Payment, after: Payment) -> dict[str, Any]:
    """The columns in which two versions of a payment differ."""
    each = zip(_PAYMENT_FIELDS, _fields_of(before), _fields_of(after), strict=True)
    return {name: _column(new) for name, old, new in each if new is not old and new != old}


def _column(value: object) -> object:
    if isinstance(value, PaymentState):
        return value.value
    if isinstance(value, frozenset):
        return ",".join(sorted(cast("frozenset[Adjustment]", value)))
    if isinstance(value, tuple):
        found = [attrs.asdict(one) for one in cast("tuple[Difference, ...]", value)]
        return json.dumps(found, separators=(",", ":")) if found else None
    if isinstance(value, Cart):
        # ensure_ascii: a name with NUL or half a surrogate pair comes back as it was.
        return json.dumps(cart_to_json(value), separators=(",", ":"))
    return value


def read_payment(row: Row[Any]) -> Payment:
    """A payment from its row."""
    values: dict[str, Any] = dict(zip(_PAYMENT_FIELDS, _fields_of(row), strict=True))
    cart: str | None = values["cart"]
    values["cart"] = None if cart is None else cart_from_json(json.loads(cart))
    values["state"] = PaymentState(values["state"])
    # The driver reads a time in the connection's zone.
    values |= {name: values[name].astimezone(UTC) for name in _INSTANTS if values[name] is not None}
    adjustments: str | None = values["adjustments"]
    if adjustments is not None:
        values["adjustments"] = frozenset(Adjustment(kind) for kind in adjustments.split(",") if kind)
    found: str | None = values["discrepancies"]
    values["discrepancies"] = () if found is None else tuple(Difference(**one) for one in json.loads(found))
    return Payment(**values, version=getattr(row, "version", None))


def read_claimed(row: Row[Any]) -> ClaimedEvent:
    """A leased event from its inbox row."""
    return ClaimedEvent(
        seq=row.seq,
        event_id=row.event_id,
        type=row.type,
        body=bytes(row.body),
        token=row.token,
        attempt=row.attempts,
        received_at=row.received_at.astimezone(UTC),
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
