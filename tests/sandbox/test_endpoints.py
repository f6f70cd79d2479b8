"""The whole API of the pinned version: what the sandbox has works, of all else it says that it does not have it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest

from payments_core.sandbox import Sandbox
from payments_core.sandbox.api import ApiReply, ApiRequest
from payments_core.sandbox.routes import ROUTES, find
from tests.sandbox import oracle, pinned
from tests.sandbox.conftest import NOON, VERSION

LACKS = "sandbox_not_implemented"
#: Stripe has them, the SDK does not: they are not in Stripe's specification.
OF_THE_TOOL = {
    ("GET", "/v1/payment_pages/{}"),
    ("POST", "/v1/payment_pages/{}/confirm"),
    ("POST", "/v1/events/{}/retry"),
    ("POST", "/v1/stripecli/sessions"),
}
CLAIMED = [endpoint for endpoint in pinned.endpoints() if (endpoint.http, endpoint.path) in ROUTES]


def ask(http: str, path: str, params: dict[str, str]) -> ApiReply:
    """A request to a sandbox that is empty."""
    v2 = path.startswith("/v2/")
    text = urlencode(params) if not (v2 and http == "POST") else ""
    body = text.encode() if http == "POST" else b""
    headers = {"authorization": "Bearer sk_test_caller", "stripe-version": VERSION}
    sandbox = Sandbox(clock=lambda: NOON)
    request = ApiRequest(http, path.replace("{}", "none"), "" if body else text, body, headers)
    return asyncio.run(sandbox.answer(request))


@pytest.mark.parametrize("endpoint", pinned.endpoints(), ids=lambda one: f"{one.http} {one.path} {one.method}")
def test_every_endpoint_of_stripe_works_or_says_that_it_is_not_here(endpoint: pinned.Endpoint) -> None:
    """All 648. What is not here is refused in Stripe's shape, under a code of its own; nothing is made up."""
    reply = ask(endpoint.http, endpoint.path, {})
    if reply.status == 200:
        assert (endpoint.http, endpoint.path) in ROUTES
        assert oracle.problems(reply.body) == []
        return
    error = reply.body["error"]
    assert oracle.error_problems(reply.body) == []
    assert 400 <= reply.status < 500
    lacking = error.get("code") == LACKS
    assert lacking == ("does not implement" in error["message"])
    assert lacking or (endpoint.http, endpoint.path) in ROUTES


def test_no_route_of_stripes_is_mistaken_for_an_id() -> None:
    """`/v1/customers/search` is not the customer `search`."""
    for endpoint in pinned.endpoints():
        found = find(endpoint.http, endpoint.path.split("/")[1:])
        if found is not None:
            pattern, handler, _ = found
            claimed = ROUTES.get((endpoint.http, endpoint.path))
            assert pattern == endpoint.path, endpoint
            assert claimed is handler


def test_the_sandbox_has_no_route_that_stripe_has_not() -> None:
    """Beside those that only Stripe's own tool uses."""
    assert set(ROUTES) - {(endpoint.http, endpoint.path) for endpoint in pinned.endpoints()} == OF_THE_TOOL & set(
        ROUTES
    )


@pytest.mark.parametrize("endpoint", CLAIMED, ids=lambda one: f"{one.http} {one.path}")
def test_every_parameter_of_stripe_is_taken_or_said_not_to_be_here(endpoint: pinned.Endpoint) -> None:
    """None that Stripe documents is called unknown."""
    if not endpoint.params or endpoint.path.startswith("/v2/"):
        return
    for name in pinned.parameters(endpoint.params):
        reply = ask(endpoint.http, endpoint.path, {name: "x"})
        error = reply.body.get("error", {})

        assert error.get("code") != "parameter_unknown", name
