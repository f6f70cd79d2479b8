"""Stripe, as the flows need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..domain.listing import Page, Span
from ..domain.pricing import CatalogPrice
from ..domain.stripe_objects import Charge, Document, Intent, Invoice, LineItem, Session
from .kinds import Io


class Gateway(Protocol):
    """Stripe.

    - Raises StripeUnavailable when Stripe cannot be reached, answers 5xx or 429, or takes too long; StripeObjectMissing
      for an id it does not know; StripeError, with Stripe's code and parameter, for any other refusal. Nothing else.
    - No error message holds a request or response body, a key, an e-mail address or card data.
    - Lists come whole: every page is read. What happened in a span of time comes by the page, the newest first:
      `after` is the last page's `last_id`, and a page that says `has_more` has one.
    - Events and refunds are given as Stripe wrote them, fractions as Decimal: no amount passes through a float.
    - `create_session` sends the idempotency key it is given, so that trying again never makes a second session.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Session:
        """Open a Checkout Session."""
        ...

    async def expire_session(self, session_id: str) -> Session:
        """End an open Checkout Session: nobody can pay it any more. Raises StripeError for one that is not open."""
        ...

    async def session(self, session_id: str) -> Session:
        """A Checkout Session as it is now."""
        ...

    async def session_of_intent(self, payment_intent_id: str) -> Session | None:
        """The Checkout Session that made a payment intent, or None."""
        ...

    async def line_items(self, session_id: str) -> Sequence[LineItem]:
        """All lines of a session."""
        ...

    async def intent(self, payment_intent_id: str) -> Intent:
        """A PaymentIntent as it is now."""
        ...

    async def charge(self, charge_id: str) -> Charge:
        """A Charge as it is now."""
        ...

    async def invoice(self, invoice_id: str) -> Invoice:
        """An Invoice as it is now, with its lines."""
        ...

    async def invoice_of_intent(self, payment_intent_id: str) -> str | None:
        """The id of the invoice that a payment intent pays, or None."""
        ...

    async def intents_of_invoice(self, invoice_id: str) -> Sequence[str]:
        """The ids of the payment intents that pay an invoice."""
        ...

    async def events(self, span: Span, *, after: str | None = None, undelivered: bool = False) -> Page[Document]:
        """Events of a span of time, of the 30 days that Stripe lists.

        `undelivered`: those only that some webhook endpoint has not taken.
        """
        ...

    async def sessions(self, span: Span, *, after: str | None = None) -> Page[Session]:
        """Checkout Sessions that were created in a span of time."""
        ...

    async def intents(self, span: Span, *, after: str | None = None) -> Page[Intent]:
        """PaymentIntents that were created in a span of time."""
        ...

    async def invoices(self, span: Span, *, after: str | None = None) -> Page[Invoice]:
        """Paid invoices that were created in a span of time, perhaps without all of their lines."""
        ...

    async def refunds(self, span: Span, *, after: str | None = None) -> Page[Document]:
        """Refunds that were created in a span of time."""
        ...

    async def refund(self, refund_id: str) -> Document:
        """A Refund as it is now."""
        ...

    async def failure_notice(self, event_id: str) -> Document:
        """The whole of a thin event by which Stripe tells that it could not make an event."""
        ...

    async def catalogue(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """What the catalogue charges for product ids, price ids and lookup keys; unknown references are left out."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
