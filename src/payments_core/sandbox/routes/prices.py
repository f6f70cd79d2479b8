"""Prices."""

from __future__ import annotations

from .. import catalogue
from ..errors import JsonObject, invalid
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..records.catalogue import Price
from ..search import search as find
from ..searchable import PRICES
from ..shapes import catalogue as catalogue_shapes
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/prices`."""
    return catalogue_shapes.price(catalogue.create_price(context, params))


def retrieve(context: Context, params: Params, price_id: str) -> JsonObject:
    """`GET /v1/prices/{id}`."""
    params.only()
    return catalogue_shapes.price(context.state.prices.need(price_id, "price"))


def update(context: Context, params: Params, price_id: str) -> JsonObject:
    """`POST /v1/prices/{id}`."""
    price = context.state.prices.need(price_id, "price")
    return catalogue_shapes.price(catalogue.update_price(context, price, params))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/prices`; prices made inline by a session are left out."""
    params.only(*PAGING, "active", "created", "currency", "lookup_keys", "product", "type", elsewhere=("recurring",))
    active, currency, product = params.boolean("active"), params.text("currency"), params.text("product")
    recurring = params.choice("type", ("one_time", "recurring")) == "recurring"
    keys, inside = params.texts("lookup_keys"), created_filter(params)
    if keys is not None and len(keys) > 10:
        raise invalid("lookup_keys", "You may only specify up to 10 lookup_keys.")

    def matches(price: Price) -> bool:
        return (
            not price.inline
            and not recurring
            and (active is None or price.active == active)
            and (currency is None or price.currency == currency)
            and (product is None or price.product == product)
            and (keys is None or price.lookup_key in keys)
        )

    found = [price for price in context.state.prices.newest() if inside(price) and matches(price)]
    return page(found, params, "/v1/prices", catalogue_shapes.price, among=context.state.prices)


def search(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/prices/search`; those made inline by a session are left out. What was just made is found at once."""
    found = [one for one in context.state.prices.newest() if not one.inline]
    return find(found, PRICES, params, "/v1/prices/search", catalogue_shapes.price)


ROUTES: Routes = {
    ("POST", "/v1/prices"): create,
    ("GET", "/v1/prices"): index,
    ("GET", "/v1/prices/search"): search,
    ("GET", "/v1/prices/{}"): retrieve,
    ("POST", "/v1/prices/{}"): update,
}
