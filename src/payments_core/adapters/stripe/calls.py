"""The seam between the gateway's methods and a world: one request, several requests, all pages of a list.

Also what is checked on our side of the wire: ids before they reach a URL, and the shape of an answer before anybody
reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast

from attrs import frozen

from payments_core.domain.listing import Page, Span
from payments_core.domain.stripe_objects import Document, items, number, text
from payments_core.errors import StripeError, StripeUnavailable
from payments_core.ports import Io

T = TypeVar("T")
Job: TypeAlias = Callable[[], Awaitable[T]]
Method: TypeAlias = Literal["get", "post"]

#: The most objects that Stripe puts on one page (https://docs.stripe.com/api/pagination).
PAGE: Final = 100
#: Far beyond any list this library reads; a server that never ends a list must not keep us for ever.
MAX_PAGES: Final = 1000

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@frozen
class Answered:
    """Stripe's answer with its headers; the document of a refusal is empty."""

    document: Document
    headers: Mapping[str, str]
    refusal: StripeError | None = None


class Calls(Protocol):
    """Requests to Stripe in one world.

    - `send` and `exact` raise what `Gateway` promises and nothing else, and return a JSON object; with `exact` its
      fractions are Decimals.
    - `answered` raises only where there is no answer, or one that is worth another try; a refusal is in what it
      returns.
    - `each` runs independent jobs, at most a few at a time, and returns their results in order.
    """

    @property
    def io(self) -> Io:
        """The world it serves."""
        ...

    async def send(
        self, method: Method, path: str, params: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Document:
        """One request."""
        ...

    async def exact(self, path: str, params: Mapping[str, Any]) -> Document:
        """One reading request, whose answer is to be written down as it came."""
        ...

    async def answered(self, path: str) -> Answered:
        """One reading request, with all that is known of its answer."""
        ...

    async def each(self, jobs: Sequence[Job[T]]) -> list[T]:
        """Independent requests."""
        ...

    async def close(self) -> None:
        """Give back the connections."""
        ...


def is_id(value: str) -> bool:
    """Whether `value` can be an object's id. An empty one would name the whole collection, a slash another route."""
    return _ID.fullmatch(value) is not None


async def one_page(calls: Calls, path: str, params: Mapping[str, Any]) -> Document:
    """One page of a list."""
    page = await calls.send("get", path, params)
    if not isinstance(page.get("data"), list):
        raise misshapen(path)
    return page


async def all_pages(calls: Calls, path: str, params: Mapping[str, Any] | None = None) -> list[Document]:
    """Every object of a list."""
    filters = {**(params or {}), "limit": PAGE}
    return await rest_of(calls, path, filters, await one_page(calls, path, filters))


async def rest_of(calls: Calls, path: str, params: Mapping[str, Any], page: Document) -> list[Document]:
    """The objects of a first page that is already here, and of all pages behind it."""
    found = list(items(page))
    for _ in range(MAX_PAGES):
        if page.get("has_more") is not True:
            return found
        last = text(found[-1], "id") if found else None
        if last is None:
            break
        page = await one_page(calls, path, {**params, "limit": PAGE, "starting_after": last})
        found += items(page)
    raise misshapen(path)


async def page_of(
    calls: Calls,
    path: str,
    span: Span,
    read: Callable[[Document], T],
    *,
    after: str | None,
    exact: bool = False,
    **filters: object,
) -> Page[T]:
    """One page of what was created in a span of time, each object as `read` gives it."""
    params: dict[str, Any] = {"created": {"gte": span.since_s, "lt": span.until_s}, "limit": PAGE, **filters}
    if after is not None:
        params["starting_after"] = after
    answer = await (calls.exact(path, params) if exact else calls.send("get", path, params))
    if not isinstance(answer.get("data"), list):
        raise misshapen(path)
    found = [identified(one, path) for one in items(answer)]
    last: Document = found[-1] if found else {}
    has_more, last_id = answer.get("has_more") is True, text(last, "id")
    if has_more and last_id in (None, after):
        raise misshapen(path)
    return Page(tuple(read(one) for one in found), has_more, last_id, number(last, "created"))


def exact_object(body: str, path: str) -> Document:
    """The JSON object in an answer's text, fractions as Decimal."""
    try:
        value: object = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except ValueError:
        raise misshapen(path) from None
    return json_object(value, path)


def _no_number(name: str) -> object:
    raise ValueError(name)


def json_object(value: object, path: str) -> Document:
    """An answer's JSON, which must be an object."""
    if not isinstance(value, dict):
        raise misshapen(path)
    return cast("Document", value)


def identified(document: Document, path: str) -> Document:
    """An object of Stripe's, which must say its id."""
    if text(document, "id") is None:
        raise misshapen(path)
    return document


def misshapen(path: str) -> StripeUnavailable:
    """The answer is no answer of Stripe's. `path` is named without the ids in it."""
    route = "/".join(part for part in path.split("/") if not re.search(r"\d|_.*_", part) or part == "v1")
    return StripeUnavailable(
        f"The answer to a request for {route} was not of the shape that Stripe's API reference gives. Try again; if it "
        "lasts, check what stands between this server and Stripe (a proxy, STRIPE_API_BASE)."
    )
