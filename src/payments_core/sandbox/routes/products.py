"""Products."""

from __future__ import annotations

from .. import catalogue
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..search import search as find
from ..searchable import PRODUCTS
from ..shapes import catalogue as catalogue_shapes
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/products`."""
    return catalogue_shapes.product(catalogue.create_product(context, params))


def retrieve(context: Context, params: Params, product_id: str) -> JsonObject:
    """`GET /v1/products/{id}`."""
    params.only()
    return catalogue_shapes.product(context.state.products.need(product_id))


def update(context: Context, params: Params, product_id: str) -> JsonObject:
    """`POST /v1/products/{id}`."""
    product = context.state.products.need(product_id)
    return catalogue_shapes.product(catalogue.update_product(context, product, params))


def delete(context: Context, params: Params, product_id: str) -> JsonObject:
    """`DELETE /v1/products/{id}`."""
    params.only()
    return catalogue.delete_product(context, context.state.products.need(product_id))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/products`; products made inline by a session are left out."""
    params.only(*PAGING, "active", "created", "ids", "shippable", "url", elsewhere=("type",))
    active, shippable = params.boolean("active"), params.boolean("shippable")
    ids, url, inside = params.texts("ids"), params.text("url"), created_filter(params)
    found = [
        product
        for product in context.state.products.newest()
        if not product.inline
        and inside(product)
        and (active is None or product.active == active)
        and (shippable is None or product.shippable == shippable)
        and (ids is None or product.id in ids)
        and (url is None or product.url == url)
    ]
    return page(found, params, "/v1/products", catalogue_shapes.product, among=context.state.products)


def search(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/products/search`; those made inline by a session are left out. What was just made is found at once."""
    found = [one for one in context.state.products.newest() if not one.inline]
    return find(found, PRODUCTS, params, "/v1/products/search", catalogue_shapes.product)


ROUTES: Routes = {
    ("POST", "/v1/products"): create,
    ("GET", "/v1/products"): index,
    ("GET", "/v1/products/search"): search,
    ("GET", "/v1/products/{}"): retrieve,
    ("POST", "/v1/products/{}"): update,
    ("DELETE", "/v1/products/{}"): delete,
}
