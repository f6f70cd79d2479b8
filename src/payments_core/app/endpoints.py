"""What each route does: read the request, ask the core, write the reply. One coroutine serves both worlds.

Nothing here waits for anything but the core, so the synchronous facade can drive it without an event loop.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from payments_core.domain.checkout import check_metadata
from payments_core.errors import SessionNotFound, StripeError
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

Endpoint = Callable[["Core", HttpRequest], Awaitable[HttpReply]]

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
        return refuse(as_invalid_request(error) or error, request)
    except Exception as error:  # noqa: BLE001 - the edge of the library: an error is a reply, logged with its id
        return refuse(error, request)


async def _create_checkout_session(core: Core, request: HttpRequest) -> HttpReply:
    checkout = checkout_request(json_body(request), default_currency=core.settings.payments_currency)
    if request.names_users:
        # Also where nobody is signed in: a guest must not name himself as somebody.
        check_metadata(checkout.metadata, has_user=True)
    session = await core.create_checkout_session(checkout, request.user_id)
    return model_reply(200, checkout_session_reply(session), request.request_id)


async def _verify_prices(core: Core, request: HttpRequest) -> HttpReply:
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


_ENDPOINTS: Final[dict[Route, Endpoint]] = {
    CREATE_CHECKOUT_SESSION: _create_checkout_session,
    VERIFY_PRICES: _verify_prices,
    STRIPE_WEBHOOK: _stripe_webhook,
    CHECKOUT_SESSION: _checkout_session,
    HEALTH: _health,
    READY: _ready,
}
