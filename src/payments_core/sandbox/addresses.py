"""Addresses, as customers, shipping and billing details carry them."""

from __future__ import annotations

from .errors import JsonObject, missing
from .params import Params

PARTS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(params: Params | None) -> JsonObject | None:
    """An address with all of Stripe's parts, those not given None."""
    if params is None:
        return None
    params.only(*PARTS)
    return {part: params.text(part, unsettable=True) or None for part in PARTS}


def shipping(params: Params | None) -> JsonObject | None:
    """Where and to whom something is sent, as a payment carries it."""
    if params is None:
        return None
    params.only("address", "name", "carrier", "phone", "tracking_number")
    where = address(params.child("address"))
    if where is None:
        raise missing(params.name("address"))
    return {
        "address": where,
        "carrier": params.text("carrier"),
        "name": params.required("name"),
        "phone": params.text("phone"),
        "tracking_number": params.text("tracking_number"),
    }


def recipient(params: Params | None) -> JsonObject | None:
    """Where things are sent to a customer: a shipping without carrier and tracking number."""
    if params is None:
        return None
    params.only("address", "name", "phone")
    where = address(params.child("address"))
    if where is None:
        raise missing(params.name("address"))
    return {"address": where, "name": params.required("name"), "phone": params.text("phone")}
