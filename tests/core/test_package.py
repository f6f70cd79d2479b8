"""The package's face: its names, what an import costs, and that the two facades are twins."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import payments_core
from payments_core import AsyncPayments, Payments
from payments_core.webhooks import AsyncWebhookDispatcher, WebhookDispatcher


def test_every_exported_name_is_there() -> None:
    """Sorted, without a repeat, and each can be imported."""
    names = payments_core.__all__
    assert names == sorted(set(names))
    assert set(names) == set(payments_core._HOMES)
    for name in names:
        assert getattr(payments_core, name) is not None
    assert set(names) <= set(dir(payments_core))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Paymnets'"):
        payments_core.Paymnets  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import payments_core", ("stripe", "sqlalchemy", "pydantic", "pydantic_settings", "aiosqlite", "requests")),
        ("import payments_core.webhooks", ("stripe", "sqlalchemy", "aiosqlite", "requests", "aiohttp")),
        ("from payments_core import PaymentSuccessful, Transaction", ("stripe", "sqlalchemy")),
        ("from payments_core import Payments, AsyncPayments", ("stripe", "sqlalchemy", "flask", "fastapi")),
        ("import payments_core.adapters.memory", ("stripe", "sqlalchemy")),
    ],
)
def test_an_import_brings_only_what_it_needs(statement: str, absent: tuple[str, ...]) -> None:
    """Neither the Stripe SDK nor a database until somebody uses one."""
    program = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


#: What the library's own part of an import may be, in modules; their time is measured by `make bench`.
@pytest.mark.parametrize(
    ("statement", "framework", "at_most"),
    [
        ("import payments_core", "sys", 2),
        ("import payments_fastapi", "fastapi", 1),
        ("import payments_flask", "flask", 1),
        ("from payments_fastapi import create_router", "fastapi", 22),
        ("from payments_flask import create_blueprint", "flask", 20),
    ],
)
def test_an_adapter_costs_little_over_its_framework(statement: str, framework: str, at_most: int) -> None:
    """The core's flows, its settings and its models come with the first `Payments`, not with the import."""
    counted = (
        f"import sys, {framework}; before = set(sys.modules); {statement};"
        "new = set(sys.modules) - before; ours = [name for name in new if name.startswith('payments_')];"
        "heavy = {'stripe', 'sqlalchemy', 'aiokafka', 'pydantic_settings', 'msgspec', 'payments_core.app'} & new;"
        "print(len(ours), sorted(heavy))"
    )
    ran = subprocess.run([sys.executable, "-c", counted], capture_output=True, text=True, check=True, timeout=60)
    found, heavy = ran.stdout.strip().split(" ", 1)
    assert heavy == "[]"
    assert 0 < int(found) <= at_most


@pytest.mark.parametrize("name", ["payments_fastapi", "payments_flask"])
def test_an_adapters_names_are_there(name: str) -> None:
    """Each can be imported and is listed; another is an attribute error, as in any module."""
    adapter = importlib.import_module(name)
    assert set(adapter.__all__) <= set(dir(adapter))
    assert all(getattr(adapter, exported) is not None for exported in adapter.__all__)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'create_routes'"):
        adapter.create_routes  # noqa: B018


def test_nothing_is_read_at_import() -> None:
    """No setting, no file of the working directory: importing in a broken environment works."""
    program = (
        "import payments_core.app, payments_core.settings, payments_core.adapters.sql, payments_core.adapters.stripe"
    )
    broken = {
        "STRIPE_SECRET_KEY": "nonsense",
        "PORT": "nonsense",
        "PAYMENTS_DATABASE_URL": "nonsense",
        "PATH": "/usr/bin",
    }
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=broken, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


def surface(kind: type) -> dict[str, str]:
    """Public methods with their signatures as written, `async` left aside."""
    return {
        name: str(inspect.signature(member))
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("plain", "awaited", "only_awaited"),
    [(Payments, AsyncPayments, {"lifespan"}), (WebhookDispatcher, AsyncWebhookDispatcher, set[str]())],
)
def test_the_two_worlds_have_the_same_surface(plain: type, awaited: type, only_awaited: set[str]) -> None:
    """Same names, same arguments, same results; the asynchronous one has a lifespan besides."""
    ours, theirs = surface(plain), surface(awaited)
    assert {name for name in theirs if name not in ours} == only_awaited
    assert {name: theirs[name] for name in ours} == ours
    one, two = inspect.signature(plain), inspect.signature(awaited)
    assert str(one) == str(two)


def test_what_waits_is_awaited_in_one_world_only() -> None:
    """Each method that does I/O is a coroutine function of AsyncPayments and a plain one of Payments."""
    waits = {
        "answer", "close", "create_checkout_session", "receive_webhook", "recent_events", "reconcile",
        "run_due", "session_status", "start", "verify", "verify_prices",
    }  # fmt: skip
    for name in surface(Payments):
        assert inspect.iscoroutinefunction(getattr(AsyncPayments, name)) is (name in waits), name
        assert not inspect.iscoroutinefunction(getattr(Payments, name)), name
