"""Schemathesis over the OpenAPI document: what it says is what both adapters answer, case by case the same.

The document is that of the FastAPI application. Each generated case goes to both servers: to uvicorn with FastAPI and
to gunicorn with Flask. The answer's status, type, headers and body must be described, and both must answer alike.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from payments_core import AsyncPayments, errors
from payments_core.http.openapi import responses
from payments_core.http.routes import CHECKOUT_SESSION, CREATE_CHECKOUT_SESSION, STRIPE_WEBHOOK, VERIFY_PRICES, Route
from tests.attacks.conftest import Open
from tests.attacks.shops import Shop
from tests.guarantees.worlds import IS_LONG
from tests.http.apps import PREFIX, fastapi_app
from tests.http.targets import settings as settings_of

load_all_checks()
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]
CASES = settings(
    max_examples=2000 if IS_LONG else 40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
OPERATIONS = {
    "create": ("POST", f"{PREFIX}/create-checkout-session"),
    "verify": ("POST", f"{PREFIX}/verify-prices"),
    "session": ("GET", f"{PREFIX}/checkout-sessions/{{session_id}}"),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document that the FastAPI application serves."""
    payments = AsyncPayments(settings_of("http://127.0.0.1:9", tmp_path_factory.mktemp("document")))
    described: dict[str, Any] = json.loads(json.dumps(fastapi_app(payments).openapi()))
    return described


def url(shop: Shop) -> str:
    assert shop.server.address is not None
    return f"http://{shop.server.address[0]}:{shop.server.address[1]}"


def told(servers: list[Shop], case: schemathesis.Case) -> int:
    """The status that both servers answer, having answered alike and as described."""
    answers = []
    for shop in servers:
        response = case.call(base_url=url(shop))
        case.validate_response(response, checks=CHECKED)
        body = response.json()
        answers.append((response.status_code, body.get("code"), body.get("fields")))
        assert isinstance(body.get("detail", ""), str), "FastAPI's own 422"
        assert response.headers["x-request-id"]
    assert answers[0] == answers[1], case.as_curl_command()
    return int(response.status_code)


@pytest.fixture
def servers(shops: Open) -> list[Shop]:
    """FastAPI and Flask."""
    return [shops("uvicorn", "sqlite"), shops("gunicorn", "sqlite")]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_both_adapters_answer_as_the_document_says(
    servers: list[Shop], document: dict[str, Any], name: str, mode: GenerationMode
) -> None:
    """For requests that fit the document and for ones that do not."""
    method, path = OPERATIONS[name]
    operation = schemathesis.openapi.from_dict(document)[path][method]

    @seed(20_261_125)
    @CASES
    @given(operation.as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case) -> None:
        told(servers, case)

    answers()


def test_a_checkout_that_can_be_opened_is_answered_as_the_document_says(
    servers: list[Shop], document: dict[str, Any]
) -> None:
    """What no schema can say (allowed URLs, whole cents, products that exist) is put right, and sessions are opened."""
    method, path = OPERATIONS["create"]
    operation = schemathesis.openapi.from_dict(document)[path][method]
    statuses: set[int] = set()

    @seed(20_261_126)
    @CASES
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def answers(case: schemathesis.Case) -> None:
        assert isinstance(case.body, dict)
        line = {"name": "Tee", "price": 29.99, "quantity": 2}
        urls = {"successUrl": "https://a.shop.test/ok", "cancelUrl": "https://a.shop.test/cart"}
        case.body |= {**urls, "products": [line], "currency": "eur", "customerEmail": "buyer@example.test"}
        statuses.add(told(servers, case))

    answers()
    assert 200 in statuses


@pytest.mark.parametrize("route", [CREATE_CHECKOUT_SESSION, VERIFY_PRICES, STRIPE_WEBHOOK, CHECKOUT_SESSION])
def test_every_route_lists_its_error_codes_under_their_statuses(route: Route) -> None:
    """Each code that is listed is one of the library's, under the status that it has."""
    statuses = {(kind.kind, kind.status) for kind in subclasses(errors.PaymentsError)}
    for status, response in responses(route).items():
        if status == 200:
            continue
        listed = response["description"].removeprefix("Code ").removesuffix(".").replace("`", "").split(", ")
        for code in listed:
            assert (code, status) in statuses, (route.name, code)


def test_every_error_code_is_listed_by_some_route_or_belongs_to_none() -> None:
    """Two belong to paths and methods that are no route's."""
    listed = {
        code
        for route in (CREATE_CHECKOUT_SESSION, VERIFY_PRICES, STRIPE_WEBHOOK, CHECKOUT_SESSION)
        for response in responses(route).values()
        for code in response["description"].replace("`", " ").replace(",", " ").rstrip(".").split()
    }
    assert {kind.kind for kind in subclasses(errors.PaymentsError)} - listed == {"not_found", "method_not_allowed"}


def subclasses(kind: type[errors.PaymentsError]) -> list[type[errors.PaymentsError]]:
    """An error and all its kinds that have a code of their own."""
    found = [kind]
    for one in found:
        found.extend(one.__subclasses__())
    return [one for one in found if "kind" in vars(one)]
