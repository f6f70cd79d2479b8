"""The published events, for those who consume them: models of the JSON on the topics, and a strict reader.

    event = parse_published(record.value)
    match event:
        case PaymentSuccessful():
            ship(event.data.products, once=event.event_id)

Handlers of `payments.on` get the domain events of `payments_core` instead; `as_published` composes this JSON from them.
The same shapes stand as JSON Schemas and one AsyncAPI document in the documentation.
"""

from __future__ import annotations

from .models import (
    CheckoutExpired,
    Discrepancy,
    EventData,
    ExpiredData,
    FailedData,
    MismatchData,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
    Product,
    PublishedEvent,
    SuccessfulData,
)
from .reading import parse_published

__all__ = [
    "CheckoutExpired",
    "Discrepancy",
    "EventData",
    "ExpiredData",
    "FailedData",
    "MismatchData",
    "PaymentFailed",
    "PaymentMismatch",
    "PaymentSuccessful",
    "Product",
    "PublishedEvent",
    "SuccessfulData",
    "parse_published",
]
