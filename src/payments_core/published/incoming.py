"""The catalogue's messages, as a shop publishes them: `product.created`, `product.updated`, `product.deleted`.

Each is `{id, name, price, currency?, description?, images?, metadata?}`, bare or as `{eventType, data}`. `price` is a
JSON number in major units (29.99) and is read exactly: never a string, never a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from ..domain.catalogue import Archive, Change, Put, checked
from ..domain.strict_json import Json
from ..errors import MalformedEvent
from ..money import CURRENCIES, InvalidAmount, Money
from .reasons import reasons

CREATED: Final = "product.created"
UPDATED: Final = "product.updated"
DELETED: Final = "product.deleted"
PRODUCT_TYPES: Final = (CREATED, UPDATED, DELETED)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("should be a number in major units, as 29.99 (no string)")
    if value <= 0:
        raise ValueError("should be greater than 0")
    return Decimal(value)


Price = Annotated[
    Decimal,
    PlainValidator(_number),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "examples": [29.99]}),
]


class _Incoming(BaseModel, frozen=True):
    """Frozen, strict about types, silent about fields it does not know."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class ProductFields(_Incoming, frozen=True):
    """A product of the shop's. What is left out stays as it is at Stripe; null or empty empties it."""

    id: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="The shop's own id, which becomes the product's id at Stripe. It does not begin with price_.",
    )
    name: str = Field(min_length=1, description="What buyers see.")
    price: Price = Field(description="Per piece, in major units, with no more digits than the currency has.")
    currency: str | None = Field(
        default=None, description="ISO 4217, three letters; PAYMENTS_CURRENCY where it is left out."
    )
    description: str | None = Field(default=None, description="A longer text.")
    images: list[str] | None = Field(default=None, max_length=8, description="Up to eight http(s) URLs.")
    metadata: dict[str, str] | None = Field(
        default=None, description="Up to 50 texts of the shop's own; keys that begin with payments_core_ are refused."
    )

    def change(self, default_currency: str) -> Put:
        """The change. Raises MalformedEvent for a price that the currency cannot express."""
        code = (self.currency or default_currency).lower()
        if code not in CURRENCIES:
            raise MalformedEvent("currency: should be the code of a currency that Stripe charges in, as usd.")
        try:
            price = Money.of(self.price, code)
        except InvalidAmount as wrong:
            raise MalformedEvent(f"price: {wrong}.") from None
        given = self.model_fields_set
        return Put(
            self.id,
            self.name,
            price,
            (self.description or "") if "description" in given else None,
            tuple(self.images or ()) if "images" in given else None,
            (self.metadata or {}) if "metadata" in given else None,
        )


class DeletedFields(_Incoming, frozen=True):
    """The product that is no longer sold; further fields are not read."""

    id: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+$", description="The shop's own id.")


class ProductCreated(_Incoming, frozen=True):
    """A product that is new in the shop. One that Stripe has already is updated."""

    eventType: Literal["product.created"]  # noqa: N815 - as it stands on the wire
    data: ProductFields


class ProductUpdated(_Incoming, frozen=True):
    """A product that has changed. One that Stripe does not have is created."""

    eventType: Literal["product.updated"]  # noqa: N815 - as it stands on the wire
    data: ProductFields


class ProductDeleted(_Incoming, frozen=True):
    """A product that is no longer sold: it is archived at Stripe. One that Stripe does not have is left so."""

    eventType: Literal["product.deleted"]  # noqa: N815 - as it stands on the wire
    data: DeletedFields


INCOMING: Final[dict[str, type[BaseModel]]] = {
    CREATED: ProductCreated,
    UPDATED: ProductUpdated,
    DELETED: ProductDeleted,
}


def read_product_message(value: Mapping[str, Json], kind: str | None, *, default_currency: str) -> Change | None:
    """What the JSON object `value` asks for; None for a wrapped message of another type.

    `kind` is the type that the topic stands for, if any: it holds for bare messages, a wrapped one says its own. Raises
    MalformedEvent, naming the field and never what stood there, for what can never be carried out.
    """
    fields: Json = dict(value)
    if "eventType" in value and "data" in value:
        named, fields = value["eventType"], value["data"]
        if not isinstance(named, str):
            raise MalformedEvent("eventType: should be a string.")
        kind = named
    if kind is None:
        raise MalformedEvent("eventType: is missing, and the topic stands for no type of message.")
    if kind not in PRODUCT_TYPES:
        return None
    try:
        if kind == DELETED:
            return checked(Archive(DeletedFields.model_validate(fields).id))
        return checked(ProductFields.model_validate(fields).change(default_currency))
    except ValidationError as wrong:
        raise MalformedEvent(reasons(wrong)) from None
