"""The four places where every flow is tried: memory and SQLite, each in both worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.shop import Shop, copied, template

Open = Callable[..., Shop]


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("template"))


@pytest.fixture(params=["memory-blocking", "memory-async", "sqlite-blocking", "sqlite-async"])
def open_shop(request: pytest.FixtureRequest, tmp_path: Path, database_template: Path) -> Iterator[Open]:
    """Opens a shop with settings of the test's own."""
    kind, io = request.param.split("-")
    shops: list[Shop] = []

    def open_one(**settings: object) -> Shop:
        shops.append(Shop(io, copied(database_template, tmp_path) if kind == "sqlite" else None, **settings))
        return shops[-1]

    yield open_one
    for shop in shops:
        shop.close()


@pytest.fixture
def shop(open_shop: Open) -> Shop:
    """A shop with the settings of a first day."""
    return open_shop()
