"""What tests of code that uses this library need: a pytest plugin, contract suites for adapters, Hypothesis strategies.

The plugin's fixtures come by themselves (`payments_sandbox`, `payments`, `async_payments`, `async_payments_sandbox`,
`signed_event`). Names are resolved when they are first used: importing this imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .offline import AsyncOfflineStripe as AsyncOfflineStripe
    from .offline import OfflineStripe as OfflineStripe
    from .signing import SignedEvent as SignedEvent
    from .signing import signed_event as signed_event

_HOMES: Final = {
    "AsyncOfflineStripe": "offline",
    "OfflineStripe": "offline",
    "SignedEvent": "signing",
    "signed_event": "signing",
}

__all__ = ["AsyncOfflineStripe", "OfflineStripe", "SignedEvent", "signed_event"]


def __getattr__(name: str) -> object:
    """The name's own module is imported now."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
