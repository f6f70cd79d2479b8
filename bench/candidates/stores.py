"""Stores of the bench: our own with its `receive` replaced, and one that keeps nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from payments_core.adapters.memory import MemoryStore
from payments_core.domain.delivery import ReceivedEvent
from payments_core.ports import Store


class _Receiving:
    """A store that receives otherwise; everything else is the other store's."""

    def __init__(self, store: Store, receive: Callable[[ReceivedEvent], Awaitable[bool]]) -> None:
        self._store = store
        self.receive = receive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def receiving(store: Store, receive: Callable[[ReceivedEvent], Awaitable[bool]]) -> Store:
    """The store with its `receive` replaced."""
    return cast("Store", _Receiving(store, receive))


def forgetful() -> Store:
    """A store that keeps nothing: what remains is the route, the limits, the signature and the envelope."""

    async def forget(_: ReceivedEvent) -> bool:
        return True

    return receiving(MemoryStore(io="async"), forget)
