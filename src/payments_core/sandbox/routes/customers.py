"""Customers, and what is attached to them."""

from __future__ import annotations

from .. import buyers, customers, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..payment_methods import REDISPLAY
from ..shapes.customers import customer as shape
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/customers`; a payment method that is declined leaves no customer behind."""
    return shape(customers.create(context, params))


def retrieve(context: Context, params: Params, customer_id: str) -> JsonObject:
    """`GET /v1/customers/{id}`; of a deleted one, that it is deleted."""
    params.only()
    return shape(context.state.customers.need(customer_id))


def update(context: Context, params: Params, customer_id: str) -> JsonObject:
    """`POST /v1/customers/{id}`."""
    return shape(customers.update(context, buyers.living(context, customer_id), params))


def delete(context: Context, params: Params, customer_id: str) -> JsonObject:
    """`DELETE /v1/customers/{id}`."""
    params.only()
    return customers.delete(context, buyers.living(context, customer_id))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/customers`, by the exact e-mail address if wished."""
    params.only(*PAGING, "created", "email", elsewhere=("test_clock",))
    email, inside = params.text("email"), created_filter(params)
    found = [
        customer
        for customer in context.state.customers.newest()
        if not customer.deleted and inside(customer) and (email is None or customer.email == email)
    ]
    return page(found, params, "/v1/customers", shape, among=context.state.customers)


def list_methods(context: Context, params: Params, customer_id: str) -> JsonObject:
    """`GET /v1/customers/{id}/payment_methods`."""
    params.only(*PAGING, "type", "allow_redisplay")
    customer = buyers.living(context, customer_id)
    kind, redisplay = params.text("type"), params.choice("allow_redisplay", REDISPLAY)
    found = [
        method
        for method in context.state.methods.newest()
        if method.customer == customer.id
        and (kind is None or method.type == kind)
        and (redisplay is None or method.allow_redisplay == redisplay)
    ]
    return page(
        found,
        params,
        f"/v1/customers/{customer.id}/payment_methods",
        render.payment_method,
        among=context.state.methods,
    )


ROUTES: Routes = {
    ("POST", "/v1/customers"): create,
    ("GET", "/v1/customers"): index,
    ("GET", "/v1/customers/{}"): retrieve,
    ("POST", "/v1/customers/{}"): update,
    ("DELETE", "/v1/customers/{}"): delete,
    ("GET", "/v1/customers/{}/payment_methods"): list_methods,
}
