"""Worlds of the contract suites in which our own code may not block an event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from blockbuster import blockbuster_ctx

from payments_core.testing.contracts.worlds import World

T = TypeVar("T")


class Guarded(World):
    """Named before the contract's world: in the async world a blocking call of ours on the loop fails the test."""

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        if self.io == "blocking":
            return super().run(scenario)
        with blockbuster_ctx(["payments_core.adapters"]):
            return super().run(scenario)
