"""The shop's catalogue, as its messages tell it, and what has to be done at Stripe about one of them.

`plan` compares a change with what Stripe has and names the calls that are missing, so that doing everything again does
nothing: a message that comes twice, a process that died between two calls, a catalogue that was built by hand. A
price's money never changes at Stripe; another price is made, and becomes the product's default.
Fields and limits: https://docs.stripe.com/api/products and https://docs.stripe.com/api/prices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from attrs import field, frozen

from ..errors import MalformedEvent
from ..money import Money

#: Metadata of the prices that are made here, so that a later message knows which ones it may retire.
PRICE_MARK: Final = "payments_core_catalogue"
RESERVED_PREFIX: Final = "payments_core_"
#: Where a plan means the price that an earlier step of it made.
NEW_PRICE: Final = ""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MAX_IMAGES: Final = 8
_MAX_METADATA: Final = 50
_MAX_KEY_CHARS: Final = 40
_MAX_VALUE_CHARS: Final = 500


@frozen
class Put:
    """The product is to be so. A field that is None stays as it is; an empty one is emptied."""

    product_id: str
    name: str
    price: Money
    description: str | None = None
    images: tuple[str, ...] | None = None
    metadata: Mapping[str, str] | None = field(default=None, repr=False)


@frozen
class Archive:
    """The product is not for sale any more."""

    product_id: str


Change: TypeAlias = Put | Archive


@frozen
class ListedPrice:
    """An active price of a product. `plain`: one amount per piece, paid once. `ours`: it was made here."""

    id: str
    money: Money | None
    plain: bool
    ours: bool
    lookup_key: str | None = None


@frozen
class ListedProduct:
    """A product as Stripe has it, with all of its active prices."""

    id: str
    active: bool
    name: str
    description: str | None = None
    images: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    default_price_id: str | None = None
    prices: tuple[ListedPrice, ...] = ()


@frozen
class CreateProduct:
    """`POST /v1/products`."""

    params: Mapping[str, Any] = field(repr=False)


@frozen
class UpdateProduct:
    """`POST /v1/products/{id}`. A `default_price` that is NEW_PRICE is the price made by the step before."""

    product_id: str
    params: Mapping[str, Any] = field(repr=False)


@frozen
class CreatePrice:
    """`POST /v1/prices`."""

    params: Mapping[str, Any] = field(repr=False)


@frozen
class RetirePrice:
    """`POST /v1/prices/{id}` with `active=false`."""

    price_id: str


Step: TypeAlias = CreateProduct | UpdateProduct | CreatePrice | RetirePrice


def checked(change: Change) -> Change:
    """The change, if Stripe could take it. Raises MalformedEvent, naming the field, never what stood there."""
    _check_id(change.product_id)
    if isinstance(change, Put):
        if not change.name.strip():
            raise MalformedEvent("name: must not be empty.")
        _check_images(change.images or ())
        _check_metadata(change.metadata or {})
    return change


def plan(change: Change, listed: ListedProduct | None) -> tuple[Step, ...]:
    """The calls that make Stripe's catalogue what the message says, in their order; none where it is so already."""
    if isinstance(change, Archive):
        if listed is None or not listed.active:
            return ()
        return (UpdateProduct(listed.id, {"active": False}),)
    if listed is None:
        return (CreateProduct(_creation(change)),)
    target = _price_to_keep(change, listed)
    params = _differences(change, listed)
    if target != listed.default_price_id:
        params["default_price"] = target
    steps: list[Step] = []
    if target == NEW_PRICE:
        steps.append(CreatePrice({"product": listed.id, **_price_params(change.price), **_moved_key(listed)}))
    if params:
        steps.append(UpdateProduct(listed.id, params))
    # Last: Stripe does not let a product's default price be retired.
    return (*steps, *(RetirePrice(price.id) for price in listed.prices if _is_retired(price, target, listed)))


def _price_to_keep(change: Put, listed: ListedProduct) -> str:
    """The active price that the product is to have: its default, else one of ours, else a new one."""
    fitting = [price for price in listed.prices if price.plain and price.money == change.price]
    if any(price.id == listed.default_price_id for price in fitting):
        return str(listed.default_price_id)
    return next((price.id for price in fitting if price.ours), NEW_PRICE)


def _is_retired(price: ListedPrice, target: str, listed: ListedProduct) -> bool:
    return price.id != target and (price.ours or price.id == listed.default_price_id)


def _price_params(money: Money) -> dict[str, Any]:
    return {"currency": money.currency, "unit_amount": money.minor, "metadata": {PRICE_MARK: "1"}}


def _moved_key(listed: ListedProduct) -> dict[str, Any]:
    """The lookup key of the price that is replaced goes to the new one: whoever asks for it means what is sold now."""
    old = next((price for price in listed.prices if price.id == listed.default_price_id), None)
    if old is None or old.lookup_key is None:
        return {}
    return {"lookup_key": old.lookup_key, "transfer_lookup_key": True}


def _creation(change: Put) -> dict[str, Any]:
    optional = {
        "description": change.description or None,
        "images": list(change.images or ()) or None,
        "metadata": _filled(change.metadata or {}) or None,
    }
    return {
        "id": change.product_id,
        "name": change.name,
        "default_price_data": _price_params(change.price),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _differences(change: Put, listed: ListedProduct) -> dict[str, Any]:
    """What an update has to say; empty text is Stripe's way to unset."""
    found: dict[str, Any] = {}
    if not listed.active:
        found["active"] = True
    if change.name != listed.name:
        found["name"] = change.name
    if change.description is not None and change.description != (listed.description or ""):
        found["description"] = change.description
    if change.images is not None and change.images != listed.images:
        found["images"] = list(change.images) or ""
    if change.metadata is not None:
        metadata = _metadata_differences(_filled(change.metadata), listed.metadata)
        if metadata:
            found["metadata"] = metadata
    return found


def _metadata_differences(wanted: Mapping[str, str], listed: Mapping[str, str]) -> dict[str, str]:
    gone = {key: "" for key in listed if key not in wanted and not key.startswith(RESERVED_PREFIX)}
    return gone | {key: value for key, value in wanted.items() if listed.get(key) != value}


def _filled(metadata: Mapping[str, str]) -> dict[str, str]:
    """Without empty values: Stripe takes them for "unset"."""
    return {key: value for key, value in metadata.items() if value}


def _check_id(product_id: str) -> None:
    if not _ID.fullmatch(product_id):
        raise MalformedEvent(
            "id: must be 1 to 255 letters, digits, underscores and hyphens, to be a product's at Stripe."
        )
    if product_id.startswith("price_"):
        raise MalformedEvent("id: must not begin with price_, which is how Stripe's price ids begin.")


def _check_images(images: Sequence[str]) -> None:
    if len(images) > _MAX_IMAGES:
        raise MalformedEvent(f"images: must be at most {_MAX_IMAGES}.")
    for at, image in enumerate(images):
        try:
            parts = urlsplit(image)
        except ValueError:
            raise MalformedEvent(f"images[{at}]: is no URL.") from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise MalformedEvent(f"images[{at}]: must be an absolute http(s) URL.")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > _MAX_METADATA:
        raise MalformedEvent(f"metadata: must have at most {_MAX_METADATA} keys.")
    for key, value in metadata.items():
        if not 0 < len(key) <= _MAX_KEY_CHARS or "[" in key or "]" in key:
            raise MalformedEvent(f"metadata: keys must have 1 to {_MAX_KEY_CHARS} characters, and no square brackets.")
        if key.startswith(RESERVED_PREFIX):
            raise MalformedEvent(f"metadata: keys that begin with {RESERVED_PREFIX} are reserved.")
        if len(value) > _MAX_VALUE_CHARS:
            raise MalformedEvent(f"metadata: values must have at most {_MAX_VALUE_CHARS} characters.")
