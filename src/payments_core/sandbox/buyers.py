"""Whose a request says it is: an existing customer, not a deleted one."""

from __future__ import annotations

from .errors import invalid
from .params import Params
from .records.customers import Customer
from .state import Context


def known(context: Context, params: Params, name: str = "customer") -> str | None:
    """The id of an existing customer named by a parameter, or None where absent."""
    customer_id = params.text(name)
    if customer_id is None:
        return None
    return living(context, customer_id, params.name(name), status=400).id


def living(context: Context, customer_id: str, param: str = "customer", *, status: int = 404) -> Customer:
    """A customer that has not been deleted."""
    customer = context.state.customers.need(customer_id, param, status=status)
    if customer.deleted:
        raise invalid(param, f"No such customer: '{customer_id}'; it was deleted.", "resource_missing")
    return customer
