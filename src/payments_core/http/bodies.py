"""The bodies of the JSON routes: models for what may be sent, and functions that make domain values of it.

Every problem is reported, not only the first. A field that may be absent may also be null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from payments_core.domain.cart import MAX_LINES, Cart, CheckoutRequest, Line, UiMode
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.strict_json import Json
from payments_core.errors import FieldProblem, InvalidRequest
from payments_core.http.fields import (
    CURRENCY,
    Currency,
    Email,
    ImageUrl,
    Name,
    Price,
    ProductId,
    Quantity,
    RedirectUrl,
    known_currency,
)
from payments_core.http.problems import problems_of
from payments_core.money import MAX_AMOUNT_MINOR

_SEE_FIELDS: Final = "The request cannot be used as it is; correct the fields named and send it again."


class Body(BaseModel):
    """A JSON object in camelCase, with no field that is not named here."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )


class ProductBody(Body):
    """A line of a cart. `productId`, where given, is verified against the catalogue."""

    name: Name
    price: Price
    quantity: Quantity
    image: ImageUrl | None = None
    product_id: ProductId | None = None


class CheckoutBody(Body):
    """A checkout. `cancelUrl` is required for the hosted page."""

    products: Annotated[list[ProductBody], Field(min_length=1, max_length=MAX_LINES)]
    success_url: RedirectUrl
    cancel_url: RedirectUrl | None = None
    customer_email: Email | None = None
    metadata: dict[str, str] | None = None
    currency: Currency | None = None
    ui_mode: UiMode | None = None


class ClaimBody(Body):
    """What the caller believes a piece costs."""

    product_id: ProductId
    price: Price
    quantity: Quantity


class PricesBody(Body):
    """Prices to be compared with the catalogue."""

    products: Annotated[list[ClaimBody], Field(min_length=1, max_length=MAX_LINES)]
    currency: Currency | None = None


BodyT = TypeVar("BodyT", bound=Body)


def checkout_request(value: Json, *, default_currency: str) -> CheckoutRequest:
    """The checkout in a JSON value. Raises InvalidRequest, naming every field that cannot be used."""
    body = _validated(CheckoutBody, value, default_currency, _hosted_without_cancel(value))
    cart = Cart(
        Line(
            name=line.name,
            unit=line.price,
            quantity=line.quantity,
            image=line.image,
            product_id=line.product_id,
        )
        for line in body.products
    )
    if cart.subtotal.minor > MAX_AMOUNT_MINOR:
        raise InvalidRequest(
            _SEE_FIELDS, [FieldProblem("products", "add up to more than Stripe accepts (twelve digits)")]
        )
    return CheckoutRequest(
        cart=cart,
        success_url=body.success_url,
        cancel_url=body.cancel_url,
        customer_email=body.customer_email,
        metadata=body.metadata or {},
        ui_mode=body.ui_mode or "hosted_page",
    )


def price_claims(value: Json, *, default_currency: str) -> tuple[PriceClaim, ...]:
    """The claims in a JSON value. Raises InvalidRequest, naming every field that cannot be used."""
    body = _validated(PricesBody, value, default_currency, ())
    return tuple(PriceClaim(line.product_id, line.price, line.quantity) for line in body.products)


def _validated(model: type[BodyT], value: Json, default_currency: str, more: Sequence[FieldProblem]) -> BodyT:
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    given = value.get("currency")
    currency = default_currency if given is None else known_currency(given)
    try:
        body = model.model_validate(value, context={CURRENCY: currency})
    except ValidationError as wrong:
        found = problems_of(wrong.errors(include_url=False, include_input=False))
        raise InvalidRequest(_SEE_FIELDS, [*found, *more]) from None
    if more:
        raise InvalidRequest(_SEE_FIELDS, more)
    return body


def _hosted_without_cancel(value: Json) -> tuple[FieldProblem, ...]:
    """The one rule between two fields, checked beside the others so that it is reported with them."""
    if not isinstance(value, dict) or value.get("cancelUrl") is not None:
        return ()
    if value.get("uiMode") in (None, "hosted_page"):
        return (FieldProblem("cancelUrl", "is required for the hosted page"),)
    return ()
