"""What each route does: read the request, ask the core, write the reply. One coroutine serves both worlds.

Nothing here waits for anything but the core, so the synchronous facade can drive it without an event loop.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from payments_core.domain.checkout import check_metadata
from payments_core.domain.opening import KEY_HEADER
from payments_core.errors import ConfigurationError, SessionNotFound, StripeError
from payments_core.http.addresses import caller_of, read_address
from payments_core.http.bodies import checkout_request, price_claims
from payments_core.http.messages import HttpReply, HttpRequest
from payments_core.http.reading import json_body, too_large
from payments_core.http.refusals import refuse
from payments_core.http.replies import (
    RECEIVED,
    checkout_session_reply,
    json_reply,
    model_reply,
    prices_reply,
    raw_reply,
    session_status_reply,
)
from payments_core.http.routes import (
    CHECKOUT_SESSION,
    CREATE_CHECKOUT_SESSION,
    HEALTH,
    READY,
    STRIPE_WEBHOOK,
    VERIFY_PRICES,
    Route,
)
from payments_core.http.stripe_fields import as_invalid_request

if TYPE_CHECKING:
    from payments_core.app.core import Core
    from payments_core.services.guard import CountedRoute

_log = logging.getLogger("payments_core.guard")

Endpoint = Callable[["Core", HttpRequest], Awaitable[HttpReply]]

Answer = Callable[["Core", Route, HttpRequest, Callable[[], Awaitable[None]]], Coroutine[Any, Any, HttpReply]]

# Whatever else was asked for was not made by Stripe, and is not worth a question to anybody.
_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")


async def answer(core: Core, route: Route, request: HttpRequest, start: Callable[[], Awaitable[None]]) -> HttpReply:
    """The reply to a request for `route`. Never raises: whatever goes wrong is a reply too.

    `start` makes the facade ready, once; liveness is answered without it.
    """
    try:
        if len(request.body) > route.body_limit:
            raise too_large(route)
        if route is not HEALTH:
            await start()
        return await _ENDPOINTS[route](core, request)
    except StripeError as error:
        return refuse(as_invalid_request(error) or error, request, route)
    except ConfigurationError as error:
        refused = refuse(error, request, route)
        return _unprepared(request) if route is READY else refused
    except Exception as error:  # noqa: BLE001 - the edge of the library: an error is a reply, logged with its id
        return refuse(error, request, route)


async def _admitted(core: Core, route: CountedRoute, request: HttpRequest) -> str:
    """Count the request; the digest of its caller. Raises RateLimited."""
    forwarded = request.headers.get("x-forwarded-for", "")
    direct, address = read_address(request.peer), core.proxies.client(request.peer, forwarded)
    if address is None or (forwarded and address.is_private and address == direct):
        _say_who_counts("a local socket (unix)" if direct is None else request.peer)
    return await core.guard.admit(route, user_id=request.user_id, caller=caller_of(address))


@lru_cache(maxsize=16)
def _say_who_counts(peer: str) -> None:
    """Once for each: all that comes through it is one caller, which a shop behind a proxy does not mean."""
    _log.warning("Requests come from %s, not in PAYMENTS_TRUSTED_PROXIES: all that it passes on are one caller", peer)


async def _create_checkout_session(core: Core, request: HttpRequest) -> HttpReply:
    caller = await _admitted(core, "checkouts", request)
    checkout = checkout_request(json_body(request), default_currency=core.settings.payments_currency)
    if request.names_users:
        # Also where nobody is signed in: a guest must not name himself as somebody.
        check_metadata(checkout.metadata, has_user=True)
    key = request.headers.get(KEY_HEADER)
    asked = evolve(checkout, caller_digest=caller)
    session = await core.create_checkout_session(asked, request.user_id, key)
    return model_reply(200, checkout_session_reply(session), request.request_id)


async def _verify_prices(core: Core, request: HttpRequest) -> HttpReply:
    await _admitted(core, "prices", request)
    claims = price_claims(json_body(request), default_currency=core.settings.payments_currency)
    found = await core.verify_prices(claims)
    return model_reply(200, prices_reply(tuple(found)), request.request_id)


async def _stripe_webhook(core: Core, request: HttpRequest) -> HttpReply:
    signature = request.headers.get("stripe-signature")
    await core.receive_webhook(request.body, signature, traceparent=request.traceparent)
    return raw_reply(200, RECEIVED, request.request_id)


async def _checkout_session(core: Core, request: HttpRequest) -> HttpReply:
    session_id = request.params["session_id"]
    if not _SESSION_ID.fullmatch(session_id):
        raise SessionNotFound("No checkout session of that id was made here.")
    status = await core.session_status(session_id)
    return model_reply(200, session_status_reply(status), request.request_id)


async def _health(_: Core, request: HttpRequest) -> HttpReply:
    return json_reply(200, {"status": "ok"}, request.request_id)


async def _ready(core: Core, request: HttpRequest) -> HttpReply:
    found = await core.readiness()
    body = {"ready": found.ready, "checks": found.checks}
    return json_reply(200 if found.ready else 503, body, request.request_id)


def _unprepared(request: HttpRequest) -> HttpReply:
    """Readiness of a process whose start was refused, by a missing schema mostly."""
    detail = "The payments database cannot be used as it is; the server's log says what to run."
    return json_reply(503, {"ready": False, "checks": {"store": "unprepared"}, "detail": detail}, request.request_id)


_ENDPOINTS: Final[dict[Route, Endpoint]] = {
    CREATE_CHECKOUT_SESSION: _create_checkout_session,
    VERIFY_PRICES: _verify_prices,
    STRIPE_WEBHOOK: _stripe_webhook,
    CHECKOUT_SESSION: _checkout_session,
    HEALTH: _health,
    READY: _ready,
}
