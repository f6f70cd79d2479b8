"""One running demo for each framework, shared by the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.demo import Demo, running


@pytest.fixture(scope="module", params=["fastapi", "flask"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo under each framework."""
    with running(tmp_path_factory.mktemp("demo"), FRAMEWORK=request.param) as started:
        yield started
