"""Stripe's objects, reduced to what this library decides on.

One reader serves webhook snapshots and API answers alike. Readers are tolerant: an absent or null field is None
("unknown"), never a default that could be taken for Stripe's word; API versions differ in what they send. Ids of
expandable fields are read whether the field is expanded or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from attrs import field, frozen

Document = Mapping[str, Any]

_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@frozen
class Session:
    """A Checkout Session. Amounts are minor units of `currency`; times are Unix seconds, as everywhere here."""

    id: str
    mode: str | None = None
    status: str | None = None
    payment_status: str | None = None
    currency: str | None = None
    amount_subtotal: int | None = None
    amount_total: int | None = None
    amount_discount: int | None = None
    amount_shipping: int | None = None
    amount_tax: int | None = None
    payment_intent_id: str | None = None
    invoice_id: str | None = None
    client_reference_id: str | None = None
    details_email: str | None = field(default=None, repr=False)
    given_email: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    livemode: bool | None = None
    url: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    created_s: int | None = None
    expires_s: int | None = None

    @property
    def is_paid(self) -> bool:
        """Whether the money is there, or none was due.

        A session with nothing to pay says so from its beginning, and goes on saying so when it runs out unused.
        """
        return self.status not in ("open", "expired") and self.payment_status in ("paid", "no_payment_required")


@frozen
class PaymentError:
    """`last_payment_error`: why an attempt failed, and by which payment method."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None
    charge_id: str | None = None
    payment_method_id: str | None = None

    @property
    def reason(self) -> str | None:
        """The decline code, else the code, else the type."""
        return self.decline_code or self.code or self.type


@frozen
class Intent:
    """A PaymentIntent. Amounts are minor units of `currency`."""

    id: str
    status: str | None = None
    currency: str | None = None
    amount: int | None = None
    amount_received: int | None = None
    charge_id: str | None = None
    error: PaymentError | None = None
    email: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    livemode: bool | None = None
    created_s: int | None = None

    @property
    def failed_attempt(self) -> str | None:
        """What the last failed attempt is known by, the same in every event that tells of it; None where nothing is.

        That is its charge. A failed authentication and a voucher that ran out made none, and `latest_charge` is then an
        earlier attempt's: the one is known by nothing, the other by its payment method.
        https://docs.stripe.com/error-codes
        """
        error = self.error
        if error is None or error.charge_id is not None:
            return self.charge_id if error is None else error.charge_id
        if error.code == "payment_intent_authentication_failure":
            return None
        if error.code == "payment_intent_payment_attempt_expired":
            return error.payment_method_id
        return self.charge_id


@frozen
class Charge:
    """A Charge: the address the payer gave to the card form, and when it was made (Unix seconds).

    `kept_minor` is what was captured and not given back, in minor units of `currency`; None where Stripe does not say.
    """

    id: str
    billing_email: str | None = field(default=None, repr=False)
    created_s: int | None = None
    currency: str | None = None
    amount_captured: int | None = None
    amount_refunded: int | None = None
    is_disputed: bool = False

    @property
    def kept_minor(self) -> int | None:
        """What of the money is still there. A disputed charge's is the bank's to say."""
        if self.amount_captured is None or self.amount_refunded is None or self.is_disputed:
            return None
        return self.amount_captured - self.amount_refunded


@frozen
class LineItem:
    """A line of a session or an invoice. `unit_minor` is the price per unit, None where lines are not priced so.

    `quantity` is in whole pieces, what is beyond them cut off: 0 for metered use of nothing, and for a part of one.
    """

    name: str
    quantity: int
    unit_minor: int | None
    currency: str | None


@frozen
class Invoice:
    """An Invoice. Amounts are minor units of `currency`."""

    id: str
    status: str | None = None
    currency: str | None = None
    total: int | None = None
    billing_reason: str | None = None
    email: str | None = field(default=None, repr=False)
    payment_intent_id: str | None = None
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    lines: tuple[LineItem, ...] = ()
    created_s: int | None = None
    paid_s: int | None = None

    @property
    def is_of_subscription(self) -> bool:
        """Whether a subscription made it: then no payment-mode session can be its source."""
        return (self.billing_reason or "").startswith("subscription")


def read_session(document: Document) -> Session:
    """A Checkout Session from a webhook's `data.object` or an API answer."""
    details = child(document, "total_details")
    return Session(
        id=str(document["id"]),
        mode=text(document, "mode"),
        status=text(document, "status"),
        payment_status=text(document, "payment_status"),
        currency=text(document, "currency"),
        amount_subtotal=number(document, "amount_subtotal"),
        amount_total=number(document, "amount_total"),
        amount_discount=number(details, "amount_discount"),
        amount_shipping=number(details, "amount_shipping"),
        amount_tax=number(details, "amount_tax"),
        payment_intent_id=reference(document, "payment_intent"),
        invoice_id=reference(document, "invoice"),
        client_reference_id=text(document, "client_reference_id"),
        details_email=text(child(document, "customer_details"), "email"),
        given_email=text(document, "customer_email"),
        metadata=metadata(document),
        livemode=flag(document, "livemode"),
        url=text(document, "url"),
        client_secret=text(document, "client_secret"),
        created_s=number(document, "created"),
        expires_s=number(document, "expires_at"),
    )


def session_document(session: Session) -> dict[str, Any]:
    """The session as Stripe would write it, for what `read_session` reads; without its URL and client secret."""
    return {
        "id": session.id,
        "object": "checkout.session",
        "mode": session.mode,
        "status": session.status,
        "payment_status": session.payment_status,
        "currency": session.currency,
        "amount_subtotal": session.amount_subtotal,
        "amount_total": session.amount_total,
        "total_details": {
            "amount_discount": session.amount_discount,
            "amount_shipping": session.amount_shipping,
            "amount_tax": session.amount_tax,
        },
        "payment_intent": session.payment_intent_id,
        "invoice": session.invoice_id,
        "client_reference_id": session.client_reference_id,
        "customer_details": {"email": session.details_email},
        "customer_email": session.given_email,
        "metadata": dict(session.metadata),
        "livemode": session.livemode,
        "created": session.created_s,
        "expires_at": session.expires_s,
    }


def read_intent(document: Document) -> Intent:
    """A PaymentIntent from a webhook's `data.object` or an API answer."""
    error = child(document, "last_payment_error")
    billing = child(child(error, "payment_method"), "billing_details")
    return Intent(
        id=str(document["id"]),
        status=text(document, "status"),
        currency=text(document, "currency"),
        amount=number(document, "amount"),
        amount_received=number(document, "amount_received"),
        charge_id=reference(document, "latest_charge"),
        error=_payment_error(error) if error else None,
        email=text(billing, "email") or text(document, "receipt_email"),
        metadata=metadata(document),
        livemode=flag(document, "livemode"),
        created_s=number(document, "created"),
    )


def intent_document(intent: Intent) -> dict[str, Any]:
    """The payment intent as Stripe would write it, for what `read_intent` reads; without its client secret."""
    error = intent.error
    return {
        "id": intent.id,
        "object": "payment_intent",
        "status": intent.status,
        "currency": intent.currency,
        "amount": intent.amount,
        "amount_received": intent.amount_received,
        "latest_charge": intent.charge_id,
        "last_payment_error": {
            "type": error.type,
            "code": error.code,
            "decline_code": error.decline_code,
            "charge": error.charge_id,
            "payment_method": error.payment_method_id,
        }
        if error is not None
        else None,
        "receipt_email": intent.email,
        "metadata": dict(intent.metadata),
        "livemode": intent.livemode,
        "created": intent.created_s,
    }


def read_charge(document: Document) -> Charge:
    """A Charge from an API answer."""
    return Charge(
        id=str(document["id"]),
        billing_email=text(child(document, "billing_details"), "email"),
        created_s=number(document, "created"),
        currency=text(document, "currency"),
        amount_captured=number(document, "amount_captured"),
        amount_refunded=number(document, "amount_refunded"),
        is_disputed=document.get("disputed") is True,
    )


def read_invoice(document: Document) -> Invoice:
    """An Invoice from a webhook's `data.object` or an API answer."""
    return Invoice(
        id=str(document["id"]),
        status=text(document, "status"),
        currency=text(document, "currency"),
        total=number(document, "total"),
        billing_reason=text(document, "billing_reason"),
        email=text(document, "customer_email"),
        payment_intent_id=reference(document, "payment_intent"),
        metadata=metadata(document),
        lines=tuple(read_line_item(line) for line in items(child(document, "lines"))),
        created_s=number(document, "created"),
        paid_s=number(child(document, "status_transitions"), "paid_at"),
    )


def invoice_document(invoice: Invoice) -> dict[str, Any]:
    """The invoice as Stripe would write it, without its lines: whoever acts on an invoice asks for it again."""
    return {
        "id": invoice.id,
        "object": "invoice",
        "status": invoice.status,
        "currency": invoice.currency,
        "total": invoice.total,
        "billing_reason": invoice.billing_reason,
        "customer_email": invoice.email,
        "payment_intent": invoice.payment_intent_id,
        "metadata": dict(invoice.metadata),
        "created": invoice.created_s,
    }


def read_line_item(document: Document) -> LineItem:
    """A line of a session's `line_items` or of an invoice's `lines`."""
    quantity = number(document, "quantity")
    unit = number(child(document, "price"), "unit_amount")
    if unit is None:
        unit = _unit_of_pricing(child(document, "pricing"))
    name = text(document, "description") or ""
    return LineItem(name, 1 if quantity is None else quantity, unit, text(document, "currency"))


def items(page: Document) -> list[Document]:
    """The objects of a list answer."""
    data = page.get("data")
    return cast("list[Document]", data) if isinstance(data, list) else []


def text(document: Document, key: str) -> str | None:
    """A string, or None where it is absent, null, empty or something else."""
    value = document.get(key)
    return value if isinstance(value, str) and value else None


def number(document: Document, key: str) -> int | None:
    """A whole number, or None."""
    value = document.get(key)
    return value if type(value) is int else None


def flag(document: Document, key: str) -> bool | None:
    """True or False, or None where it is neither."""
    value = document.get(key)
    return value if isinstance(value, bool) else None


def child(document: Document, key: str) -> Document:
    """A nested object, empty where it is absent."""
    value = document.get(key)
    return cast("Document", value) if isinstance(value, Mapping) else {}


def reference(document: Document, key: str) -> str | None:
    """The id of an expandable field, expanded or not; None for text that is no id of Stripe's."""
    value = document.get(key)
    found = text(cast("Document", value), "id") if isinstance(value, Mapping) else text(document, key)
    return found if found is not None and _ID.fullmatch(found) else None


def code(document: Document, key: str) -> str | None:
    """One of Stripe's codes (`card_declined`), or None: codes go into logs, where other text could forge a line."""
    value = text(document, key)
    return value if value is not None and _CODE.fullmatch(value) else None


def metadata(document: Document) -> dict[str, str]:
    """The object's metadata; whatever is not a string is left out."""
    found = child(document, "metadata")
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _payment_error(document: Document) -> PaymentError:
    return PaymentError(
        type=code(document, "type"),
        code=code(document, "code"),
        decline_code=code(document, "decline_code"),
        charge_id=reference(document, "charge"),
        payment_method_id=reference(document, "payment_method"),
    )


def _unit_of_pricing(pricing: Document) -> int | None:
    """Since 2025-03-31 an invoice line carries `pricing.unit_amount_decimal` in place of `price`."""
    value = pricing.get("unit_amount_decimal")
    written = str(value) if value is not None else ""
    whole, _, rest = written.partition(".")
    return int(whole) if whole.isascii() and whole.isdigit() and not rest.strip("0") else None
