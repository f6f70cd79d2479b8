"""Lists as Stripe pages them: newest first, `limit` 1 to 100, a cursor before or after, a filter on `created`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from . import form
from .errors import JsonObject, invalid, no_such
from .params import Params
from .shapes.account import listing
from .shapes.event_destinations import page as v2_listing
from .state import Collection

PAGING = ("limit", "starting_after", "ending_before")


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


class _Dated(Protocol):
    @property
    def created(self) -> int: ...


class _OfPayment(Protocol):
    @property
    def charge(self) -> str: ...
    @property
    def payment_intent(self) -> str: ...


T = TypeVar("T", bound=_Identified)


def page(
    records: Sequence[T],
    params: Params,
    url: str,
    render: Callable[[T], JsonObject],
    *,
    among: Collection[T] | None = None,
) -> JsonObject:
    """One page of `records`, which come in the list's order. `url` is the list's own path.

    `among` is the collection they were chosen from: a cursor may be any of it, as one that was in the list when the
    page before was shown, and is not any more.
    """
    limit = params.integer("limit", minimum=1, maximum=100) or 10
    after, before = params.text("starting_after"), params.text("ending_before")
    if after is not None and before is not None:
        raise invalid(
            "starting_after",
            "You can only use one of the pagination parameters: starting_after or ending_before.",
        )
    if before is not None:
        ahead = _around(records, among, before, "ending_before")[0]
        window = ahead[-limit:]
        has_more = len(ahead) > limit
    else:
        rest = records if after is None else _around(records, among, after, "starting_after")[1]
        window = rest[:limit]
        has_more = len(rest) > limit
    return listing([render(record) for record in window], url, has_more=has_more)


def v2_page(
    records: Sequence[T], params: Params, path: str, render: Callable[[T], JsonObject], *, among: Collection[T]
) -> JsonObject:
    """One page of a v2 list: `limit` 1 to 100, 20 unless said, and the address of the next page."""
    limit = params.integer("limit", minimum=1, maximum=100) or 20
    after = params.text("page")
    rest = records if after is None else _around(records, among, after, "page")[1]
    window, more = rest[:limit], len(rest) > limit
    return v2_listing([render(record) for record in window], f"{path}?{_next(params, window[-1].id)}" if more else None)


def _next(params: Params, last_id: str) -> str:
    """The query that goes on where this page ended, with the filters it had."""
    return form.encode({**params.tree, "page": last_id})


def created_filter(params: Params) -> Callable[[_Dated], bool]:
    """The `created` parameter as a predicate: an exact time, or `gt`, `gte`, `lt`, `lte` in epoch seconds."""
    if "created" in params and not params.is_object("created"):
        exact = params.integer("created")
        return lambda record: record.created == exact
    bounds = params.child("created")
    if bounds is None:
        return lambda record: True
    bounds.only("gt", "gte", "lt", "lte")
    gt, gte = bounds.integer("gt"), bounds.integer("gte")
    lt, lte = bounds.integer("lt"), bounds.integer("lte")

    def within(record: _Dated) -> bool:
        at = record.created
        return (
            (gt is None or at > gt)
            and (gte is None or at >= gte)
            and (lt is None or at < lt)
            and (lte is None or at <= lte)
        )

    return within


def of_payment(params: Params) -> Callable[[_OfPayment], bool]:
    """The parameters `charge` and `payment_intent` as a predicate."""
    charge, intent = params.text("charge"), params.text("payment_intent")
    return lambda record: (
        (charge is None or record.charge == charge) and (intent is None or record.payment_intent == intent)
    )


def _around(
    records: Sequence[T], among: Collection[T] | None, cursor: str, param: str
) -> tuple[Sequence[T], Sequence[T]]:
    """The records before and after the cursor, in their order."""
    order = [record.id for record in (records if among is None else among.newest())]
    if cursor not in order:
        raise no_such("object", cursor, param, status=400)
    ahead = set(order[: order.index(cursor)])
    return (
        [record for record in records if record.id in ahead],
        [record for record in records if record.id not in ahead and record.id != cursor],
    )
