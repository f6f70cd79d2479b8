"""What an installation without an extra can still do, and what it says when the extra is needed."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

CORE_ALONE = tuple(
    "flask fastapi starlette uvicorn gunicorn aiohttp jinja2 click psycopg aiokafka redis structlog".split()  # noqa: SIM905
)


ADAPTERS = [("payments_flask", "flask", "create_blueprint"), ("payments_fastapi", "fastapi", "create_router")]


def without(*packages: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run the code where these packages are not installed."""
    # The import system takes None for "there is no such module".
    absent = f"import sys; sys.modules.update(dict.fromkeys({packages!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", absent + dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_core_works_with_none_of_the_extras() -> None:
    """Without any extra the synchronous facade is built over SQLite, and the dispatcher dispatches."""
    done = without(
        *CORE_ALONE,
        code="""
        from payments_core import Payments
        from payments_core.domain.signature import sign
        from payments_core.webhooks import WebhookDispatcher
        import time
        payments = Payments.from_env(stripe_secret_key="sk_test_1", payments_database_url="sqlite:///never-opened.db")
        dispatcher = WebhookDispatcher(secrets=["whsec_of_a_test"])
        dispatcher.on("a.b")(lambda event: print(event.id))
        body = b'{"id": "evt_1", "type": "a.b", "data": {"object": {}}}'
        dispatcher.dispatch(body, sign(body, "whsec_of_a_test", timestamp_s=int(time.time())))
        """,
    )
    assert (done.returncode, done.stdout) == (0, "evt_1\n"), done.stderr


@pytest.mark.parametrize(
    ("adapter", "framework", "other"),
    [("payments_flask", "flask", "fastapi"), ("payments_fastapi", "fastapi", "flask")],
)
def test_each_adapter_needs_its_own_framework_only(adapter: str, framework: str, other: str) -> None:
    """An adapter is importable with its framework and without the other one."""
    done = without(
        other, "jinja2" if framework == "fastapi" else "starlette", code=f"import {adapter}; print('imported')"
    )
    assert (done.returncode, done.stdout) == (0, "imported\n"), done.stderr


@pytest.mark.parametrize(("adapter", "framework", "entry"), ADAPTERS)
def test_an_adapter_without_its_framework_says_what_to_install(adapter: str, framework: str, entry: str) -> None:
    """In the words of every other extra."""
    last = without(framework, code=f"from {adapter} import {entry}").stderr.splitlines()[-1]
    assert f"ConfigurationError: {adapter} needs the package {framework}, which is not installed" in last
    assert f"payments-core[{framework}]" in last


def test_the_package_root_imports_neither_stripe_nor_a_database_nor_pydantic() -> None:
    """`import payments_core` costs next to nothing, because it imports next to nothing."""
    code = """
    import payments_core, sys
    print(sorted({"stripe", "sqlalchemy", "pydantic", "aiohttp", "alembic"} & set(sys.modules)))
    """
    assert without(code=code).stdout == "[]\n"


def test_the_asynchronous_facade_without_aiohttp_says_what_to_install() -> None:
    """AsyncPayments needs a client for the loop, and names the extra that brings it."""
    done = without("aiohttp", code='import payments_core as p; p.AsyncPayments.from_env(stripe_secret_key="sk_test_1")')
    assert "pip install 'payments-core[fastapi]'" in done.stderr.splitlines()[-1]


def test_a_postgresql_address_without_its_driver_says_what_to_install() -> None:
    """The driver is an extra; its absence is a sentence about the configuration, not about a module."""
    code = """
    import payments_core as p
    p.Payments.from_env(stripe_secret_key="sk_test_1", payments_database_url="postgresql://127.0.0.1/x").start()
    """
    last = without("psycopg", code=code).stderr.splitlines()[-1]
    assert "ConfigurationError" in last
    assert "payments-core[postgres]" in last


@pytest.mark.parametrize("facade", ["Payments", "AsyncPayments"])
def test_a_redis_address_without_its_client_says_what_to_install(facade: str) -> None:
    """At construction."""
    code = f"""
    import payments_core as p
    p.{facade}.from_env(stripe_secret_key="sk_test_1", payments_redis_url="redis://127.0.0.1/0")
    """
    last = without("redis", code=code).stderr.splitlines()[-1]
    assert "ConfigurationError: PAYMENTS_REDIS_URL needs the package redis" in last
    assert "payments-core[redis]" in last


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jinja2", "aiohttp"])
def test_the_sandbox_without_its_extra_says_what_to_install(missing: str) -> None:
    """The command names the extra in one sentence and exits with 1."""
    code = """
    import sys
    sys.argv = ["payments", "sandbox", "--port", "1"]
    from payments_core.cli import main
    main()
    """
    done = without(missing, code=code)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("pip install 'payments-core[sandbox]'.") or (
        "pip install 'payments-core[sandbox]'" in done.stderr
    )
    assert "Traceback" not in done.stderr
