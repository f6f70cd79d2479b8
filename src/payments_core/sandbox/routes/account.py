"""The account and its balance."""

from __future__ import annotations

from ..errors import JsonObject
from ..params import Params
from ..shapes import account as account_shapes
from ..state import Context
from .table import Routes


def retrieve_account(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/account`."""
    params.only()
    return account_shapes.account(context.state)


def retrieve_balance(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/balance`: what was paid, not given back and not taken by disputes with their fees, per currency."""
    params.only()
    pending: dict[str, int] = {}
    for charge in context.state.charges:
        pending[charge.currency] = pending.get(charge.currency, 0) + charge.refundable_minor
    for dispute in context.state.disputes:
        moved = sum(movement.amount_minor - movement.fee_minor for movement in dispute.movements)
        pending[dispute.currency] = pending.get(dispute.currency, 0) + moved
    return account_shapes.balance(pending)


ROUTES: Routes = {
    ("GET", "/v1/account"): retrieve_account,
    ("GET", "/v1/balance"): retrieve_balance,
}
