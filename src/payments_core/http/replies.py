"""What is answered when all is well, as models: the reply's JSON and its schema come from the same place."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from payments_core.domain.cart import CheckoutSession, SessionStatus
from payments_core.domain.strict_json import write_json
from payments_core.errors import Discrepancy
from payments_core.http.messages import REQUEST_ID_HEADER, HttpReply

#: To the letter: what a webhook is answered, for a new event, a duplicate and an ignored one alike.
RECEIVED: Final = b'{"received": true}'

Major = Annotated[Decimal, WithJsonSchema({"type": "number", "description": "Major units, exact (29.99)."})]


class Reply(BaseModel):
    """A JSON object in camelCase. What was not set is left out."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, validate_by_name=True)


class CheckoutSessionReply(Reply):
    """A session to send the buyer to: `url` for the hosted page, `clientSecret` for the embedded one."""

    session_id: str
    url: str | None
    client_secret: str = ""


class DiscrepancyReply(Reply):
    """A line whose price is not the catalogue's."""

    product_id: str
    expected_price: Major
    provided_price: Major


class PricesReply(Reply):
    """Whether every price is the catalogue's, and which are not."""

    verified: bool
    discrepancies: list[DiscrepancyReply] = []


class WebhookReply(Reply):
    """The event is stored, or was already."""

    received: bool = True


class SessionStatusReply(Reply):
    """What a success page needs to know. Amount and currency are null until Stripe has said them."""

    session_id: str
    status: str
    payment_status: str
    amount_total: Major | None
    currency: str | None


class FieldProblemReply(Reply):
    """One field that cannot be used."""

    path: str
    message: str


class ErrorReply(Reply):
    """Every error. `code` is stable; `error` and `detail` are for people."""

    error: str
    code: str
    detail: str = ""
    fields: list[FieldProblemReply] = []
    discrepancies: list[DiscrepancyReply] = []


def checkout_session_reply(session: CheckoutSession) -> CheckoutSessionReply:
    """The reply for a session that was opened; `clientSecret` only where there is one."""
    if session.client_secret is None:
        return CheckoutSessionReply(session_id=session.session_id, url=session.url)
    return CheckoutSessionReply(session_id=session.session_id, url=session.url, client_secret=session.client_secret)


def session_status_reply(status: SessionStatus) -> SessionStatusReply:
    """The reply for a session's state."""
    total = status.amount_total
    return SessionStatusReply(
        session_id=status.session_id,
        status=status.status,
        payment_status=status.payment_status,
        amount_total=None if total is None else total.decimal,
        currency=None if total is None else total.currency,
    )


def discrepancy_replies(found: tuple[Discrepancy, ...]) -> list[DiscrepancyReply]:
    """The lines that differ, in major units."""
    return [
        DiscrepancyReply(
            product_id=one.product_id, expected_price=one.expected_price, provided_price=one.provided_price
        )
        for one in found
    ]


def prices_reply(found: tuple[Discrepancy, ...]) -> PricesReply:
    """The reply for a verification."""
    if not found:
        return PricesReply(verified=True)
    return PricesReply(verified=False, discrepancies=discrepancy_replies(found))


def model_reply(status: int, model: Reply, request_id: str, *extra: tuple[str, str]) -> HttpReply:
    """The model as JSON, numbers exact."""
    return json_reply(status, model.model_dump(by_alias=True, exclude_unset=True), request_id, *extra)


def json_reply(status: int, value: object, request_id: str, *extra: tuple[str, str]) -> HttpReply:
    """Any JSON-able value as a reply."""
    return raw_reply(status, write_json(value).encode(), request_id, *extra)


def raw_reply(status: int, body: bytes, request_id: str, *extra: tuple[str, str]) -> HttpReply:
    """JSON text as a reply, with the headers that every reply has."""
    return HttpReply(
        status,
        (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            (REQUEST_ID_HEADER, request_id),
            *extra,
        ),
        body,
    )


def allow_reply(allowed: tuple[str, ...], request_id: str) -> HttpReply:
    """The reply to OPTIONS. Cross-origin answers are the host's, in its middleware."""
    return HttpReply(
        204,
        (("Allow", ", ".join(allowed)), ("Cache-Control", "no-store"), (REQUEST_ID_HEADER, request_id)),
    )
