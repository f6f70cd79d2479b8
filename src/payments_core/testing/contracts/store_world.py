"""Where a store's contract is tried: a database, a world (blocking or async), and time that passes on request."""

from __future__ import annotations

from abc import ABC, abstractmethod

from payments_core.ports import Store
from payments_core.testing.contracts.worlds import World, scenario

__all__ = ["StoreWorld", "scenario"]


class StoreWorld(World, ABC):
    """One empty database, and stores over it. Made anew for every test."""

    @abstractmethod
    def make(self, *, owes_broker: bool) -> Store:
        """A store over this world's data, as another process would make it; `open` prepares it."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass for the data: what was due in `seconds` seconds is due now."""

    @abstractmethod
    async def count_openings(self) -> int:
        """How many names of checkouts the data holds, whether or not their time is over."""

    @abstractmethod
    def make_unreachable(self) -> Store | None:
        """A store whose database cannot be used, or None where there is no such thing."""

    async def open(self, *, owes_broker: bool = False) -> Store:
        """A store ready for use, closed at the end of the scenario."""
        store = self.keep(self.make(owes_broker=owes_broker))
        await store.prepare()
        return store
