"""The names Stripe gives to one payment, by which news finds its payment."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

RefKind: TypeAlias = Literal["session", "payment_intent", "charge", "invoice"]


@frozen
class Ref:
    """One of Stripe's names for a payment: what kind of object, and its id. Unique per account and mode."""

    kind: RefKind
    stripe_id: str
