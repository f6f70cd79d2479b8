"""The shops that are attacked: both servers, on both databases, started when a test first asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from payments_core.adapters.sql import upgrade
from tests.attacks.shops import ROLLED_SECRET, SERVERS, STORES, Shop
from tests.guarantees.conftest import memory_or_sqlite, postgres_shelf, sqlite_template, world
from tests.http.conftest import Stripe, stripe
from tests.http.targets import WEBHOOK_SECRET, environment, opened

__all__ = ["memory_or_sqlite", "postgres_shelf", "sqlite_template", "stripe", "world"]

Open = Callable[[str, str], Shop]


@pytest.fixture(scope="session")
def shops(request: pytest.FixtureRequest, stripe: Stripe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens the shop of a server and a store, once."""
    running: dict[tuple[str, str], Shop] = {}
    with ExitStack() as stack:

        def shop(server: str, store: str) -> Shop:
            if (server, store) not in running:
                folder = tmp_path_factory.mktemp(f"{server}-{store}")
                database = environment(stripe.url, folder)["PAYMENTS_DATABASE_URL"]
                if store == "postgresql":
                    database = stack.enter_context(_postgresql(request))
                variables = {
                    "PAYMENTS_DATABASE_URL": database,
                    "STRIPE_WEBHOOK_SECRET": f"{WEBHOOK_SECRET},{ROLLED_SECRET}",
                }
                target = stack.enter_context(opened(server, stripe.url, folder, **variables))
                running[server, store] = Shop(f"{server}-{store}", target, database, folder / "server.log")
                # An embedded database gets its tables at the first request.
                assert running[server, store].is_well()
            return running[server, store]

        yield shop


@contextmanager
def _postgresql(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with the schema."""
    server: str = request.getfixturevalue("postgres_server_url")
    with request.getfixturevalue("_databases").empty() as name:
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        upgrade(url)
        yield url


@pytest.fixture(params=SERVERS)
def shop(request: pytest.FixtureRequest, shops: Open) -> Shop:
    """Each server in turn, on SQLite: for what does not come as far as a store."""
    return shops(request.param, "sqlite")


@pytest.fixture(
    params=[
        pytest.param((server, store), id=f"{server}-{store}", marks=[pytest.mark.postgres] * (store == "postgresql"))
        for server in SERVERS
        for store in STORES
    ]
)
def any_shop(request: pytest.FixtureRequest, shops: Open) -> Shop:
    """Each server in turn, on each database."""
    return shops(*request.param)
