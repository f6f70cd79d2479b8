"""The plugin as pytest loads it: by its entry point, lightly, in workers, with overrides, and not at all."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.plugin.entry import MODULE, QUIET, plugin_options

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SHOP = """
from payments_core import Cart, CheckoutRequest, Line, Money, PaymentSuccessful

REQUEST = CheckoutRequest(Cart([Line("Tee", Money(2999, "usd"), 2)]), "https://shop.test/a", "https://shop.test/b")

def buy(payments, payments_sandbox):
    orders = []
    payments.on(PaymentSuccessful)(orders.append)
    session = payments.create_checkout_session(REQUEST)
    payments_sandbox.pay(session)
    return orders
"""


def run(pytester: pytest.Pytester, tests: str, *options: str, conftest: str = "") -> pytest.RunResult:
    """These tests in a pytest of their own."""
    pytester.makepyfile(shop=SHOP, test_shop="from shop import *\n" + tests)
    pytester.makeconftest(conftest)
    return pytester.runpytest_subprocess(*plugin_options(), *QUIET, *options)


def test_a_test_asks_for_a_fixture_and_has_it(pytester: pytest.Pytester) -> None:
    """Each test has its own Stripe and its own database."""
    result = run(
        pytester,
        """
def test_one(payments, payments_sandbox):
    assert len(buy(payments, payments_sandbox)) == 1

def test_two(payments, payments_sandbox):
    assert payments_sandbox.events() == []
    assert payments.recent_events() == []
    assert len(buy(payments, payments_sandbox)) == 1
""",
    )
    result.assert_outcomes(passed=2)


def test_settings_are_overridden_by_a_fixture(pytester: pytest.Pytester) -> None:
    """A setting, a secret and an option of the constructor; a name that is none is refused."""
    result = run(
        pytester,
        """
import pytest
from payments_core import DeliveryPolicy

@pytest.fixture
def payments_settings():
    return {
        "payments_app": "shop",
        "stripe_webhook_secret": "whsec_of_my_own,whsec_the_old_one",
        "delivery": DeliveryPolicy(max_attempts=3),
    }

def test_it(payments, payments_sandbox, signed_event):
    assert payments.core.settings.payments_app == "shop"
    assert len(buy(payments, payments_sandbox)) == 1
    event = signed_event("charge.refunded", {"id": "ch_1", "object": "charge"})
    payments.receive_webhook(event.body, event.signature)
    assert "whsec" not in repr(event)

class TestWrong:
    @pytest.fixture
    def payments_settings(self):
        return {"payments_curency": "eur"}

    def test_it(self, payments):
        pass
""",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*There is no setting 'payments_curency'; did you mean payments_currency?*"])


def test_it_works_in_parallel_workers(pytester: pytest.Pytester) -> None:
    """With pytest-xdist every worker has databases of its own."""
    result = run(
        pytester,
        """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_it(payments, payments_sandbox, number):
    assert len(buy(payments, payments_sandbox)) == 1
""",
        "-n2",
    )
    result.assert_outcomes(passed=6)


def test_async_tests_run_under_anyio_as_under_asyncio(pytester: pytest.Pytester) -> None:
    """Whoever runs the loop, connections are closed with it: nothing is left open, and nothing warns."""
    result = run(
        pytester,
        """
import pytest

async def story(async_payments, sandbox):
    orders = []

    @async_payments.on(PaymentSuccessful)
    async def fulfil(event):
        orders.append(event)

    session = await async_payments.create_checkout_session(REQUEST)
    await sandbox.pay(session)
    await sandbox.assert_effect_once(lambda: orders, session)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(async_payments, async_payments_sandbox):
    await story(async_payments, async_payments_sandbox)

@pytest.mark.asyncio
async def test_asyncio(async_payments, async_payments_sandbox):
    await story(async_payments, async_payments_sandbox)

@pytest.mark.asyncio
async def test_with_the_lifespan(async_payments, async_payments_sandbox):
    async with async_payments.lifespan():
        await story(async_payments, async_payments_sandbox)
""",
    )
    result.assert_outcomes(passed=3)


def test_it_can_be_left_out(pytester: pytest.Pytester) -> None:
    """By its name; its fixtures are then unknown."""
    blocked = "no:payments_core" if not plugin_options() else f"no:{MODULE}"
    pytester.makepyfile("def test_it(payments_sandbox): pass")

    result = pytester.runpytest_subprocess(*QUIET, "-p", blocked)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'payments_sandbox' not found*"])


def test_its_name_is_the_packages() -> None:
    """So that `-p no:payments_core` is what the guide says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {"payments_core": MODULE}


def test_a_test_that_does_not_ask_pays_nothing(pytester: pytest.Pytester) -> None:
    """Loading the plugin imports neither Stripe's SDK nor a database nor a web framework, and nothing is automatic."""
    result = run(
        pytester,
        """
import sys

def test_it(request):
    assert not [name for name in request.fixturenames if "payments" in name]

def test_imports():
    heavy = {"stripe", "starlette", "alembic", "aiohttp", "hypothesis"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
""",
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:schemathesis",
    )
    assert "1 passed" in result.stdout.str() or "2 passed" in result.stdout.str(), result.stdout.str()


def test_importing_it_imports_next_to_nothing() -> None:
    """Not pydantic, not attrs: pytest and what Python has."""
    code = (
        f"import sys, pytest; before = set(sys.modules); import {MODULE}, payments_core.testing\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('payments_core')"
        " and name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "missing", [("flask", "fastapi", "hypothesis", "httpx", "httpx2", "psycopg", "aiokafka", "redis")]
)
def test_the_testing_extra_is_all_it_needs(pytester: pytest.Pytester, missing: tuple[str, ...]) -> None:
    """No web framework, no Hypothesis, no broker's client, no plugin for async tests."""
    result = run(
        pytester,
        """
def test_it(payments, payments_sandbox):
    orders = buy(payments, payments_sandbox)
    payments_sandbox.assert_effect_once(lambda: orders)
""",
        "-p", "no:hypothesispytest", "-p", "no:schemathesis", "-p", "no:anyio",
        conftest=f"import sys\nfor name in {missing!r}: sys.modules.setdefault(name, None)",
    )  # fmt: skip
    result.assert_outcomes(passed=1)


def test_strategies_say_what_they_need() -> None:
    """Hypothesis, and only for that module."""
    code = "import sys; sys.modules['hypothesis'] = None; import payments_core.testing.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "hypothesis" in done.stderr.splitlines()[-1]
