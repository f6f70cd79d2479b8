"""The host's OpenAPI document: our JSON routes are in it, as they behave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from payments_core import AsyncPayments
from payments_fastapi import create_router
from tests.http.targets import settings


def tenant(x_tenant: int) -> int:
    return x_tenant


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    app = FastAPI()
    payments = AsyncPayments(settings("http://127.0.0.1:9", tmp_path))
    app.include_router(create_router(payments, dependencies=[Depends(tenant)]), prefix="/pay")
    return app.openapi()


def test_the_three_json_routes_are_described_and_nothing_else(document: dict[str, Any]) -> None:
    """The webhook, health and ready are for machines that know them."""
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/pay/create-checkout-session", "post"),
        ("/pay/verify-prices", "post"),
        ("/pay/checkout-sessions/{session_id}", "get"),
    }


def test_fastapi_s_own_validation_error_is_nowhere_in_it(document: dict[str, Any]) -> None:
    """Even where the host's guard takes a parameter, 422 is described in our shape."""
    for methods in document["paths"].values():
        for operation in methods.values():
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema["required"] == ["error", "code"]
    assert "HTTPValidationError" not in json.dumps(document["paths"])


def test_request_bodies_and_path_parameters_are_described(document: dict[str, Any]) -> None:
    """Though FastAPI itself reads neither; the guard's own parameter stays beside them."""
    create = document["paths"]["/pay/create-checkout-session"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["products"]["items"]["properties"]["price"]["type"] == "number"
    session = document["paths"]["/pay/checkout-sessions/{session_id}"]["get"]
    assert {one["name"] for one in session["parameters"]} == {"session_id", "x_tenant"}
    assert session["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["amountTotal"]
